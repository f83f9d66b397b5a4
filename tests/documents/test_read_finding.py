"""Folders and globs: which files they stand for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edgeai.documents.read import KINDS, find_documents, is_readable
from edgeai.documents.reading.child import _FORMATS
from edgeai.errors import DocumentError


def tree(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")


def names(root: Path, *paths: str | Path) -> list[str]:
    """What is found, relative to the root; errors by their words."""
    return [
        str(found).replace(f"{root}{os.sep}", "") if isinstance(found, DocumentError) else str(found.relative_to(root))
        for found in find_documents(paths)
    ]


def test_a_folder_stands_for_its_readable_files(tmp_path: Path) -> None:
    tree(
        tmp_path,
        "b.md",
        "a.PDF",
        "sub/c.txt",
        "sub/deep/d.py",
        "x.png",
        "README",
        ".hidden.md",
        ".git/e.md",
        "z/.v/f.md",
    )
    assert names(tmp_path, tmp_path) == ["README", "a.PDF", "b.md", "sub/c.txt", "sub/deep/d.py"]


def test_files_stand_for_themselves_once(tmp_path: Path) -> None:
    tree(tmp_path, "odd.name", "a.md")
    (tmp_path / "link.md").symlink_to("a.md")
    assert names(tmp_path, tmp_path / "odd.name", tmp_path, tmp_path / "a.md") == ["odd.name", "a.md"]


def test_loops_and_broken_links_are_survived(tmp_path: Path) -> None:
    tree(tmp_path, "a/one.md", "b/two.md")
    (tmp_path / "a" / "up").symlink_to("..")
    (tmp_path / "a" / "b").symlink_to("../b")
    (tmp_path / "self").symlink_to("self")
    (tmp_path / "gone.md").symlink_to("nowhere.md")
    assert sorted(Path(name).name for name in names(tmp_path, tmp_path)) == ["one.md", "two.md"]


def test_pipes_and_folders_with_a_readable_name_are_left_out(tmp_path: Path) -> None:
    tree(tmp_path, "a.md", "folder.md/b.md")
    os.mkfifo(tmp_path / "pipe.md")
    assert names(tmp_path, tmp_path) == ["a.md", "folder.md/b.md"]


def test_globs(tmp_path: Path) -> None:
    tree(tmp_path, "a.md", "b.txt", "sub/c.md", "d.png", "[odd].md")
    assert names(tmp_path, tmp_path / "*.md") == ["[odd].md", "a.md"]
    assert names(tmp_path, tmp_path / "**" / "*.md") == ["[odd].md", "a.md", "sub/c.md"]
    assert names(tmp_path, tmp_path / "[odd].md") == ["[odd].md"]  # a file of this name comes first


def test_what_stands_for_nothing_is_an_error_and_the_rest_goes_on(tmp_path: Path) -> None:
    tree(tmp_path, "a.md", "empty/x.png")
    found = names(tmp_path, tmp_path / "no\n.md", tmp_path / "*.pdf", tmp_path / "empty", "nul\0", tmp_path / "a.md")
    assert found[0] == "no .md: no such file or folder: expected a document, a folder or a glob; check the path"
    assert found[1].startswith("*.pdf: matches no document: expected")
    assert found[2].startswith("empty: no document stands in this folder: expected")
    assert "nul: cannot be looked at" in found[3]
    assert found[4] == "a.md"


def test_folders_that_cannot_be_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree(tmp_path, "a/x.md", "b/y.md")
    real = os.scandir

    def refuse(path: Path) -> object:
        if path.name == "a":
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", refuse)
    found = names(tmp_path, tmp_path)
    assert found[0].startswith("a: cannot be listed (Permission denied): expected")
    assert found[1:] == ["b/y.md"]


def test_deep_folders(tmp_path: Path) -> None:
    here = tmp_path
    for _ in range(150):
        here = here / "d"
    tree(here, "end.md")
    assert [Path(name).name for name in names(tmp_path, tmp_path)] == ["end.md"]


def test_kinds() -> None:
    assert is_readable("x/Manual.PDF")
    assert is_readable(Path("Makefile"))
    assert not is_readable("a.png")
    assert not is_readable("")
    assert set(KINDS.values()) == set(_FORMATS)
