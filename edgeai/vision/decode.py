"""A picture's bytes to pixels, with Pillow. For the sandboxed process: decoders are native code."""

from __future__ import annotations

import importlib
import io
import re
import warnings
from typing import TYPE_CHECKING, Any

from edgeai.errors import PictureError
from edgeai.vision import limits
from edgeai.vision.convert import fitting, to_rgb, upright_size
from edgeai.vision.sniff import format_of
from edgeai.vision.wire import Decoded, Format

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

_PLUGINS: dict[Format, tuple[str, str]] = {
    "AVIF": ("PIL.AvifImagePlugin", "AvifImageFile"),
    "BMP": ("PIL.BmpImagePlugin", "BmpImageFile"),
    "GIF": ("PIL.GifImagePlugin", "GifImageFile"),
    "ICO": ("PIL.IcoImagePlugin", "IcoImageFile"),
    "JPEG": ("PIL.JpegImagePlugin", "JpegImageFile"),
    "JPEG2000": ("PIL.Jpeg2KImagePlugin", "Jpeg2KImageFile"),
    "PNG": ("PIL.PngImagePlugin", "PngImageFile"),
    "PPM": ("PIL.PpmImagePlugin", "PpmImageFile"),
    "QOI": ("PIL.QoiImagePlugin", "QoiImageFile"),
    "TIFF": ("PIL.TiffImagePlugin", "TiffImageFile"),
    "WEBP": ("PIL.WebPImagePlugin", "WebPImageFile"),
}
"""Opened by their classes: `PIL.Image.open` would load all formats, and take some JPEG files for MPO."""
_HEIF_LIBRARIES = ("pi_heif", "pillow_heif")


def decode(data: bytes) -> Decoded:
    """Decode a picture in this process, unprotected.

    Raises:
        PictureError: it cannot be decoded; without the file's name.
        MemoryError: it takes more than there is.
    """
    from PIL import Image

    name = format_of(data)
    Image.MAX_IMAGE_PIXELS = limits.MAX_PIXELS // 2  # Pillow raises at its double, and warns before
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what Pillow makes good, like a damaged EXIF block
            with _opened(data, name) as image:
                return _decoded(image, name)
    except (PictureError, MemoryError):
        raise
    except Image.DecompressionBombError as exc:
        found = re.search(r"\d+", str(exc))
        raise _too_large(f"{int(found[0]):,} pixels" if found else "too many pixels") from exc
    except Exception as exc:
        reason = f"{type(exc).__name__}: {exc}"[:200]
        raise PictureError(
            f"damaged or cut short ({reason}): expected a whole picture ({name}); fetch it again, or save it anew"
        ) from exc


def _decoded(image: ImageFile, name: Format) -> Decoded:
    lying = image.size  # as the header has it: nothing is decoded yet
    if lying[0] * lying[1] > limits.MAX_PIXELS:
        raise _too_large(f"{lying[0]:,} x {lying[1]:,} pixels")
    n_frames = max(1, min(getattr(image, "n_frames", 1), 2**31 - 1))
    size = fitting(*lying)
    if size != lying:
        image.draft(None, size)  # a JPEG can be decoded at a half, a quarter, an eighth of its size
    image.load()
    width, height = upright_size(image, lying)
    return Decoded(name, width, height, n_frames, to_rgb(image, size).tobytes())


def _opened(data: bytes, name: Format) -> ImageFile:
    if name == "HEIF":
        return _opened_heif(data)
    module, kind = _PLUGINS[name]
    try:
        plugin: Any = importlib.import_module(module)
    except ImportError as exc:
        raise PictureError(
            f"reading {name} needs a newer Pillow than is installed: pip install -U pillow, or save it as PNG or JPEG"
        ) from exc
    if name == "AVIF":
        plugin.DEFAULT_MAX_THREADS = 1  # each takes of the address space that is limited
    opened: ImageFile = getattr(plugin, kind)(io.BytesIO(data))
    return opened


def _opened_heif(data: bytes) -> ImageFile:
    for library in _HEIF_LIBRARIES:
        try:
            plugin: Any = importlib.import_module(f"{library}.as_plugin")
        except ImportError:
            continue
        plugin.options.DECODE_THREADS = 1
        opened: ImageFile = plugin.HeifImageFile(io.BytesIO(data))
        return opened
    raise PictureError(
        "reading HEIC needs pi-heif, which is not installed: pip install 'edgeai[heif]', or save it as JPEG"
    )


def _too_large(size: str) -> PictureError:
    return PictureError(f"{size}: expected at most {limits.MAX_PIXELS:,} in all; make it smaller first")
