"""Numbers that differ between slides for the same label, where that is plain: `Staff: 12` and `Staff: 15`."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Sequence
from decimal import Decimal, InvalidOperation

from edgeai.review.deck import Slide
from edgeai.review.remarks import Remark
from edgeai.review.rules import Rules

_MAX_LABEL_WORDS, _MAX_LABEL_CHARS = 8, 60
_MAX_LINE_CHARS = 120
_MAX_REMARKS = 20
_LABELLED = re.compile(
    r"[-*+•・>\s]*(?P<label>[^:=|\t]{2,60}?)\s*(?P<sign>[:=|\t]|\s[-–—]\s|\s(?=[$€£¥]?\d[\d.,]*\D*$))\s*"
    r"(?P<currency>[$€£¥]?)\s*(?P<number>-?\d{1,15}(?:[.,]\d{1,9}){0,5})\s*"
    r"(?P<unit>[^\d\s:|]{0,12}(?: [^\W\d]{1,12})?)\s*[.。|]?"
)
_YEAR = re.compile(r"(?:19|20)\d\d")
_LETTER = re.compile(r"[^\W\d_]")
_TOTALS = ("total", "sum", "budget", "合計", "総額", "総数", "総計", "予算")
"""Labels with one of these need no sign before their number."""


def differing(slides: Sequence[Slide], rules: Rules) -> list[Remark]:
    """A remark for each label with different numbers.

    A label with another number on each of three slides or more is one that every slide has for itself.
    """
    found: dict[tuple[str, str], dict[int, dict[str, str]]] = defaultdict(lambda: defaultdict(dict))
    for slide in slides:
        for key, value, quote in _labelled(slide, rules):
            found[key][slide.number][value] = quote
    remarks = []
    for by_slide in found.values():
        told = {number: values for number, values in by_slide.items() if len(values) == 1}
        numbers_of: dict[str, list[int]] = defaultdict(list)
        for number, values in told.items():
            numbers_of[next(iter(values))].append(number)
        if len(numbers_of) < 2 or (len(told) > 2 and len(numbers_of) == len(told)):
            continue
        remarks.append(_remark(numbers_of, told, rules))
    return remarks[:_MAX_REMARKS]


def _remark(numbers_of: dict[str, list[int]], told: dict[int, dict[str, str]], rules: Rules) -> Remark:
    groups = sorted(numbers_of.items(), key=lambda group: group[1])
    quotes = tuple(told[numbers[0]][value] for value, numbers in groups)
    label = _LABELLED.fullmatch(_plain(quotes[0]))
    values = [
        rules.said("value", value=_value(quote), slides=", ".join(map(str, numbers)))
        for quote, (_, numbers) in zip(quotes, groups, strict=True)
    ]
    name = label["label"].strip() if label else ""
    text = rules.said("inconsistent", label=name, values=", ".join(values))
    return Remark("inconsistent", text, tuple(sorted(number for _, all_ in groups for number in all_)), quotes)


def _value(quote: str) -> str:
    text = _plain(quote)
    found = _LABELLED.fullmatch(text)
    return quote if found is None else text[found.start("currency") :].rstrip(" .。|")


def _labelled(slide: Slide, rules: Rules) -> Iterator[tuple[tuple[str, str], str, str]]:
    """Label and unit, the number, and the line."""
    for line in slide.lines:
        text = _plain(line.text)
        found = _LABELLED.fullmatch(text) if len(text) <= _MAX_LINE_CHARS else None
        if found is None:
            continue
        label = " ".join(found["label"].casefold().split())
        unit, number = f"{found['currency']}{found['unit']}".casefold().strip(), _number(found["number"])
        has_sign = bool(found["sign"].strip()) or found["sign"] == "\t"
        if not _LETTER.search(label) or len(label.split()) > _MAX_LABEL_WORDS or len(label) > _MAX_LABEL_CHARS:
            continue
        if not has_sign and (not any(word in label for word in _TOTALS) or (_YEAR.fullmatch(number) and not unit)):
            continue
        if label in rules.words["general_labels"]:
            label = f"{slide.title.casefold()}\n{label}"
        yield (label, unit), number, line.text


def _number(text: str) -> str:
    """`1,200.50` and `1200.5` are one."""
    try:
        return f"{Decimal(text.replace(',', '')).normalize():f}"
    except InvalidOperation:  # 1.2.3
        return text


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).split())
