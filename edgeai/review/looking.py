"""A slide looked at: the size and contrast of its lines are measured, and what is written in its pictures is read."""

from __future__ import annotations

import json
import logging
import unicodedata
from dataclasses import replace
from typing import TYPE_CHECKING

from edgeai.errors import PictureError
from edgeai.review.contrast import text_contrast
from edgeai.review.deck import HEIGHT_POINTS, Line, Slide
from edgeai.review.process import FoundLine, FoundSlide
from edgeai.vision import ocr

if TYPE_CHECKING:
    from edgeai.documents.types import OcrMode
    from edgeai.media import Medium
    from edgeai.notes.journal import Journal

_log = logging.getLogger(__name__)

_Box = tuple[float, float, float, float]


def looked_at(found: FoundSlide, wanted: OcrMode, journal: Journal) -> Slide:
    """A slide with all that can be measured of it.

    Args:
        found: as its file holds it.
        wanted: whether writing is recognised: on slides with pictures or without text ("auto"), on all, on none.
        journal: keeps what was recognised.
    """
    height = found.height or HEIGHT_POINTS
    lines = [_line(line, line.points * HEIGHT_POINTS / height, found.picture) for line in found.lines]
    if found.picture is not None and (wanted == "always" or (wanted == "auto" and found.has_pictures)):
        for line in _recognized(found.picture, found.number, journal):
            if not _is_known(line, found.lines):
                # The box of a recognised line is a little higher than its letters: what is small is small indeed.
                assert line.box is not None
                points = (line.box[3] - line.box[1]) * HEIGHT_POINTS
                lines.append(replace(_line(line, points, found.picture), is_recognized=True))
    return Slide(found.number, tuple(lines), found.picture is not None)


def _line(line: FoundLine, points: float, picture: Medium | None) -> Line:
    contrast = None if picture is None or line.box is None else text_contrast(picture, line.box)
    return Line(line.text, points, contrast)


def _recognized(picture: Medium, number: int, journal: Journal) -> list[FoundLine]:
    """Lines that stand upright, with their places."""
    key = f"{ocr.READER_NAME} {picture.sha256}"
    kept = journal.get(key)
    if kept is None:
        try:
            found = ocr.read_text(picture).lines
        except PictureError as exc:
            _log.warning("slide %d: %s", number, exc)
            return []
        boxes = [_share(line.box, picture.size) for line in found]
        kept = json.dumps([[line.text, *box] for line, box in zip(found, boxes, strict=True)])
        journal.put(key, kept)
    lines = (FoundLine(text, 0.0, (left, top, right, bottom)) for text, left, top, right, bottom in json.loads(kept))
    return [line for line in lines if line.box and _lies(line, picture.size)]


def _share(corners: tuple[tuple[float, float], ...], size: tuple[int, int]) -> _Box:
    across, down = zip(*corners, strict=True)
    left, top, right, bottom = min(across) / size[0], min(down) / size[1], max(across) / size[0], max(down) / size[1]
    return max(left, 0.0), max(top, 0.0), min(right, 1.0), min(bottom, 1.0)


def _lies(line: FoundLine, size: tuple[int, int]) -> bool:
    """Whether it is wider than high: the height of others is not that of their letters."""
    assert line.box is not None
    width, height = (line.box[2] - line.box[0]) * size[0], (line.box[3] - line.box[1]) * size[1]
    return width >= height or len(line.text) < 3


def _is_known(line: FoundLine, lines: tuple[FoundLine, ...]) -> bool:
    """Whether a recognised line is one of the file's own."""
    assert line.box is not None
    x, y = (line.box[0] + line.box[2]) / 2, (line.box[1] + line.box[3]) / 2
    if any(box[0] <= x <= box[2] and box[1] <= y <= box[3] for box in (each.box for each in lines) if box):
        return True
    return _bare(line.text) in "\n".join(_bare(each.text) for each in lines)


def _bare(text: str) -> str:
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())
