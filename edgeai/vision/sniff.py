"""What a file is: a picture, by its first bytes; and what it is where it is none."""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import TYPE_CHECKING

from edgeai.errors import PictureError

if TYPE_CHECKING:
    import os

    from edgeai.vision.wire import Format

FORMATS: dict[str, Format] = {
    **dict.fromkeys((".png", ".apng"), "PNG"),
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif"), "JPEG"),
    ".gif": "GIF",
    ".webp": "WEBP",
    **dict.fromkeys((".avif", ".avifs"), "AVIF"),
    **dict.fromkeys((".heic", ".heif", ".hif"), "HEIF"),
    **dict.fromkeys((".bmp", ".dib"), "BMP"),
    **dict.fromkeys((".tif", ".tiff"), "TIFF"),
    **dict.fromkeys((".jp2", ".j2k", ".jpx", ".jpf", ".j2c"), "JPEG2000"),
    **dict.fromkeys((".ppm", ".pgm", ".pbm", ".pnm", ".pfm"), "PPM"),
    ".ico": "ICO",
    ".qoi": "QOI",
}
"""By suffix, in small letters: the format that a file of this name is expected to have."""

_LOOKED_AT = 4096
_PDF_WITHIN = 1024
_MAGIC: tuple[tuple[re.Pattern[bytes], Format], ...] = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "PNG"),
    (re.compile(rb"\xff\xd8\xff"), "JPEG"),
    (re.compile(rb"GIF8[79]a"), "GIF"),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), "WEBP"),
    (re.compile(rb"II[*+]\0|MM\0[*+]"), "TIFF"),
    (re.compile(rb"BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0", re.DOTALL), "BMP"),
    (re.compile(rb"\xff\x4f\xff\x51|\0\0\0\x0cjP  \r\n\x87\n"), "JPEG2000"),
    (re.compile(rb"\0\0\x01\0[^\0]"), "ICO"),
    (re.compile(rb"P[1-6f]\s+(?:#[^\n]*\s+)*\d"), "PPM"),
    (re.compile(rb"qoif"), "QOI"),
)
_AVIF = (b"avif", b"avis")
_HEIF = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")

_SAVE = "save it as PNG or JPEG"
_FRAME = "save a frame of it as PNG or JPEG"
_OTHERS: tuple[tuple[re.Pattern[bytes], str, str], ...] = (
    (
        re.compile(rb"\x1a\x45\xdf\xa3|RIFF....AVI |\0\0\x01[\xb3\xba]|FLV\x01", re.DOTALL),
        "a video",
        _FRAME,
    ),
    (re.compile(rb"RIFF....WAVE|ID3|fLaC|OggS|\xff[\xf2\xf3\xfb]", re.DOTALL), "a sound", "give it as one (--audio)"),
    (re.compile(rb"\xff\x0a|\0\0\0\x0cJXL \r\n"), "a JPEG XL picture, which is not read", _SAVE),
    (re.compile(rb"8BPS|gimp xcf"), "a picture editor's own file", _SAVE),
    (re.compile(rb"%!PS|\xc5\xd0\xd3\xc6"), "a PostScript drawing", _SAVE),
    (
        re.compile(rb"PK(?:\x03\x04|\x05\x06|\x07\x08)"),
        "a ZIP archive or Office file",
        "save the picture in it",
    ),
    (re.compile(rb"\x1f\x8b|BZh|\xfd7zXZ\0|7z\xbc\xaf|Rar!|\x28\xb5\x2f\xfd"), "an archive", "unpack it first"),
    (re.compile(rb"GGUF"), "a model", "open it with --model"),
    (re.compile(rb"\x7fELF|MZ.{58}", re.DOTALL), "a program", "give a picture"),
)
_SVG = re.compile(rb"<(?:svg:)?svg[\s>/]", re.IGNORECASE)
_HTML = re.compile(rb"<(?:!doctype\s+html|html)[\s>]", re.IGNORECASE)


def expected_format(path: str | os.PathLike[str]) -> Format | None:
    """The format that a file's name promises; None where it promises none."""
    return FORMATS.get(PurePath(path).suffix.lower())


def is_picture(path: str | os.PathLike[str]) -> bool:
    """Whether a file of this name is one of the formats that are read; nothing is opened."""
    return expected_format(path) is not None


def format_of(data: bytes) -> Format:
    """The format of a picture, by its content.

    Raises:
        PictureError: it is none that is read here; without the file's name.
    """
    if data[4:8] == b"ftyp":
        return _boxed(data)
    for magic, name in _MAGIC:
        if magic.match(data):
            return name
    what, advice = _other(data)
    raise _no_picture(what, advice)


def _boxed(data: bytes) -> Format:
    """AVIF or HEIF, among all that is kept in ISO's base media format (ISO/IEC 14496-12)."""
    end = min(int.from_bytes(data[:4], "big"), 256)
    brands = [data[at : at + 4] for at in (8, *range(16, end, 4))]
    if any(brand in _AVIF for brand in brands):
        return "AVIF"
    if any(brand in _HEIF for brand in brands):
        return "HEIF"
    if brands[0] == b"crx ":
        raise _no_picture("a camera's raw data", "develop it, and save it as JPEG")
    raise _no_picture("a video", _FRAME)


def _other(data: bytes) -> tuple[str, str]:
    head = data[:_LOOKED_AT]
    if b"%PDF-" in head[:_PDF_WITHIN]:
        return "a PDF", "give it as a document (--doc), or save the page as PNG"
    for magic, what, advice in _OTHERS:
        if magic.match(data):
            return what, advice
    if b"\0" in head or not _is_text(head):
        return "of no known kind", "if it should be a picture, it is damaged: fetch it or save it again"
    if _HTML.search(head):
        return "an HTML page", "save the picture itself, not the page that shows it"
    if _SVG.search(head):
        return "an SVG drawing", _SAVE
    return "text", "give it as a document (--doc), or check the path"


def _is_text(head: bytes) -> bool:
    try:
        head.decode()
    except UnicodeDecodeError as exc:
        return exc.start > len(head) - 4 and len(head) == _LOOKED_AT  # cut within a character
    return True


def _no_picture(what: str, advice: str) -> PictureError:
    return PictureError(f"it is {what}: expected a picture such as PNG, JPEG, WebP or AVIF; {advice}")
