"""Where lines of text stand in a picture of any size: looked for in the whole, then in parts where letters are small.

The network finds letters of 9 pixels and more, fewer of them the more emptiness it sees, and takes time and memory by
the pixel.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]
    Boxes = NDArray[np.float32]
    Find = Callable[[Pixels], Boxes]

SIDE = 1600
"""Pixels of the longer side of what is looked at as one; what is larger is made smaller."""
_PART_SIDE = 2200  # pixels: parts are made smaller by so little that letters of 12 pixels stay
_WHOLE_SIDE = 3200  # up to here the whole is looked at first
_SMALL = 20.0  # pixels of a line's height in the smaller picture, under which lines may have been overlooked
_SEAM = 6.0  # pixels from a cut within which boxes on both sides are parts of one line
_INK = 16  # of 255, by which writing differs from what it stands on
_MARGIN = 32  # pixels that are left around what is written
_LOOSE = 0.1  # of a part's side: so much a cut may be moved to where nothing is written


def text_boxes(pixels: Pixels, find: Find) -> Boxes:
    """The lines' corners.

    Args:
        pixels: [height, width, 3].
        find: the corners, in a picture, which it makes smaller to SIDE.
    Returns:
        [n, 4, 2], x and y, clockwise from the upper left.
    """
    used, left, top = _used(pixels)
    return _in_used(used, find) + np.array([left, top], np.float32)


def _in_used(pixels: Pixels, find: Find) -> Boxes:
    side = max(pixels.shape[:2])
    if side <= _WHOLE_SIDE:
        boxes = find(pixels) if side else np.zeros((0, 4, 2), np.float32)
        if side <= SIDE or (len(boxes) and np.percentile(_heights(boxes), 10) * SIDE / side >= _SMALL):
            return boxes
    return _in_parts(pixels, find)


def _used(pixels: Pixels) -> tuple[Pixels, int, int]:
    """The picture without empty margins, and where it begins; of size 0 where all of it is empty."""
    spans = []
    for axis in (1, 0):
        busy = np.flatnonzero((pixels.max(axis=axis) - pixels.min(axis=axis)).max(axis=1) > _INK)
        if not len(busy):
            return pixels[:0, :0], 0, 0
        spans.append((max(int(busy[0]) - _MARGIN, 0), int(busy[-1]) + _MARGIN))
    (top, bottom), (left, right) = spans
    return pixels[top:bottom, left:right], left, top


def _heights(boxes: Boxes) -> Any:
    """[n]: the shorter side of each."""
    across = np.linalg.norm(boxes[:, 1] - boxes[:, 0], axis=1)
    down = np.linalg.norm(boxes[:, 3] - boxes[:, 0], axis=1)
    return np.minimum(across, down)


def _in_parts(pixels: Pixels, find: Find) -> Boxes:
    """Cut into parts, and lines that were cut through made whole again."""
    grey = pixels.mean(axis=2, dtype=np.float32)
    rows, columns = (_cuts(np.abs(np.diff(grey, axis=1 - axis)).mean(axis=1 - axis)) for axis in (0, 1))
    found = [np.zeros((0, 4, 2), np.float32)]
    for (top, bottom), (left, right) in itertools.product(itertools.pairwise(rows), itertools.pairwise(columns)):
        used, more_left, more_top = _used(pixels[top:bottom, left:right])
        if len(used):
            found.append(find(used) + np.array([left + more_left, top + more_top], np.float32))
    boxes = list(np.concatenate(found))
    for axis, cuts in ((0, columns), (1, rows)):
        for cut in cuts[1:-1]:
            boxes = _sewn(boxes, cut, axis)
    return np.array(boxes, np.float32).reshape(-1, 4, 2)


def _cuts(busy: Any) -> list[int]:
    """Where to cut, both ends included: near equal parts, where least is written."""
    n_parts = math.ceil((len(busy) + 1) / _PART_SIDE)
    step = len(busy) / n_parts
    reach = int(_LOOSE * step / 2)
    inner = [int(step * number) for number in range(1, n_parts)]
    return [0, *(at - reach + int(np.argmin(busy[at - reach : at + reach + 1])) for at in inner), len(busy)]


def _sewn(boxes: list[Any], cut: int, axis: int) -> list[Any]:
    """Boxes that a cut parted made one. `axis`: 0 for a cut from top to bottom."""
    before = [box for box in boxes if box[:, axis].min() < cut - _SEAM and abs(box[:, axis].max() - cut) <= _SEAM]
    behind = [box for box in boxes if box[:, axis].max() > cut + _SEAM and abs(box[:, axis].min() - cut) <= _SEAM]
    taken: set[int] = set()
    for one in before:
        for other in behind:
            if id(other) not in taken and _beside(one[:, 1 - axis], other[:, 1 - axis]):
                taken |= {id(one), id(other)}
                boxes = [*boxes, _around(np.concatenate([one, other]))]
                break
    return [box for box in boxes if id(box) not in taken]


def _beside(one: Any, other: Any) -> bool:
    """Whether two spans are about the same."""
    common = min(one.max(), other.max()) - max(one.min(), other.min())
    return bool(common > 0.6 * max(np.ptp(one), np.ptp(other)))


def _around(points: Any) -> Any:
    (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)], np.float32)
