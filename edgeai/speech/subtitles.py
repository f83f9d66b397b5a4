"""Segments cut into subtitles that can be read: two lines at most, none too long."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING
from unicodedata import east_asian_width

from edgeai.safe_text import one_line

if TYPE_CHECKING:
    from edgeai.speech.types import Segment

MAX_CELLS = 42
"""Of a line, as broadcasters have it; letters of Japanese and Chinese take two."""
_MAX_LINES = 2
_NO_LINE_BEGINS = frozenset("、。，．・：；？！ー」』）】〉》…,.;:?!)]}ぁぃぅぇぉっゃゅょァィゥェォッャュョ")


@dataclass(frozen=True, slots=True)
class Cue:
    """One subtitle.

    Attributes:
        start_s: from the beginning of the recording.
        end_s: the same; later than the start, also where a recognizer gave none.
        lines: one or two, inert text.
    """

    start_s: float
    end_s: float
    lines: tuple[str, ...]


def cues(segments: Sequence[Segment]) -> Iterator[Cue]:
    """All subtitles, in their order, none before the one before it has ended.

    A long segment becomes several, which share its time by their length.
    """
    last_s = 0.0
    for segment, following in zip_longest(segments, segments[1:]):
        begin_s = max(last_s, segment.start_s)
        end_s = max(begin_s, segment.end_s)
        if following is not None and following.start_s > begin_s:  # recognizers let them overlap
            end_s = min(end_s, following.start_s)
        for cue in _shared(wrapped(one_line(segment.text)), begin_s, end_s - begin_s):
            last_s = cue.end_s
            yield cue


def _shared(lines: Sequence[str], begin_s: float, length_s: float) -> Iterator[Cue]:
    """Lines two by two; each pair has its part of the time."""
    groups = [tuple(lines[at : at + _MAX_LINES]) for at in range(0, len(lines), _MAX_LINES)]
    weights = [sum(map(cells, group)) for group in groups]
    done, start_s = 0, begin_s
    for group, weight in zip(groups, weights, strict=True):
        done += weight
        end_s = max(begin_s + length_s * done / sum(weights), start_s + 0.001)
        yield Cue(start_s, end_s, group)
        start_s = end_s


def wrapped(text: str) -> list[str]:
    """Text in lines of at most MAX_CELLS; none begins with a mark that ends a clause."""
    lines: list[str] = []
    line = ""
    for piece in _pieces(" ".join(text.split())):
        if line and cells(line + piece.rstrip()) > MAX_CELLS:
            lines.append(line.rstrip())
            line = ""
        line += piece
        while cells(line.rstrip()) > MAX_CELLS:  # a word that is longer than a line
            head = _head(line)
            lines.append(head)
            line = line[len(head) :]
    return [*lines, line.rstrip()] if line.strip() else lines


def cells(text: str) -> int:
    """The width of text."""
    return sum(2 if east_asian_width(letter) in "WF" else 1 for letter in text)


def _pieces(text: str) -> Iterator[str]:
    """Where a line may end: after spaces, and around each wide letter."""
    piece = ""
    for letter in text:
        is_wide = east_asian_width(letter) in "WF"
        if piece and letter not in _NO_LINE_BEGINS and (is_wide or piece[-1] == " " or cells(piece[-1]) == 2):
            yield piece
            piece = ""
        piece += letter
    if piece:
        yield piece


def _head(text: str) -> str:
    n_cells = 0
    for at, letter in enumerate(text):
        n_cells += cells(letter)
        if n_cells > MAX_CELLS:
            return text[:at]
    return text
