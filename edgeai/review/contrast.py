"""How much letters stand out from their ground, measured on the pixels of a drawn slide.

Source: Web Content Accessibility Guidelines (WCAG) 2.2, definitions of relative luminance and contrast ratio.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgeai.media import Medium

_LEAST_GROUND = 0.3  # of the pixels: where less have one colour, there is a picture or a gradient
_INK = 1.06  # contrast from which a pixel belongs to a letter
_INNER_SHARE, _INNER_PIXELS = 0.005, 4  # of the ink, what stands out most: the inside of letters, not their soft edges
_AROUND = 0.15  # of a line's height, looked at besides
_LEAST_PIXELS = 6  # of a line's height


def text_contrast(picture: Medium, box: tuple[float, float, float, float]) -> float | None:
    """The contrast ratio of a line of text, 1..21.

    Args:
        picture: of the slide.
        box: left, top, right and bottom as shares of its width and height.
    Returns:
        The ratio; None where the ground has no single colour, or nothing is to be seen.
    """
    pixels = np.frombuffer(picture.data, np.uint8).reshape(picture.height, picture.width, 3)
    around = _AROUND * (box[3] - box[1])
    left, right = (round(share * picture.width) for share in (box[0], box[2]))
    top, bottom = (round(share * picture.height) for share in (max(box[1] - around, 0.0), box[3] + around))
    part = pixels[top : bottom + 1, left : right + 1].reshape(-1, 3)
    if bottom - top < _LEAST_PIXELS or right - left < _LEAST_PIXELS or not len(part):
        return None
    ground = _ground(part)
    if ground is None:
        return None
    light, ground_light = _luminance(part), float(_luminance(ground[None])[0])
    ratio = (np.maximum(light, ground_light) + 0.05) / (np.minimum(light, ground_light) + 0.05)
    ink = ratio[ratio > _INK]
    if len(ink) < _INNER_PIXELS:  # nothing was drawn: the letters of a font that is not in the file, perhaps
        return None
    return float(np.sort(ink)[-max(_INNER_PIXELS, int(_INNER_SHARE * len(ink)))])


def _ground(pixels: NDArray[np.uint8]) -> Any:
    """[3]: the colour that most pixels have."""
    coarse = (pixels >> 4).astype(np.int32)
    codes = (coarse[:, 0] << 8) | (coarse[:, 1] << 4) | coarse[:, 2]
    counts = np.bincount(codes, minlength=1)
    most = int(np.argmax(counts))
    if counts[most] < _LEAST_GROUND * len(pixels):
        return None
    return np.median(pixels[codes == most], axis=0)


def _luminance(pixels: Any) -> Any:
    """[n]: relative luminance, 0..1, of sRGB."""
    share = pixels.astype(np.float64) / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    return linear @ np.array([0.2126, 0.7152, 0.0722])
