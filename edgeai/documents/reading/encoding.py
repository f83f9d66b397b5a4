"""Bytes to text in whatever encoding they are, without being told.

Strict decoders come first: what is valid UTF-8 or ISO-2022-JP is that. Old encodings of eight bits are valid for almost
anything, so each candidate's text is weighed by its characters: letters that really occur side by side.
"""

from __future__ import annotations

import codecs
import re
from typing import NamedTuple

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, which it begins like
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_SAMPLE_BYTES = 2**16
_CONTROLS = bytes(set(range(32)) - set(b"\t\n\r\f\x0b\x1b\x08")) + b"\x7f"
_MAX_CONTROLS = 0.01  # of the bytes of a text
_ISO_2022 = re.compile(rb"\x1b\$[@B]|\x1b\$\([DOPQ]|\x1b\([IJ]")
_MAX_TORN = 0.02  # of the characters beyond ASCII
_FEW_KANJI = 12
_OTHERS = (
    *("gb18030", "big5", "cp949", "cp1250", "cp1251", "cp1252", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257"),
    *("koi8_r", "koi8_u", "cp866", "cp874", "iso8859_2", "iso8859_5", "iso8859_7", "mac_roman"),
)
_GOOD_ENOUGH = 0.35


class _Candidate(NamedTuple):
    score: float
    encoding: str


def decode(data: bytes, declared: str | None = None) -> str:
    """The text of a file; line breaks as "\\n", nothing invisible but what stood there.

    Args:
        data: of any encoding.
        declared: what the file says of itself; taken if the bytes agree.
    """
    return _decoded(data, declared).replace("\r\n", "\n").replace("\r", "\n").removeprefix("\ufeff")


def encoding_of(data: bytes) -> str:
    """Python's name of the encoding that bytes are most likely in."""
    for bom, encoding in _BOMS:
        if data.startswith(bom):
            return encoding
    wide = _wide(data)
    if wide:
        return wide
    if _is_valid(data, "utf-8"):
        if b"\x1b" in data and _ISO_2022.search(data):
            return next((name for name in ("iso2022_jp_ext", "iso2022_jp_2004") if _is_valid(data, name)), "utf-8")
        return "utf-8"
    if _is_torn_utf8(data):
        return "utf-8"
    return _old(data)


def is_binary(data: bytes) -> bool:
    """Whether this is no text in any encoding."""
    if data.startswith(tuple(bom for bom, _ in _BOMS)):
        return False
    sample = data[:_SAMPLE_BYTES]
    n_controls = len(sample) - len(sample.translate(None, _CONTROLS))
    is_odd = b"\0" in data[: 2**20] or n_controls > _MAX_CONTROLS * len(sample)
    return is_odd and _wide(data) is None


def _decoded(data: bytes, declared: str | None) -> str:
    for bom, encoding in _BOMS:
        if data.startswith(bom):
            return data[len(bom) :].decode(encoding, "replace")
    if declared and _is_text_codec(declared) and _is_valid(data, declared):
        return data.decode(declared)
    return data.decode(encoding_of(data), "replace")


def _is_text_codec(name: str) -> bool:
    """Whether Python knows it, and it is one of characters: "zip" and "rot13" are codecs too."""
    try:
        return codecs.lookup(name)._is_text_encoding and codecs.lookup(name).name not in ("idna", "punycode", "utf-7")
    except (LookupError, ValueError):
        return False


def _is_valid(data: bytes, encoding: str) -> bool:
    try:
        data.decode(encoding)
    except (UnicodeError, ValueError):
        return False
    return True


def _is_torn_utf8(data: bytes) -> bool:
    """UTF-8 with a few broken places: logs, texts cut in the middle of a character."""
    text = data[: 2**20].decode("utf-8", "replace")
    n_torn = text.count("\ufffd")
    n_beyond = sum(1 for char in text if char > "\x7f")
    return n_torn <= max(1, _MAX_TORN * n_beyond) < n_beyond


def _wide(data: bytes) -> str | None:
    """UTF-16 without a byte order mark: its order, if one makes a text of it."""
    if len(data) % 2 or len(data) < 4:
        return None
    sample = data[:_SAMPLE_BYTES]
    scores = []
    for encoding in ("utf-16-le", "utf-16-be"):
        text = sample.decode(encoding, "replace")
        n_good = sum(1 for char in text if _is_common_wide(char))
        scores.append(_Candidate(n_good / len(text), encoding))
    best, other = sorted(scores, reverse=True)
    is_likely = b"\0" in sample or (_has_kana(sample.decode(best.encoding, "replace")) and not _is_valid(data, "utf-8"))
    if is_likely and best.score > max(0.9, other.score) and _is_valid(data, best.encoding):
        return best.encoding
    return None


def _has_kana(text: str) -> bool:
    """Whether a fifth of it is: Japanese, which need not hold one NUL in UTF-16."""
    return 5 * sum(1 for char in text if "\u3041" <= char <= "\u30fe") >= len(text)


def _is_common_wide(char: str) -> bool:
    code = ord(char)
    if not code & 0xFF:  # ASCII in the other order
        return False
    return (
        (0x20 <= code < 0x7F or char in "\t\n\r")
        or 0xA0 <= code < 0x600
        or 0x2010 <= code < 0x2300
        or 0x2460 <= code < 0x2500
        or 0x3000 <= code < 0x3400
        or 0x4E00 <= code < 0xA000
        or 0xAC00 <= code < 0xD7A4
        or 0xFF00 < code < 0xFFF0
    )


def _old(data: bytes) -> str:
    """An encoding of before Unicode, by how the text reads."""
    sample = _sample(data)
    candidates = [
        _Candidate(_score(sample, encoding), encoding)
        for encoding in ("cp932", "euc_jp", "euc_jis_2004", "cp1252")
        if _is_valid(data, encoding)
    ]
    best = max(candidates, key=lambda candidate: candidate.score, default=_Candidate(0, ""))
    if best.score >= _GOOD_ENOUGH and not (best.encoding.startswith("euc_") and _lacks_kana(sample, best.encoding)):
        return best.encoding
    return _by_statistics(sample) or best.encoding or "cp1252"


def _lacks_kana(sample: bytes, encoding: str) -> bool:
    """Whether it is all kanji, and many: GB 2312 and EUC-KR are laid out like EUC-JP."""
    text = sample.decode(encoding, "replace")
    n_kanji = sum(1 for char in text if "\u4e00" <= char <= "\u9fff")
    return n_kanji >= _FEW_KANJI and not any("\u3041" <= char <= "\u30fe" for char in text)


def _by_statistics(sample: bytes) -> str | None:
    try:
        import charset_normalizer
    except ImportError:
        return None
    found = charset_normalizer.from_bytes(sample, cp_isolation=list(_OTHERS)).best()
    return found.encoding if found else None


def _sample(data: bytes) -> bytes:
    """Lines with bytes beyond ASCII, so many that they tell."""
    lines = (line for line in data[: 16 * _SAMPLE_BYTES].split(b"\n") if not line.isascii())
    found: list[bytes] = []
    n_bytes = 0
    for line in lines:
        found.append(line)
        n_bytes += len(line)
        if n_bytes > _SAMPLE_BYTES:
            break
    return b"\n".join(found)


def _score(sample: bytes, encoding: str) -> float:
    """How much the characters beyond ASCII look like a language's, -1 to 1; each weighs as many bytes as it takes."""
    text = sample.decode(encoding, "replace")
    total, n_bytes = 0.0, 0
    width = 1 if encoding == "cp1252" else 2
    for before, char, after in zip(" " + text[:-1], text, text[1:] + " ", strict=True):
        if char > "\x7f":
            is_half = "\uff61" <= char <= "\uff9f"
            weight = 1 if is_half and encoding == "cp932" else width
            total += weight * (_latin(before, char, after) if width == 1 else _japanese(before, char, after))
            n_bytes += weight
    return total / max(n_bytes, 1)


def _latin(before: str, char: str, after: str) -> float:
    if char in "‘’“”–—…•€£§©®°«»·¿¡ªº\xa0":
        return 0.5
    if not (char.isalpha() and char < "\u0200"):
        return -1.0
    if before.isascii() and after.isascii():
        return 1.0 if before.isalpha() or after.isalpha() else 0.0
    return 0.5 if before.isascii() != after.isascii() and (before + after).isalpha() else -0.3  # two in a row


def _japanese(before: str, char: str, after: str) -> float:
    code = ord(char)
    if 0x3041 <= code <= 0x3096 or 0x30A1 <= code <= 0x30FC:
        return 1.0
    if char in "、。「」・『』（）！？：々〇〜～　":
        return 0.9
    if 0x4E00 <= code < 0xA000:
        if before.isascii() and before.isalpha() and after.isascii() and after.isalpha():
            return -1.0  # a letter with an accent, and the letter after it
        return 0.8 if _is_common_kanji(char) else -0.2
    if 0xFF01 <= code <= 0xFF5E or 0x2460 <= code <= 0x2473:
        return 0.6
    if 0xFF61 <= code <= 0xFF9F:
        return 0.3 if (0xFF61 <= ord(before) <= 0xFF9F and 0xFF61 <= ord(after) <= 0xFF9F) else -0.3
    return -0.3


def _is_common_kanji(char: str) -> bool:
    """Level 1 of JIS X 0208."""
    try:
        return 0xB0 <= char.encode("euc_jp")[0] <= 0xCF
    except UnicodeEncodeError:
        return False
