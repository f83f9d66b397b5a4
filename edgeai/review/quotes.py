"""Whether what a model says of a slide stands on it: its quote, and the numbers that it speaks of."""

from __future__ import annotations

import re
import unicodedata

from edgeai.documents.quantities import numbers
from edgeai.review.deck import Slide

_DASHES_AND_QUOTES = str.maketrans({"‐": "-", "‑": "-", "–": "-", "—": "-", "’": "'", "‘": "'", "“": '"', "”": '"'})
_EDGES = " \t\"'“”‘’.,;:…。、「」『』*•-"
_LETTERS = re.compile(r"[^\W_]")
_LEAST_CHARS = 2


def quoted(quote: str, slide: Slide) -> str | None:
    """The words of a quote as they stand on the slide; None where they do not stand there."""
    wanted = " ".join(quote.split()).strip(_EDGES)
    if len(_LETTERS.findall(wanted)) < _LEAST_CHARS:
        return None
    whole = " ".join(line.text for line in slide.lines)
    for text, words in ((whole, wanted.translate(_DASHES_AND_QUOTES)), (_bare(whole), _bare(wanted))):
        pattern = re.compile(r"\s*".join(map(re.escape, words.split())), re.IGNORECASE)
        for found in pattern.finditer(text.translate(_DASHES_AND_QUOTES)):
            if _is_edge(text, found.start()) and _is_edge(text, found.end()):
                return text[found.start() : found.end()]
    return None


def echoes(text: str, prompt: str) -> bool:
    """Whether a remark only repeats what the model was told."""
    return _letters(text) in _letters(prompt)


def agrees(text: str, *slides: Slide) -> bool:
    """Whether all numbers of a remark stand on the slides that it is about, or are their own."""
    there = {str(slide.number) for slide in slides}
    for slide in slides:
        there |= numbers(slide.text, is_source=True)
    return numbers(text) <= there


def _bare(text: str) -> str:
    """Its words in small letters, a blank between them."""
    return " ".join(unicodedata.normalize("NFKC", text.translate(_DASHES_AND_QUOTES)).casefold().split())


def _is_edge(text: str, at: int) -> bool:
    """Whether a word may begin or end there; in scripts that do not separate words it may anywhere."""
    if not 0 < at < len(text):
        return True
    before, behind = text[at - 1], text[at]
    return not (before.isascii() and behind.isascii() and before.isalnum() and behind.isalnum())


def _letters(text: str) -> str:
    return "".join(sign for sign in unicodedata.normalize("NFKC", text).casefold() if sign.isalnum())
