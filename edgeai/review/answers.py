"""What a model answers about slides: the form that it must have, and the remarks of it that hold."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from edgeai.notes.tidy import tidy
from edgeai.review.deck import Slide
from edgeai.review.quotes import agrees, echoes, quoted
from edgeai.review.remarks import Remark
from edgeai.review.rules import DECK_KIND, Rules
from edgeai.safe_text import one_line

MAX_TOKENS = 400
"""Of an answer."""

_MAX_QUOTE_CHARS, _MAX_REMARK_CHARS = 100, 160
_LEAST_REMARK_CHARS = 6

_Item = TypeVar("_Item", "_OnSlide", "_OnTwo")


def slide_schema(rules: Rules) -> dict[str, Any]:
    """Of an answer about one slide."""
    return _list_of({"quote": _text(_MAX_QUOTE_CHARS), "kind": {"enum": list(rules.kinds)}}, rules)


def deck_schema(rules: Rules, slides: Sequence[Slide]) -> dict[str, Any]:
    """Of an answer about several slides."""
    number = {"enum": [slide.number for slide in slides]}
    quote = _text(_MAX_QUOTE_CHARS)
    return _list_of({"slide": number, "quote": quote, "other_slide": number, "other_quote": quote}, rules)


class _OnSlide(msgspec.Struct):
    quote: str
    kind: str
    remark: str


class _OnTwo(msgspec.Struct):
    slide: int
    quote: str
    other_slide: int
    other_quote: str
    remark: str


def slide_remarks(answer: str, slide: Slide, prompt: str, kinds: Sequence[str]) -> list[Remark]:
    """The remarks on a slide whose quotes stand there.

    Args:
        answer: of the model.
        slide: that it is about.
        prompt: what the model was told to do.
        kinds: that a remark may be of.
    """
    found = []
    for item in _items(answer, _OnSlide):
        text, quote = _said(item.remark, prompt), quoted(item.quote, slide)
        if text and quote and item.kind in kinds and agrees(text, slide) and _says_more(text, quote):
            found.append(Remark(item.kind, text, (slide.number,), (quote,), is_measured=False))
    return found


def deck_remarks(answer: str, slides: Sequence[Slide], prompt: str) -> list[Remark]:
    """The remarks on two slides whose quotes stand there, and are not the same; see `slide_remarks`."""
    by_number = {slide.number: slide for slide in slides}
    found = []
    for item in _items(answer, _OnTwo):
        one, other = by_number.get(item.slide), by_number.get(item.other_slide)
        if one is None or other is None or one is other:
            continue
        text, quote, other_quote = _said(item.remark, prompt), quoted(item.quote, one), quoted(item.other_quote, other)
        if text and quote and other_quote and quote.casefold() != other_quote.casefold() and agrees(text, one, other):
            numbers = (one.number, other.number)
            found.append(Remark(DECK_KIND, text, numbers, (quote, other_quote), is_measured=False))
    return found


def new_ones(remarks: Sequence[Remark], said: set[str]) -> list[Remark]:
    """Remarks without those that were said before: small models say the same of every slide.

    Args:
        remarks: of one answer.
        said: before, in the letters that it was said in; it grows.
    """
    kept = []
    for remark in remarks:
        key = "".join(sign for sign in remark.text.casefold() if sign.isalpha())
        if key not in said:
            kept.append(remark)
        said.add(key)
    return kept


def _list_of(properties: Mapping[str, Any], rules: Rules) -> dict[str, Any]:
    named = {**properties, "remark": _text(_MAX_REMARK_CHARS)}
    item = {"type": "object", "properties": named, "required": list(named)}
    remarks = {"type": "array", "items": item, "maxItems": rules.max_remarks}
    return {"type": "object", "properties": {"remarks": remarks}, "required": ["remarks"]}


def _text(n_chars: int) -> dict[str, Any]:
    return {"type": "string", "maxLength": n_chars}


def _items(answer: str, kind: type[_Item]) -> Iterator[_Item]:
    """Of an answer that is whole; of one that was cut short, those before its end."""
    value = _parsed(answer)
    end = len(answer)
    while value is None and (end := answer.rfind("}", 0, end)) > 0:
        value = _parsed(answer[: end + 1] + "]}")
    items = value.get("remarks") if isinstance(value, dict) else None
    for item in items if isinstance(items, list) else ():
        with contextlib.suppress(msgspec.ValidationError):
            yield msgspec.convert(item, kind)


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _said(remark: str, prompt: str) -> str:
    """A remark on one line; "" where it says nothing."""
    text = " ".join(tidy(one_line(remark), is_whole=True).split())
    return text if len(text) >= _LEAST_REMARK_CHARS and not echoes(text, prompt) else ""


def _says_more(text: str, quote: str) -> bool:
    """Whether a remark says something else than what it quotes."""
    return text.casefold().strip(" .\"'") not in quote.casefold()
