"""The reader of tokenizer.model: files written by hand, and damaged. Whole ones `test_vocabulary` compares."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgeai.errors import CheckpointError
from quantize.vocab import vocabulary
from quantize.vocab.sentencepiece_model import Piece, PieceType, read_pieces
from tests.quantize.tokenizer_parts import FIXTURES
from tests.quantize.vocab.folders import tokenizer_folder

MODEL = (FIXTURES / "llama.model").read_bytes()


def varint(value: int) -> bytes:
    data = bytearray()
    while value > 0x7F:
        data.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*data, value])


def field(number: int, content: bytes | int | float) -> bytes:
    """A field as protobuf writes it: text, a whole number, or a float."""
    if isinstance(content, bytes):
        return varint(number << 3 | 2) + varint(len(content)) + content
    if isinstance(content, int):
        return varint(number << 3) + varint(content)
    return varint(number << 3 | 5) + struct.pack("<f", content)


def piece(text: bytes, score: float = 0.0, kind: int | None = None) -> bytes:
    return field(1, field(1, text) + field(2, score) + (b"" if kind is None else field(3, kind)))


def read(tmp_path: Path, data: bytes) -> list[Piece]:
    path = tmp_path / "tokenizer.model"
    path.write_bytes(data)
    return read_pieces(path)


def test_fields_of_other_kinds_are_passed_over(tmp_path: Path) -> None:
    others = field(2, b"trainer") + field(300, 2**63) + varint(7 << 3 | 1) + bytes(8)
    inner = field(1, field(9, b"?") + field(1, "日本".encode()) + field(3, 6) + field(2, -1.5))
    assert read(tmp_path, piece(b"a") + others + inner) == [
        Piece("a", 0.0, PieceType.NORMAL),
        Piece("日本", -1.5, PieceType.BYTE),
    ]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "it has no pieces"),
        (field(2, b"trainer"), "it has no pieces"),
        (piece(b"a")[:-1], "a field of 8 bytes where 7 are left"),
        (b"\x0a" + varint(2**62), "where 0 are left"),
        (b"\x0a" + b"\xff" * 9 + b"\x7f", "where 0 are left"),
        (b"\x80" * 11, "a number of more than ten bytes"),
        (b"\x80", "it ends within a number"),
        (varint(1 << 3 | 3) + b"\x00", "a field of kind 3"),
        (field(1, 5), "a piece is a number"),
        (piece(b""), "a piece is ''"),
        (piece(b"a", float("nan")), "with score nan"),
        (piece(b"a", float("-inf")), "with score -inf"),
        (piece(b"a", 0.0, 9), "9 is not a valid PieceType"),
        (piece(b"\xff"), "'utf-8' codec can't decode"),
        (b"version https://git-lfs.github.com/spec/v1\n", "run `git lfs pull`"),
    ],
    ids=str,
)
def test_a_file_that_is_no_model(data: bytes, words: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError) as caught:
        read(tmp_path, data)
    assert words in str(caught.value)
    assert "tokenizer.model': not a SentencePiece model" in str(caught.value)


def test_the_size_of_a_model_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.model"
    with path.open("wb") as file:
        file.truncate(2**40)  # a hole, which takes no room
    with pytest.raises(CheckpointError, match="longer than 67,108,864 bytes"):
        read_pieces(path)


def test_the_number_of_pieces_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("quantize.vocab.sentencepiece_model.MAX_TOKENS", 3)
    assert len(read(tmp_path, piece(b"a") * 3)) == 3
    with pytest.raises(CheckpointError, match="more than 3 pieces"):
        read(tmp_path, piece(b"a") * 4)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (piece(b"<s>"), "'<s>', expected a text of its own"),
        (piece(b"byte", 0.0, 6), "of the type BYTE, is 'byte', expected <0x00> to <0xFF>"),
    ],
)
def test_what_llama_cpp_would_end_the_process_on(more: bytes, words: str, tmp_path: Path) -> None:
    folder = tokenizer_folder(tmp_path / "folder", "llama-spm", vocab_size=600)
    (folder.path / "tokenizer.model").write_bytes(MODEL + more)
    with pytest.raises(CheckpointError, match=words):
        vocabulary(folder, "llama")


def test_a_vocabulary_without_bytes(tmp_path: Path) -> None:
    folder = tokenizer_folder(tmp_path / "folder", "llama-spm", vocab_size=600)
    (folder.path / "tokenizer.model").write_bytes(MODEL.replace(b"<0x0A>", b"<0x0a>"))
    with pytest.raises(CheckpointError, match=r"without <0x0A>.*a token for each byte"):
        vocabulary(folder, "llama")


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    changes=st.lists(st.tuples(st.integers(0, len(MODEL) - 1), st.binary(min_size=1, max_size=9)), max_size=4),
    end=st.none() | st.integers(0, len(MODEL)),
)
def test_a_damaged_model_is_read_or_refused(changes: list[tuple[int, bytes]], end: int | None, tmp_path: Path) -> None:
    data = bytearray(MODEL)
    for place, new in changes:
        data[place : place + len(new)] = new
    try:
        pieces = read(tmp_path, bytes(data[:end]))
    except CheckpointError:
        return
    assert 0 < len(pieces) <= len(MODEL)
