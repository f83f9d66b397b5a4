"""What a tokenizer.json may ask of the tokenizers library, which does all it is told: no text grows beyond measure.

Two lines of JSON are a bomb: a few steps that replace each letter by a thousand, or a template of a token ten thousand
times whose numbers are ten thousand. Real tokenizers put a mark or two in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from quantize.vocab.files import broken, items

_FILE = "tokenizer.json"
_MAX_STEPS = 64
_MAX_GROWTH = 64
_MAX_PIECES = 32
_PARTS = ("normalizer", "pre_tokenizer", "post_processor", "decoder")
_INNER = ("normalizers", "pretokenizers", "processors", "decoders")


def check_bounds(tokenizer: Mapping[str, Any]) -> None:
    """Refuse a tokenizer that makes a short text a huge one.

    Args:
        tokenizer: tokenizer.json.
    Raises:
        CheckpointError: it would.
    """
    for part in _PARTS:
        growth = 1
        for number, step in enumerate(_steps(tokenizer.get(part))):
            if number >= _MAX_STEPS:
                raise broken(_FILE, part, tokenizer[part], f"at most {_MAX_STEPS} steps")
            growth *= _growth(step)
            if growth > _MAX_GROWTH:
                raise broken(_FILE, part, step, f"steps that make a text at most {_MAX_GROWTH} times as long")
            _check_template(step)


def _steps(part: Any) -> Iterator[Mapping[str, Any]]:
    if not isinstance(part, Mapping):
        return
    yield part
    for name in _INNER:
        inner = part.get(name)
        for step in inner if isinstance(inner, list) else ():
            yield from _steps(step)


def _growth(step: Mapping[str, Any]) -> int:
    """How much longer a text can become: by what takes the place of a character, or stands before a word."""
    texts = [step.get(name) for name in ("content", "prepend", "replacement", "suffix", "prefix")]
    return max([1, *(len(text) for text in texts if isinstance(text, str))])


def _check_template(step: Mapping[str, Any]) -> None:
    for name in ("single", "pair"):
        if step.get("type") == "TemplateProcessing" and len(items(_FILE, step, name)) > _MAX_PIECES:
            raise broken(_FILE, f"post_processor.{name}", step[name], f"at most {_MAX_PIECES} pieces")
    tokens = step.get("special_tokens")
    for token in tokens.values() if isinstance(tokens, Mapping) else ():
        ids = token.get("ids") if isinstance(token, Mapping) else None
        if isinstance(ids, list) and len(ids) > _MAX_PIECES:
            raise broken(_FILE, "post_processor.special_tokens", ids, f"at most {_MAX_PIECES} numbers for a token")
