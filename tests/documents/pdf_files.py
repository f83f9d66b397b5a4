"""PDFs written by hand: pages of lines, an outline, Japanese by a CMap, a password.

Source: ISO 32000-1, sections 7.5, 7.6.3 (standard security handler, revision 2), 9.7, 9.10, 12.3.3.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

_PADDING = bytes.fromhex("28BF4E5E4E758A4164004E56FFFA01082E2E00B6D0683E802F0CA9FE6453697A")
_ID = b"0123456789abcdef"
_FIRST = 6  # numbers before: catalog, pages, two fonts, the CMap
_CMAP = """/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /U def /CMapType 2 def
1 begincodespacerange <0000> <FFFF> endcodespacerange
1 beginbfrange <0000> <FFFF> <0000> endbfrange endcmap end end"""
_FONTS = (
    b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>",
    b"<</Type/Font/Subtype/Type0/BaseFont/X/Encoding/Identity-H/ToUnicode 5 0 R/DescendantFonts[<</Type/Font"
    b"/Subtype/CIDFontType2/BaseFont/X/DW 1000/CIDSystemInfo<</Registry(Adobe)/Ordering(Identity)/Supplement 0>>"
    b"/FontDescriptor<</Type/FontDescriptor/FontName/X/Flags 4/FontBBox[0 0 1000 1000]/ItalicAngle 0/Ascent 800"
    b"/Descent -200/CapHeight 700/StemV 80>>>>]>>",
)


def pdf(
    pages: Sequence[Sequence[str]],
    *,
    outline: Sequence[tuple[str, int]] = (),
    title: str = "",
    password: str = "",
) -> bytes:
    """A PDF.

    Args:
        pages: lines of each; "" is a blank line; a page without lines holds a drawing.
        outline: titles with the pages that they lead to, from 1.
        title: of the document.
        password: to encrypt it with (RC4, 40 bits).
    """
    key = _key(password) if password else b""
    n_pages = len(pages)
    first_entry = _FIRST + 2 * n_pages + 1
    kids = b" ".join(b"%d 0 R" % (_FIRST + 2 * number) for number in range(n_pages))
    objects = {
        1: b"<</Type/Catalog/Pages 2 0 R" + (b"/Outlines %d 0 R" % (first_entry - 1) if outline else b"") + b">>",
        2: b"<</Type/Pages/Count %d/Kids[" % n_pages + kids + b"]>>",
        3: _FONTS[0],
        4: _FONTS[1],
        5: _stream(_CMAP.encode(), 5, key),
    }
    for number, lines in enumerate(pages):
        page = _FIRST + 2 * number
        objects[page] = (
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Resources<</Font<</A 3 0 R/B 4 0 R>>>>/Contents %d 0 R>>"
            % (page + 1)
        )
        objects[page + 1] = _stream(_content(lines), page + 1, key)
    if outline:
        last = first_entry + len(outline) - 1
        objects[first_entry - 1] = b"<</Type/Outlines/First %d 0 R/Last %d 0 R>>" % (first_entry, last)
        for number, (words, page) in enumerate(outline):
            objects[first_entry + number] = _entry(words, page, first_entry, number, len(outline), key)
    info = max(objects) + 1
    objects[info] = b"<</Title" + _string(title, info, key) + b">>"
    return _file(objects, info, _encryption(key, password) if key else b"")


def _content(lines: Sequence[str]) -> bytes:
    if not lines:
        return b"100 100 200 200 re f"
    parts = []
    for number, line in enumerate(lines):
        if line:
            is_plain = line.isascii()
            shown = f"({_escaped(line)})" if is_plain else f"<{line.encode('utf-16-be').hex()}>"
            parts.append(f"BT /{'A' if is_plain else 'B'} 12 Tf 50 {780 - 15 * number} Td {shown} Tj ET")
    return "\n".join(parts).encode()


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")


def _entry(words: str, page: int, first: int, number: int, n_entries: int, key: bytes) -> bytes:
    before = b"/Prev %d 0 R" % (first + number - 1) if number else b""
    after = b"/Next %d 0 R" % (first + number + 1) if number + 1 < n_entries else b""
    target = b"/Dest[%d 0 R/Fit]" % (_FIRST + 2 * (page - 1))
    title = _string(words, first + number, key)
    return b"<</Title" + title + b"/Parent %d 0 R" % (first - 1) + before + after + target + b">>"


def _string(text: str, number: int, key: bytes) -> bytes:
    data = b"\xfe\xff" + text.encode("utf-16-be")
    return b"<" + _encrypted(data, number, key).hex().encode() + b">"


def _stream(data: bytes, number: int, key: bytes) -> bytes:
    return b"<</Length %d>>stream\n" % len(data) + _encrypted(data, number, key) + b"\nendstream"


def _file(objects: dict[int, bytes], info: int, encryption: bytes) -> bytes:
    data = bytearray(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
    places = {}
    for number, body in sorted(objects.items()):
        places[number] = len(data)
        data += b"%d 0 obj\n" % number + body + b"\nendobj\n"
    start, size = len(data), max(objects) + 1
    data += b"xref\n0 %d\n0000000000 65535 f \n" % size
    for number in range(1, size):
        data += b"%010d 00000 n \n" % places[number] if number in places else b"0000000000 65535 f \n"
    ident = _ID.hex().encode()
    data += b"trailer\n<</Size %d/Root 1 0 R/Info %d 0 R/ID[<%s><%s>]%s>>\n" % (size, info, ident, ident, encryption)
    return bytes(data + b"startxref\n%d\n%%%%EOF\n" % start)


def _padded(password: str) -> bytes:
    return (password.encode("latin-1") + _PADDING)[:32]


def _owner(password: str) -> bytes:
    return _rc4(hashlib.md5(_padded(password)).digest()[:5], _padded(password))


def _key(password: str) -> bytes:
    permissions = (-4).to_bytes(4, "little", signed=True)
    return hashlib.md5(_padded(password) + _owner(password) + permissions + _ID).digest()[:5]


def _encryption(key: bytes, password: str) -> bytes:
    user = _rc4(key, _PADDING)
    return b"/Encrypt<</Filter/Standard/V 1/R 2/P -4/O<%s>/U<%s>>>" % (
        _owner(password).hex().encode(),
        user.hex().encode(),
    )


def _encrypted(data: bytes, number: int, key: bytes) -> bytes:
    if not key:
        return data
    return _rc4(hashlib.md5(key + number.to_bytes(3, "little") + b"\0\0").digest()[:10], data)


def _rc4(key: bytes, data: bytes) -> bytes:
    state = list(range(256))
    j = 0
    for i in range(256):
        j = (j + state[i] + key[i % len(key)]) % 256
        state[i], state[j] = state[j], state[i]
    out = bytearray()
    i = j = 0
    for byte in data:
        i = (i + 1) % 256
        j = (j + state[i]) % 256
        state[i], state[j] = state[j], state[i]
        out.append(byte ^ state[(state[i] + state[j]) % 256])
    return bytes(out)
