"""Pictures' files for the tests: of every format and mode, and hostile ones."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

from PIL import Image

RED, BLUE = (220, 30, 20), (20, 40, 200)
SIZE = (48, 32)
FORMATS = ("AVIF", "BMP", "GIF", "ICO", "JPEG", "JPEG2000", "PNG", "PPM", "QOI", "TIFF", "WEBP")


def halves(size: tuple[int, int] = SIZE) -> Image.Image:
    """Red on the left, blue on the right, so that turned and mirrored ones are told apart with `colors`."""
    image = Image.new("RGB", size, RED)
    image.paste(BLUE, (size[0] // 2, 0, *size))
    return image


def encoded(image: Image.Image, name: str, **options: Any) -> bytes:
    """A picture's file."""
    buffer = io.BytesIO()
    if name == "ICO":
        options["sizes"] = [image.size]
    image.save(buffer, name, **options)
    return buffer.getvalue()


def frames(name: str, n_frames: int = 3) -> bytes:
    """An animation or a file of several pages, of which the first is `halves`."""
    others = [Image.new("RGB", SIZE, (0, 10 * number, 0)) for number in range(1, n_frames)]
    return encoded(halves(), name, save_all=True, append_images=others)


def written(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def chunk(kind: bytes, data: bytes) -> bytes:
    """One of a PNG file."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_of_zeros(width: int, height: int, n_rows: int) -> bytes:
    """A PNG that claims a size, and has so many rows of it: a megabyte of them is a kilobyte here."""
    packer = zlib.compressobj(9)
    row = bytes(1 + (width + 7) // 8)
    rows = b"".join(packer.compress(row) for _ in range(n_rows)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def gif_of_size(width: int, height: int, frame: tuple[int, int]) -> bytes:
    """A GIF that claims a canvas, with a frame of another claimed size and next to no data."""
    screen = struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(6)
    image = b"," + struct.pack("<HHHHB", 0, 0, *frame, 0) + b"\x02\x02\x44\x01\0"
    return b"GIF89a" + screen + image + b";"


def webp_of_size(width: int, height: int) -> bytes:
    """A WebP whose header claims a canvas."""
    canvas = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4) + canvas
    return b"RIFF" + struct.pack("<I", len(body)) + body
