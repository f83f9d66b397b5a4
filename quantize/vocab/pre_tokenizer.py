"""Which of llama.cpp's pre-tokenizers cuts text as a tokenizer.json does."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from tokenizers import Tokenizer

from edgeai.errors import CheckpointError
from quantize.vocab.files import items, mapping, shown
from quantize.vocab.pre_tokenizer_names import CHECK_TEXT, NAME_BY_HASH

_FILE = "tokenizer.json"
_CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_SPACES = r"\s*[\r\n]+|\s+(?!\S)|\s+"
_GPT4_REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|" + _SPACES
_CASED_REST = r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|" + _SPACES
_MARK = r"[^\r\n\p{L}\p{N}]?"
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_LLAMA3 = _CONTRACTIONS + "|" + _MARK + r"\p{L}+|\p{N}{1,3}" + _GPT4_REST
_QWEN2 = _CONTRACTIONS + "|" + _MARK + r"\p{L}+|\p{N}" + _GPT4_REST
_QWEN35 = _CONTRACTIONS + "|" + _MARK + r"[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|" + _SPACES
_GPT4O = (
    f"{_MARK}{_UPPER}*{_LOWER}+{_CONTRACTIONS}?|{_MARK}{_UPPER}+{_LOWER}*{_CONTRACTIONS}?"
    + r"|\p{N}{1,3}"
    + _CASED_REST
)
_TEKKEN = f"{_MARK}{_UPPER}*{_LOWER}+|{_MARK}{_UPPER}+{_LOWER}*" + r"|\p{N}" + _CASED_REST
_GPT2, _DIGITS = "gpt2", "single digits"

# The steps, and whether a whole word of the vocabulary needs no merges, as llama.cpp does them under a name.
_NAME_BY_STEPS: Mapping[tuple[tuple[str, ...], bool], str] = {
    ((_LLAMA3,), True): "llama-bpe",
    ((_LLAMA3,), False): "dbrx",
    ((_QWEN2,), False): "qwen2",
    ((_QWEN35,), False): "qwen35",
    ((_GPT4O,), False): "gpt-4o",
    ((_TEKKEN,), True): "tekken",
    ((_DIGITS, _GPT2), False): "smollm",
    ((_GPT2,), False): "gpt-2",
}


def pre_tokenizer_name(tokenizer: Tokenizer, source: Mapping[str, Any], arch: str) -> str:
    """The name for `tokenizer.ggml.pre`.

    It is the official converter's, by the hash of what a certain text becomes, where that is known. A vocabulary that
    was trimmed or trained anew has an unknown hash: its pre-tokenizer is compared step by step with those that
    llama.cpp has.

    Args:
        tokenizer: that of tokenizer.json.
        source: tokenizer.json.
        arch: llama.cpp's name of the family.
    Raises:
        CheckpointError: llama.cpp has none that does the same.
    """
    digest = ""
    for with_special in (True, False):  # who computed the known ones did not always add the first token
        ids = tokenizer.encode(CHECK_TEXT, add_special_tokens=with_special).ids
        digest = sha256(str(ids).encode()).hexdigest()
        if digest in NAME_BY_HASH:
            return NAME_BY_HASH[digest]
    steps = _steps(mapping(_FILE, source, "pre_tokenizer"))
    ignores_merges = mapping(_FILE, source, "model").get("ignore_merges") is True
    name = _NAME_BY_STEPS.get((steps, ignores_merges))
    if name is None:
        raise CheckpointError(
            f"{_FILE}: pre_tokenizer is {shown(source.get('pre_tokenizer'))} (hash {digest[:12]}), expected one that "
            "llama.cpp has too; this model needs a newer llama.cpp"
        )
    return "phi-2" if name == "gpt-2" and arch == "phi2" else name  # two names of one thing


def _steps(part: Mapping[str, Any]) -> tuple[str, ...]:
    """The steps that cut text: a regular expression or a name each."""
    kind = part.get("type")
    if kind == "Sequence":
        parts = [step for step in items(_FILE, part, "pretokenizers") if isinstance(step, Mapping)]
        return tuple(name for step in parts for name in _steps(step))
    if kind == "ByteLevel" and not part.get("add_prefix_space"):
        return () if part.get("use_regex") is False else (_GPT2,)
    if kind == "Digits" and part.get("individual_digits") is True:
        return (_DIGITS,)
    if kind == "Split":
        # an expression that matches everything cuts the same way whether it is said to find words or separators
        words = (part.get("behavior"), part.get("invert", False)) in (("Isolated", False), ("Removed", True))
        return (str(mapping(_FILE, part, "pattern").get("Regex")) if words else "another split",)
    return (f"another {kind}",)
