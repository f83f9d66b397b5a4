"""What is measured of slides, without a model: small letters, much text, low contrast, claims without a source."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from edgeai.review.claims import claims_of, has_source, is_source
from edgeai.review.deck import Line, Slide
from edgeai.review.remarks import Remark
from edgeai.review.rules import Rules

_LEAST_REPEATED = 3  # slides on which a line stands that is a footer
_REPEATED_SHARE = 0.5
_MAX_QUOTE_CHARS = 80
_EAST_ASIAN = re.compile("[\u3005-\u3007\u3041-\u30ff\u3400-\u9fff\uac00-\ud7a3\uf900-\ufaff]")
_WORD = re.compile(r"[^\W_]+(?:['’.,-][^\W_]+)*")
_FIGURES = re.compile(r"\d+")
_PAGE_NUMBER = re.compile(r"\W*(?:(?:p|page|slide)\W*)?\d{1,4}(?:\s*/\s*\d{1,4})?\W*", re.IGNORECASE)


def without_furniture(slides: Sequence[Slide]) -> list[Slide]:
    """Slides without page numbers, and without footers, which stand on most of them."""
    n_with = Counter(key for slide in slides for key in {_key(line) for line in _below_title(slide)})
    least = max(_LEAST_REPEATED, _REPEATED_SHARE * len(slides))
    furniture = {key for key, n in n_with.items() if n >= least}
    return [
        replace(slide, lines=tuple(line for line in slide.lines if line is slide.title_line or _stays(line, furniture)))
        for slide in slides
    ]


def _below_title(slide: Slide) -> list[Line]:
    return [line for line in slide.lines if line is not slide.title_line]


def _stays(line: Line, furniture: set[str]) -> bool:
    return not _PAGE_NUMBER.fullmatch(line.text) and _key(line) not in furniture


def _key(line: Line) -> str:
    return _FIGURES.sub("0", unicodedata.normalize("NFKC", line.text).casefold())


def measured(slide: Slide, rules: Rules) -> list[Remark]:
    """The remarks on one slide, at most one of each kind."""
    return [remark for check in _CHECKS if (remark := check(slide, rules))]


def n_words(text: str) -> int:
    """Words; where they are not separated, two signs are one."""
    n_signs = len(_EAST_ASIAN.findall(text))
    return len(_WORD.findall(_EAST_ASIAN.sub(" ", text))) + (n_signs + 1) // 2


def _small_text(slide: Slide, rules: Rules) -> Remark | None:
    """Sources may be small, as they are read afterwards."""
    limit = rules.limits["min_font_points"]
    small = [line for line in slide.lines if 0 < line.points < limit - 0.05 and not is_source(line.text, rules)]
    if not small:
        return None
    smallest = min(small, key=lambda line: line.points)
    size = ("≤ " if smallest.is_recognized else "") + f"{smallest.points:.1f}".removesuffix(".0")
    text = rules.said("small_text", size=size, limit=f"{limit:g}")
    return _remark("small_text", slide, smallest, text, len(small), rules)


def _too_much_text(slide: Slide, rules: Rules) -> Remark | None:
    limits = rules.limits
    words, lines = n_words(slide.text), len(slide.lines)
    if words <= limits["max_words"] and lines <= limits["max_lines"]:
        return None
    most = {name: f"{limits[name]:g}" for name in ("max_words", "max_lines")}
    return Remark("too_much_text", rules.said("too_much_text", n_words=words, n_lines=lines, **most), (slide.number,))


def _low_contrast(slide: Slide, rules: Rules) -> Remark | None:
    low = [line for line in slide.lines if line.contrast is not None and line.contrast < _least(line, rules)]
    if not low:
        return None
    lowest = min(low, key=lambda line: line.contrast or 0.0)
    assert lowest.contrast is not None
    ratio = f"{lowest.contrast - 0.05:.1f}" if lowest.contrast > 1.05 else "1.0"  # rounded down: 4.47 is no 4.5
    text = rules.said("low_contrast", ratio=ratio, limit=f"{_least(lowest, rules):g}")
    return _remark("low_contrast", slide, lowest, text, len(low), rules)


def _least(line: Line, rules: Rules) -> float:
    """Large letters, and those whose size is not known, may have less."""
    is_large = not line.points or line.points >= rules.limits["large_font_points"]
    return rules.limits["min_contrast_large" if is_large else "min_contrast"]


def _no_source(slide: Slide, rules: Rules) -> Remark | None:
    if has_source(slide, rules):
        return None
    claims = claims_of(slide, rules)
    return _remark("no_source", slide, claims[0], rules.said("no_source"), len(claims), rules) if claims else None


def _remark(kind: str, slide: Slide, line: Line, text: str, n_lines: int, rules: Rules) -> Remark:
    """About one line, which is quoted, and others of its kind."""
    more = f" ({rules.said('others', n=n_lines - 1)})" if n_lines > 1 else ""
    return Remark(kind, text + more, (slide.number,), (_quote(line.text),))


def _quote(text: str) -> str:
    """The beginning of a line, so that it stands there."""
    return text if len(text) <= _MAX_QUOTE_CHARS else text[:_MAX_QUOTE_CHARS].rsplit(" ", 1)[0]


_CHECKS: tuple[Callable[[Slide, Rules], Remark | None], ...] = (_small_text, _too_much_text, _low_contrast, _no_source)
