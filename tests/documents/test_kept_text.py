"""What was read of a document is kept beside the states, and never believed when in doubt."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from edgeai.config import set_config_text
from edgeai.documents import read
from edgeai.documents.read import read_document
from edgeai.documents.types import Document
from edgeai.errors import DocumentError
from edgeai.kv_store.room import LIMIT_KEY, clear_states, states_dir


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEAI_HOME", str(tmp_path / "home"))


@pytest.fixture
def manual(tmp_path: Path) -> Path:
    path = tmp_path / "manual.md"
    path.write_text("# Reset\n\nHold the button for 5 s.\n\n| a | b |\n| - | - |\n| 1 | 電源 |\n", encoding="utf-8")
    return path


def kept() -> list[Path]:
    return list(states_dir().glob("texts/*"))


def without_process(path: Path, monkeypatch: pytest.MonkeyPatch) -> Document:
    """What comes of a file where nothing can be read anew."""

    def fail(*args: object, **options: object) -> None:
        raise AssertionError("it was read anew")

    with monkeypatch.context() as patch:
        patch.setattr(read, "_content", fail)
        return read_document(path, keep=True)


def test_the_second_reading_is_the_first_ones(manual: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = read_document(manual, keep=True)
    assert without_process(manual, monkeypatch) == first == read_document(manual)
    assert [block.line for block in first.blocks] == [1, 3, 5]


def test_it_is_its_owners_alone(manual: Path) -> None:
    read_document(manual, keep=True)
    (path,) = kept()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_the_same_bytes_under_a_name_of_another_kind_are_read_anew(manual: Path) -> None:
    read_document(manual, keep=True)
    text = manual.rename(manual.with_suffix(".txt"))
    assert read_document(text, keep=True).kind == "text"
    assert len(kept()) == 2


def test_what_an_older_reader_read_is_read_anew(manual: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read_document(manual, keep=True)
    monkeypatch.setattr(read, "READER_VERSION", read.READER_VERSION + 1)
    with pytest.raises(AssertionError, match="anew"):
        without_process(manual, monkeypatch)


@pytest.mark.parametrize("damage", ["flipped", "truncated", "empty", "foreign"])
def test_a_damaged_text_is_read_anew(manual: Path, damage: str) -> None:
    first = read_document(manual, keep=True)
    (path,) = kept()
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(
        {"flipped": bytes(data), "truncated": bytes(data[:-9]), "empty": b"", "foreign": b"\x93" * 99}[damage]
    )
    assert read_document(manual, keep=True) == first
    assert kept()[0].read_bytes() != bytes(data)


def test_nothing_is_kept_unasked_or_with_a_limit_of_0_or_for_a_password(manual: Path) -> None:
    read_document(manual)
    read_document(manual, keep=True, password="secret")
    set_config_text(LIMIT_KEY, "0")
    read_document(manual, keep=True)
    assert not kept()


def test_clearing_the_states_clears_the_texts(manual: Path) -> None:
    read_document(manual, keep=True)
    clear_states(states_dir())
    assert not kept()


def test_old_texts_make_room(tmp_path: Path) -> None:
    set_config_text(LIMIT_KEY, "160kB")  # 10 kB of texts
    for number in range(8):
        path = tmp_path / f"{number}.txt"
        path.write_text(f"{number} " + "word " * 800)
        read_document(path, keep=True)
    assert 1 <= len(kept()) <= 2
    assert sum(path.stat().st_size for path in kept()) <= 10_000


def test_an_error_is_not_kept(tmp_path: Path) -> None:
    path = tmp_path / "broken.pdf"
    path.write_bytes(b"%PDF-1.7\nnothing")
    with pytest.raises(DocumentError):
        read_document(path, keep=True)
    assert not kept()
