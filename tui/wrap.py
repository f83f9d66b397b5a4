"""Where a line of text may break, in terminal cells: Japanese without spaces, emoji never cut in two."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from rich.cells import cell_len, split_graphemes

_CHUNK = re.compile(r"\S+\s*|\s+")
_NOT_AT_START = frozenset(
    "、。，．,.・:;：；?!？！)]}）］｝〕〉》」』】’”…‥ーぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮヵヶ々〜～"
)
_NOT_AT_END = frozenset("([{（［｛〔〈《「『【‘“")

Unit = tuple[int, int, int]
"""Text that stays together: start and end in the string without the spaces that follow, and its width in cells."""


def break_offsets(text: str, width: int, hang: int = 0, *, fold: bool = False) -> list[int]:
    """Offsets at which a new line starts so that every line fits.

    Spaces at which a line breaks may hang over its end. Text without spaces breaks between wide characters, but not
    before a closing or after an opening bracket (the core of the Japanese line-breaking rules, JIS X 4051).

    Args:
        text: one logical line, without tabs and newlines.
        width: cells of a line.
        hang: cells by which every line but the first is indented.
        fold: break anywhere between characters, as code needs it.
    """
    if cell_len(text) <= width:
        return []
    width = max(width, 2)
    rest = max(width - hang, 2)
    breaks: list[int] = []
    x, limit = 0, width
    units = pairwise([*_units(text, fold), (len(text), len(text), 0)])
    for (start, end, visible), (following, _, _) in units:
        if x + visible > limit:
            if x:
                breaks.append(start)
                x, limit = 0, rest
            if visible > limit:
                folded, x = _fold(text, start, end, limit, rest)
                breaks += folded
                limit = rest
                x += cell_len(text[end:following])
                continue
        x += cell_len(text[start:following])
    return breaks


def _units(text: str, fold: bool) -> Iterator[Unit]:
    """The pieces of a text that stay on one line where that is possible."""
    if fold:
        yield from split_graphemes(text)[0]
        return
    for match in _CHUNK.finditer(text):
        chunk = match.group()
        visible = chunk.rstrip()
        if chunk.isascii() or cell_len(visible) == len(visible):
            yield match.start(), match.start() + len(visible), cell_len(visible)
        else:
            yield from _split_wide(visible, match.start())


def _split_wide(word: str, offset: int) -> Iterator[Unit]:
    """Break a word around its wide characters, brackets kept with what they enclose."""
    graphemes = split_graphemes(word)[0]
    start, width, previous = 0, 0, ""
    previous_wide = False
    for begin, _end, cells in graphemes:
        character = word[begin]
        wide = cells > 1
        together = character in _NOT_AT_START or previous in _NOT_AT_END or not (wide or previous_wide)
        if previous and not together:
            yield offset + start, offset + begin, width
            start, width = begin, 0
        width += cells
        previous, previous_wide = character, wide
    yield offset + start, offset + len(word), width


def _fold(text: str, start: int, end: int, limit: int, rest: int) -> tuple[list[int], int]:
    """Break one unit that is wider than a line; gives the breaks and the cells used on its last line."""
    breaks: list[int] = []
    x = 0
    for begin, _end, cells in split_graphemes(text[start:end])[0]:
        if x + cells > limit and x:
            breaks.append(start + begin)
            x, limit = 0, rest
        x += cells
    return breaks, x
