"""Pixels as terminals take them: kitty's graphics protocol and sixel.

Sources: the protocol's documentation at sw.kovidgoyal.net/kitty/graphics-protocol, with its table of diacritics; the
VT330/VT340 Programmer Reference Manual, chapter 14, for sixel.
"""

from __future__ import annotations

import base64
import io
import itertools
import re
import secrets
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

_CHUNK = 4096  # the protocol's largest
_PLACEHOLDER = "\U0010eeee"
_MARKS = (
    *(0x305, 0x30D, 0x30E, 0x310, 0x312, 0x33D, 0x33E, 0x33F, 0x346, 0x34A, 0x34B, 0x34C, 0x350, 0x351, 0x352, 0x357),
    *(0x35B, *range(0x363, 0x370), *range(0x483, 0x488), *range(0x592, 0x596), *range(0x597, 0x59A)),
    *(*range(0x59C, 0x5A2), 0x5A8, 0x5A9, 0x5AB, 0x5AC, 0x5AF, 0x5C4, *range(0x610, 0x618), *range(0x657, 0x65C)),
    *(0x65D, 0x65E, *range(0x6D6, 0x6DD), *range(0x6DF, 0x6E3), 0x6E4, 0x6E7, 0x6E8, 0x6EB, 0x6EC),
)
MAX_PLACEHOLDERS = len(_MARKS)
"""Columns, and rows, of a picture that is drawn by placeholders."""

_SIXEL_COLOURS = 256
_SIXEL_ROWS = 6
_SAME = re.compile(rb"(.)\1{3,254}", re.DOTALL)
_numbers = itertools.count(secrets.randbelow(2**16))


def new_image_number() -> int:
    """A number for an image: three bytes, as a colour has them, none of which other programs are likely to use."""
    return 1 + (next(_numbers) * 251) % (2**24 - 1)


def kitty(image: Image, columns: int, rows: int, *, number: int | None = None) -> str:
    """Transmit an image, and draw it over so many cells from the cursor on, which stays where it is.

    Args:
        image: mode RGB.
        columns: that it takes.
        rows: likewise.
        number: draw it where `placeholders` with this number stand instead.
    """
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    data = base64.standard_b64encode(buffer.getvalue()).decode()
    place = "C=1" if number is None else f"i={number},p=1,U=1"
    keys = f"a=T,f=100,q=2,c={columns},r={rows},{place},"
    parts = []
    for at in range(0, len(data), _CHUNK):
        more = int(at + _CHUNK < len(data))
        parts.append(f"\x1b_G{keys}m={more};{data[at : at + _CHUNK]}\x1b\\")
        keys = "q=2,"
    return "".join(parts)


def kitty_forget(number: int) -> str:
    """Let the terminal free an image."""
    return f"\x1b_Ga=d,d=I,i={number},q=2\x1b\\"


def placeholders(columns: int, row: int) -> str:
    """A row of cells in which the terminal draws that row of an image; their colour has to be its number."""
    return "".join(f"{_PLACEHOLDER}{chr(_MARKS[row])}{chr(mark)}" for mark in _MARKS[:columns])


def sixel(image: Image) -> str:
    """Draw an image from the cursor on; where the cursor is then, terminals disagree about.

    Args:
        image: mode RGB.
    """
    import numpy as np

    indexed = image.quantize(_SIXEL_COLOURS)
    palette = indexed.getpalette() or []
    numbers = np.asarray(indexed)  # [height, width]
    height, width = numbers.shape
    made = [f'\x1bPq"1;1;{width};{height}'.encode()]
    for colour in np.unique(numbers).tolist():
        red, green, blue = (round(part / 2.55) for part in palette[3 * colour : 3 * colour + 3])
        made.append(b"#%d;2;%d;%d;%d" % (colour, red, green, blue))
    for top in range(0, height, _SIXEL_ROWS):
        band = numbers[top : top + _SIXEL_ROWS]
        weights = (1 << np.arange(len(band), dtype=np.uint8))[:, None]
        for colour in np.unique(band).tolist():
            bits = 63 + ((band == colour) * weights).sum(axis=0, dtype=np.uint8)
            made.append(b"#%d%b$" % (colour, _SAME.sub(_repeated, bits.tobytes())))
        made.append(b"-")
    return b"".join(made).decode() + "\x1b\\"


def _repeated(run: re.Match[bytes]) -> bytes:
    return b"!%d%b" % (len(run[0]), run[1])
