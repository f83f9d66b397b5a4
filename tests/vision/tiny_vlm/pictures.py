"""Pictures of one or two coloured shapes, the same pixels on any machine.

All geometry is in whole numbers, so neither the processor nor the version of a library can change a pixel, and the only
source of chance is `random.Random.random`, whose sequence Python keeps the same between its versions.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE = 96
"""Pixels at the side of the square that the model sees."""
PATCH = 16
GRID = SIDE // PATCH
UNIT = 16
"""Units of the geometry in one pixel."""

SHAPES = ("circle", "square", "triangle", "cross")
COLOURS = {
    "red": (212, 38, 44),
    "green": (42, 160, 66),
    "blue": (40, 84, 212),
    "yellow": (238, 218, 44),
    "purple": (142, 52, 172),
    "orange": (240, 134, 26),
}
SHADE = 14
"""How far a channel of a colour may be from the one above."""

_SHORT_SIDES = (48, 56, 64, 72, 80)

U8 = NDArray[np.uint8]
T = TypeVar("T")


@dataclass(frozen=True)
class Shape:
    """One shape, placed on the letterboxed square of `SIDE` pixels."""

    kind: str
    colour: str
    rgb: tuple[int, int, int]
    x: int
    y: int
    radius: int

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Left, top, right and bottom on the square, in pixels."""
        return self.x - self.radius, self.y - self.radius, self.x + self.radius, self.y + self.radius


@dataclass(frozen=True)
class Scene:
    """What a picture shows."""

    width: int
    height: int
    ground: tuple[int, int, int]
    shapes: tuple[Shape, ...]
    scale: int = 1

    @property
    def square(self) -> bool:
        return self.width == self.height


def pick(chance: random.Random, items: Sequence[T]) -> T:
    """One of some things, each as likely."""
    return items[int(chance.random() * len(items))]


def whole(chance: random.Random, low: int, high: int) -> int:
    """A whole number from `low` to `high`, both included."""
    return low + int(chance.random() * (high - low + 1))


def random_scene(chance: random.Random, n_shapes: int | None = None, *, square: bool | None = None) -> Scene:
    """A picture that every question about it has one right answer to.

    Args:
        chance: where the choices come from.
        n_shapes: one or two; left out, two are twice as likely.
        square: whether the picture is a square; left out, six of ten are.
    """
    if n_shapes is None:
        n_shapes = 1 if chance.random() < 1 / 3 else 2
    if square is None:
        square = chance.random() < 0.6
    width, height = SIDE, SIDE
    if not square:
        width, height = (SIDE, pick(chance, _SHORT_SIDES))
        if chance.random() < 0.5:
            width, height = height, width
    light = whole(chance, 200, 250)
    ground = (light + whole(chance, -8, 5), light + whole(chance, -8, 5), light + whole(chance, -8, 5))
    scale = 2 if chance.random() < 0.2 else 1
    while True:
        shapes = tuple(_random_shape(chance, width, height, n_shapes) for _ in range(n_shapes))
        if n_shapes == 2 and chance.random() < 0.2:
            shapes = (shapes[0], _coloured(chance, shapes[1], shapes[0].colour))
        if _clear(shapes):
            return Scene(width, height, ground, shapes, scale)


def side_of(shape: Shape) -> str | None:
    """Where a shape is on the square, or None where two words would do."""
    dx, dy = shape.x - SIDE // 2, shape.y - SIDE // 2
    if max(abs(dx), abs(dy)) <= 7:
        return "middle"
    if max(abs(dx), abs(dy)) < 13 or abs(abs(dx) - abs(dy)) < 8:
        return None
    if abs(dx) > abs(dy):
        return "left" if dx < 0 else "right"
    return "top" if dy < 0 else "bottom"


def draw(scene: Scene) -> Image.Image:
    """The picture itself, `scene.scale` times as large as the scene's own size, without bars."""
    unit = UNIT // scene.scale
    pixels = np.empty((scene.height * scene.scale, scene.width * scene.scale, 3), np.int64)
    pixels[:] = scene.ground
    left, top = (SIDE - scene.width) // 2, (SIDE - scene.height) // 2
    for shape in scene.shapes:
        x0, y0, x1, y1 = shape.box
        rows = slice((y0 - top) * scene.scale, (y1 - top) * scene.scale)
        columns = slice((x0 - left) * scene.scale, (x1 - left) * scene.scale)
        share = _coverage(shape, unit)[..., None]  # [rows, columns, 1], of 16
        under = pixels[rows, columns]
        pixels[rows, columns] = (under * (16 - share) + np.array(shape.rgb) * share + 8) // 16
    return Image.fromarray(pixels.astype(np.uint8))


def letterbox(picture: Image.Image) -> Image.Image:
    """The square that libmtmd makes of a picture: reduced to fit (bilinear), black bars at both ends.

    Source: `img_tool::resize` of llama.cpp's tools/mtmd/mtmd-image.cpp.
    """
    scale = min(SIDE / picture.width, SIDE / picture.height)
    size = (min(SIDE, -int(-picture.width * scale // 1)), min(SIDE, -int(-picture.height * scale // 1)))
    if size != picture.size:
        picture = picture.resize(size, Image.Resampling.BILINEAR)
    square = Image.new("RGB", (SIDE, SIDE))
    square.paste(picture, ((SIDE - size[0]) // 2, (SIDE - size[1]) // 2))
    return square


def _random_shape(chance: random.Random, width: int, height: int, n_shapes: int) -> Shape:
    largest = min(26 if n_shapes == 1 else 20, min(width, height) // 2 - 4)
    radius = whole(chance, 10, largest)
    colour = pick(chance, tuple(COLOURS))
    left, top = (SIDE - width) // 2, (SIDE - height) // 2
    x = left + whole(chance, radius + 1, width - radius - 1)
    y = top + whole(chance, radius + 1, height - radius - 1)
    return _coloured(chance, Shape(pick(chance, SHAPES), colour, (0, 0, 0), x, y, radius), colour)


def _coloured(chance: random.Random, shape: Shape, colour: str) -> Shape:
    red, green, blue = (min(255, max(0, channel + whole(chance, -SHADE, SHADE))) for channel in COLOURS[colour])
    return Shape(shape.kind, colour, (red, green, blue), shape.x, shape.y, shape.radius)


def _clear(shapes: tuple[Shape, ...]) -> bool:
    """Whether one shape has a place that one word names, or two lie apart, side by side, and are not the same."""
    if len(shapes) == 1:
        return side_of(shapes[0]) is not None
    first, second = shapes
    if (first.kind, first.colour) == (second.kind, second.colour) or abs(first.x - second.x) < 8:
        return False
    apart = first.radius + second.radius + 2
    return abs(first.x - second.x) >= apart or abs(first.y - second.y) >= apart


def _coverage(shape: Shape, unit: int) -> NDArray[np.int64]:
    """How many of a pixel's 16 sample points lie inside, for the pixels of the shape's box."""
    radius = shape.radius * UNIT
    n_pixels = 2 * radius // unit
    at = np.arange(4 * n_pixels, dtype=np.int64) * (unit // 4) + unit // 8 - radius
    dx, dy = at[None, :], at[:, None]
    if shape.kind == "circle":
        inside = dx * dx + dy * dy <= radius * radius
    elif shape.kind == "square":
        inside = (abs(dx) <= radius) & (abs(dy) <= radius)
    elif shape.kind == "triangle":
        inside = 2 * abs(dx) <= dy + radius
    else:
        inside = (3 * abs(dx) <= radius) | (3 * abs(dy) <= radius)
    return inside.reshape(n_pixels, 4, n_pixels, 4).sum(axis=(1, 3), dtype=np.int64)
