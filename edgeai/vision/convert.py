"""Pictures of all modes to what a model takes in: upright, RGB, sRGB, on white, of a bounded size."""

from __future__ import annotations

import contextlib
import io
import math
from typing import TYPE_CHECKING

from edgeai.media import MAX_PICTURE_PIXELS, MAX_PICTURE_SIDE

if TYPE_CHECKING:
    from PIL.Image import Image

_ORIENTATION = 0x0112
_REDUCING_GAP = 3.0  # Pillow's documentation: nearly as good as without, and a quarter of the time
_ROTATED = (5, 6, 7, 8)


def fitting(width: int, height: int) -> tuple[int, int]:
    """The size to which a picture is made smaller, with its sides' ratio; its own where it is small enough."""
    scale = min(MAX_PICTURE_SIDE / max(width, height), math.sqrt(MAX_PICTURE_PIXELS / (width * height)))
    if scale >= 1:
        return width, height
    return max(1, int(width * scale)), max(1, int(height * scale))


def upright_size(image: Image, lying: tuple[int, int]) -> tuple[int, int]:
    """Width and height as a picture is looked at, from those that it has as it lies."""
    return lying[::-1] if _orientation(image) in _ROTATED else lying


def to_rgb(image: Image, size: tuple[int, int]) -> Image:
    """A loaded picture as a model takes it in.

    Args:
        image: of any mode that Pillow has.
        size: to which it is made smaller, as it lies.
    Returns:
        Mode RGB, upright.
    """
    from PIL.Image import Resampling

    orientation, profile = _orientation(image), image.info.get("icc_profile")
    image = _resizable(image)
    if image.size != size:
        image = image.resize(size, Resampling.LANCZOS, reducing_gap=_REDUCING_GAP)
    return _upright(_on_white(_in_srgb(_in_8_bits(image), profile)), orientation)


def _orientation(image: Image) -> int:
    """EXIF's, 1..8; 1 is upright."""
    with contextlib.suppress(Exception):  # whatever a damaged EXIF block makes Pillow raise: the picture is good
        found = image.getexif().get(_ORIENTATION, 1)
        return found if found in range(1, 9) else 1
    return 1


def _upright(image: Image, orientation: int) -> Image:
    from PIL.Image import Transpose

    turns = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }
    return image.transpose(turns[orientation]) if orientation in turns else image


def _resizable(image: Image) -> Image:
    """The picture in a mode of which the mean of pixels is a mean of what they show."""
    if image.mode.startswith("I;16"):
        import numpy as np
        from PIL.Image import fromarray

        return fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        return image
    if image.has_transparency_data:
        return image if image.mode == "RGBA" else image.convert("RGBA")
    if image.mode in ("L", "RGB", "CMYK", "LAB"):
        return image
    return image.convert("L" if image.mode == "1" else "RGB")


def _in_8_bits(image: Image) -> Image:
    """Numbers without a range of their own: 16 bits where all fit in, the interval 0..1, else what there is."""
    if image.mode not in ("I", "F"):
        return image
    import numpy as np
    from PIL.Image import fromarray

    numbers = np.nan_to_num(np.asarray(image, np.float32), posinf=0.0, neginf=0.0)
    low, high = float(numbers.min()), float(numbers.max())
    if low >= 0 and high <= (65_535 if image.mode == "I" else 1):
        low, high = 0.0, 65_535.0 if image.mode == "I" else 1.0
    numbers = (numbers - low) * (255 / max(high - low, 1e-30))
    return fromarray(np.clip(numbers, 0, 255).astype(np.uint8))


def _in_srgb(image: Image, profile: object) -> Image:
    """The colours that the file's own colour profile means; without a good one as they stand."""
    if isinstance(profile, bytes) and profile and image.mode in ("L", "RGB", "RGBA", "CMYK", "LAB"):
        from PIL import ImageCms

        with contextlib.suppress(ImageCms.PyCMSError, OSError, ValueError, TypeError):
            given = ImageCms.getOpenProfile(io.BytesIO(profile))
            if "sRGB" in (given.profile.profile_description or ""):
                return image
            colours = image.convert("RGB") if image.mode == "RGBA" else image
            turned = ImageCms.profileToProfile(colours, given, ImageCms.createProfile("sRGB"), outputMode="RGB")
            assert turned is not None
            if image.mode == "RGBA":
                turned.putalpha(image.getchannel("A"))
            return turned
    return image


def _on_white(image: Image) -> Image:
    if image.mode == "RGBA":
        from PIL.Image import alpha_composite, new

        image = alpha_composite(new("RGBA", image.size, "white"), image)
    return image if image.mode == "RGB" else image.convert("RGB")
