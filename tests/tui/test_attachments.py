"""Files that go with a message."""

from __future__ import annotations

from pathlib import Path

import pytest

from tui.attachments import (
    MAX_FILE_BYTES,
    Attached,
    AttachmentError,
    documents_in,
    mention,
    pictures_in,
    split_files,
    with_files,
)


def test_files_go_behind_the_text_and_come_off_again(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("line 1\nline 2\n")
    (tmp_path / "my file.md").write_text("日本語")
    text = 'Compare @notes.txt with @"my file.md", @notes.txt!'
    content = with_files(text, tmp_path)
    assert content.startswith(text + '\n\n<file name="notes.txt">\nline 1\nline 2\n</file>\n\n<file name="my file.md">')
    assert split_files(content) == (text, [Attached("notes.txt", 13), Attached("my file.md", 3)])


@pytest.mark.parametrize(
    "text", ["hello", "write to a@b.example", "@alice hi", "", '<file name="x">', "@" + "x" * 5000, "@\0"]
)
def test_other_words_stay_words(text: str, tmp_path: Path) -> None:
    assert with_files(text, tmp_path) == text
    assert split_files(text) == (text, [])


def test_a_file_that_ends_like_an_attachment_stays_one_text(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x\n</file>\ny")
    assert split_files(with_files("@a", tmp_path))[0] == "@a"


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tool.exe").write_bytes(b"MZ\0\0")
    (tmp_path / "big.raw").write_bytes(b"x" * (MAX_FILE_BYTES + 1))
    with pytest.raises(AttachmentError, match="not a text file"):
        with_files("@tool.exe", tmp_path)
    with pytest.raises(AttachmentError, match=r"at most 1,000,000 bytes"):
        with_files("@big.raw", tmp_path)


def test_what_is_readable_but_no_plain_text_is_a_document(tmp_path: Path) -> None:
    (tmp_path / "manual.pdf").write_bytes(b"%PDF-1.4")
    (tmp_path / "long.md").write_bytes(b"x" * (MAX_FILE_BYTES + 1))
    (tmp_path / "wide.csv").write_bytes("a;b".encode("utf-16"))
    (tmp_path / "notes.txt").write_text("short")
    (tmp_path / "photo.png").write_bytes(b"\x89PNG\0\0")
    text = "Read @manual.pdf @long.md @wide.csv @notes.txt @photo.png @gone.pdf"
    assert documents_in(text, tmp_path) == [tmp_path / name for name in ("manual.pdf", "long.md", "wide.csv")]
    assert pictures_in(text, tmp_path) == [tmp_path / "photo.png"]
    assert with_files("@manual.pdf and @notes.txt", tmp_path).count("<file") == 1


def test_a_mention_is_relative_and_quoted_where_it_must_be(tmp_path: Path) -> None:
    assert mention(tmp_path / "docs" / "a.txt", tmp_path) == "@docs/a.txt"
    assert mention(tmp_path / "a b.txt", tmp_path) == '@"a b.txt"'
    assert mention(Path("/etc/hosts"), tmp_path) == "@/etc/hosts"
