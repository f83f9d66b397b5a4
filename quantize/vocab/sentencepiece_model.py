"""SentencePiece's tokenizer.model: the pieces alone, read from the protobuf message without a library.

What a vocabulary needs of it are three fields of one message; a reader of them is smaller than either dependency
(`sentencepiece`, `protobuf`), and checks every length before it reads.

Source: sentencepiece_model.proto of google/sentencepiece; the encoding guide of protobuf.dev.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from enum import IntEnum
from pathlib import Path
from typing import NamedTuple

from edgeai.errors import CheckpointError
from quantize.vocab.files import MAX_TOKENS

_MAX_BYTES = 2**26
_PIECES = 1
_TEXT, _SCORE, _TYPE = 1, 2, 3
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FLOAT = struct.Struct("<f")


class PieceType(IntEnum):
    """ModelProto.SentencePiece.Type."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


class Piece(NamedTuple):
    """One piece of the vocabulary; its place in the list is its token's number."""

    text: str
    score: float
    type: PieceType


def read_pieces(path: Path) -> list[Piece]:
    """All pieces of a model, in order.

    Raises:
        CheckpointError: the file is no SentencePiece model, or too large.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except OSError as exc:
        raise CheckpointError(f"{str(path)!r}: cannot be read ({exc.strerror}); check its rights") from exc
    try:
        return _pieces(data)
    except ValueError as exc:
        advice = "run `git lfs pull`" if data.startswith(b"version https://git-lfs") else "fetch it again"
        raise CheckpointError(f"{str(path)!r}: not a SentencePiece model ({exc}); {advice}") from exc


def _pieces(data: bytes) -> list[Piece]:
    if len(data) > _MAX_BYTES:
        raise ValueError(f"it is longer than {_MAX_BYTES:,} bytes")
    pieces = []
    for number, value in _fields(data):
        if number == _PIECES:
            pieces.append(_piece(value))
        if len(pieces) > MAX_TOKENS:
            raise ValueError(f"it has more than {MAX_TOKENS:,} pieces")
    if not pieces:
        raise ValueError("it has no pieces")
    return pieces


def _piece(value: bytes | int) -> Piece:
    if not isinstance(value, bytes):
        raise ValueError("a piece is a number")  # noqa: TRY004  # the file's fault, as all others here
    text, score, kind = "", 0.0, PieceType.NORMAL
    for number, part in _fields(value):
        if number == _TEXT and isinstance(part, bytes):
            text = part.decode()
        elif number == _SCORE and isinstance(part, bytes) and len(part) == _FLOAT.size:
            (score,) = _FLOAT.unpack(part)
        elif number == _TYPE and isinstance(part, int):
            kind = PieceType(part)
    if not text or not math.isfinite(score):
        raise ValueError(f"a piece is {text[:40]!r} with score {score}")
    return Piece(text, score, kind)


def _fields(data: bytes) -> Iterator[tuple[int, bytes | int]]:
    """The fields of a message: number, and bytes or a varint."""
    at, end = 0, len(data)
    while at < end:
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            value, at = _varint(data, at)
            yield number, value
            continue
        if wire == _BYTES:
            length, at = _varint(data, at)
        elif wire in (_FIXED32, _FIXED64):
            length = 4 if wire == _FIXED32 else 8
        else:
            raise ValueError(f"a field of kind {wire} at byte {at:,}")
        if length > end - at:
            raise ValueError(f"a field of {length:,} bytes where {end - at:,} are left")
        yield number, data[at : at + length]
        at += length


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number of seven bits a byte, the lowest first, and where it ends."""
    if at < len(data) and data[at] < 0x80:  # most are one byte long, and there are many
        return data[at], at + 1
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise ValueError("it ends within a number")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError(f"a number of more than ten bytes at byte {at:,}")
