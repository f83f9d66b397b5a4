"""Paths as terminals paste them and as people type them."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tui.dropped_paths import MAX_PASTE_CHARS, dropped_files, may_be_paths, typed_paths

NAMES = ("manual.pdf", "my manual.md", "it's.txt", "規則 2.docx", "a(1)&b.txt", 'say "no".md', "100%25.txt")


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / name for name in NAMES]
    for path in paths:
        path.write_text("x")
    return paths


def escaped(path: Path) -> str:
    """As iTerm and the Finder's Terminal write a name."""
    return "".join(c if c.isalnum() or c in "/._-" else f"\\{c}" for c in str(path))


@pytest.mark.parametrize("number", range(len(NAMES)))
def test_every_terminals_way_to_write_one_path(files: list[Path], number: int) -> None:
    path = files[number]
    for text in (str(path), f"{path} ", f"{path}\n", shlex.quote(str(path)) + " ", escaped(path), path.as_uri()):
        assert may_be_paths(text)
        assert dropped_files(text) == [path]


def test_several_at_once(files: list[Path]) -> None:
    for join in (" ", "\n", " \n"):
        for write in (lambda path: shlex.quote(str(path)), escaped, Path.as_uri):
            assert dropped_files(join.join(map(write, files))) == files
    assert dropped_files("\n".join(map(str, files))) == files
    assert dropped_files(f"{files[0]} {files[0]}") == [files[0]]


def test_pictures_may_be_among_them(files: list[Path], tmp_path: Path) -> None:
    photo = tmp_path / "photo 1.PNG"
    photo.write_bytes(b"x")
    assert dropped_files(f"{shlex.quote(str(photo))} {files[0]}") == [photo, files[0]]


def test_what_is_not_wholly_readable_files_stays_text(files: list[Path], tmp_path: Path) -> None:
    (tmp_path / "tool.exe").write_bytes(b"x")
    manual = files[0]
    for text in (
        f"look at {manual}",
        f"{manual} please",
        f"{manual}\n{tmp_path / 'gone.pdf'}",
        str(tmp_path / "tool.exe"),
        str(tmp_path),
        "/doc manual.pdf",
        "/" * 5000,
        "/\0",
        "file://[bad",
        "~nobody-of-this-name/x.pdf",
        "'/not closed.pdf",
        "manual.pdf",
        "",
    ):
        assert dropped_files(text) == []
    assert not may_be_paths("Hello, /etc/hosts")
    assert not may_be_paths("/" * (MAX_PASTE_CHARS + 1))


@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=60))
def test_any_text_is_taken(text: str, tmp_path: Path) -> None:
    assert isinstance(dropped_files(text), list)
    assert all(isinstance(path, Path) for path in typed_paths(text or "x", tmp_path))


def test_typed_paths_begin_at_the_folder(files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert typed_paths("my manual.md", tmp_path) == [tmp_path / "my manual.md"]
    assert typed_paths("manual.pdf 'my manual.md'", tmp_path) == files[:2]
    assert typed_paths("~/manual.pdf", Path("/")) == [files[0]]
    assert typed_paths(str(tmp_path), Path("/")) == [tmp_path]
    assert typed_paths("*.md gone.txt", tmp_path) == [tmp_path / "*.md", tmp_path / "gone.txt"]
    assert typed_paths("it's gone.txt", tmp_path) == [tmp_path / "it's gone.txt"]
