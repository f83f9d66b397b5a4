"""What a person may choose for single tensors: a type, or a pattern of names and their type, as text."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Sequence

from edgeai.errors import QuantizeError
from quantize.base import Tensor
from quantize.ggml import ENCODED_TYPES

_MAX_LENGTH = 200
_MAX_WAYS = 2**15  # to match a name; llama.cpp tries 270 names in some 2 s at most then
_WAYS_OF_REPEAT = 32  # names have some 30 characters
# What stands for itself: an escaped sign, a kind of character, a class of such. Python and C++ read others differently
# ("[]", "[[:", "\\c"), and each could hide from us what C++ tries.
_ESCAPED = r"\\(?:\W|[dDwWsSbB])"
_PLAIN = re.compile(rf"{_ESCAPED}|\[\^?(?:{_ESCAPED}|[^\[\]\\])*\]", re.ASCII)
_UNFIT = re.compile(r"[\\\[]|\)[*+{]|\{[^}]*\d{3}")


def check_type(name: str) -> str:
    """The name of a tensor type, as it is written.

    Raises:
        QuantizeError: nothing can be encoded to it.
    """
    upper = name.upper()
    if upper not in ENCODED_TYPES:
        raise QuantizeError(f"{name[:40]!r} is no tensor type: expected one of {', '.join(ENCODED_TYPES)}")
    return upper


def pattern_and_type(item: str) -> tuple[str, str]:
    """A regular expression that is searched for in names of tensors, and the type of those that have it.

    llama.cpp tries the expression on every name, in C++, where nothing can interrupt it; one that goes back and forth
    would never end. So what can make it do so is refused: it is not needed for names of tensors.

    Args:
        item: "PATTERN=TYPE".
    Raises:
        QuantizeError: it is not of this form, the pattern is no such expression, or the type is none.
    """
    pattern, equals, name = item.rpartition("=")
    if not equals or not pattern:
        raise QuantizeError(f"{item[:80]!r}: expected PATTERN=TYPE, such as ffn_down=Q6_K")
    _check_pattern(pattern)
    return pattern, check_type(name)


def check_matches(tensor_types: Sequence[tuple[str, str]], tensors: Sequence[Tensor]) -> None:
    """Refuse patterns that change nothing, about which llama.cpp's quantizer is silent. It changes matrices alone.

    Args:
        tensor_types: patterns, and their types.
        tensors: of the model that is to be quantized.
    Raises:
        QuantizeError: a pattern is found in no matrix's name.
    """
    names = [tensor.name for tensor in tensors if len(tensor.shape) > 1]
    for pattern, qtype in tensor_types:
        if not any(re.search(pattern, name) for name in names):
            example = min(names, key=lambda name: "attn_q.weight" not in name, default="blk.0.attn_q.weight")
            raise QuantizeError(
                f"--tensor-type {pattern[:80]}={qtype} matches no matrix of this model: names look like "
                f"{example[:80]}, and --dry-run lists them; correct the pattern"
            )


def _check_pattern(pattern: str) -> None:
    shown = f"the pattern {pattern[:80]!r}"
    if len(pattern) > _MAX_LENGTH or not pattern.isascii() or not pattern.isprintable():
        raise QuantizeError(f"{shown}: expected at most {_MAX_LENGTH} printable ASCII characters: make it shorter")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what is rare, and refused below
            re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as exc:
        raise QuantizeError(f"{shown} is no regular expression ({str(exc)[:80]}): correct it") from exc
    rest = _PLAIN.sub("x", pattern)
    if _UNFIT.search(rest) or _n_ways(rest) > _MAX_WAYS:
        raise QuantizeError(
            f"{shown} repeats a group, has a rare escape or class, or can match in too many ways, so that it might "
            "never end: write it plainer, or as several"
        )


def _n_ways(pattern: str) -> int:
    """At most how many ways there are to go through an expression without classes and escaped characters."""
    parts = re.split(r"\(\?[:=!]|[()]", pattern)
    alternatives = math.prod(1 + part.count("|") for part in parts)
    n_repeats = sum(pattern.count(sign) for sign in "*+{")
    n_optional = sum(part.count("?") for part in parts)
    return int(alternatives * _WAYS_OF_REPEAT**n_repeats * 2**n_optional)
