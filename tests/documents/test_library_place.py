"""Names of libraries lead to folders below the user's data folder, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeai.documents.library import Library
from edgeai.documents.library_place import existing_library_dir, library_dir, library_names
from edgeai.errors import DocumentError


@pytest.mark.parametrize("name", ["default", "manuals", "work-2026", "説明書", "a" * 60, "_x"])
def test_a_plain_word_is_a_folder_of_its_own(home: Path, name: str) -> None:
    folder = library_dir(name)
    assert folder.parent == home / "libraries"
    Library.open(folder).close()
    assert library_names() == [name]
    assert existing_library_dir(name) == folder


HOSTILE = ["", ".", "..", "../x", "/etc", "a/b", "a\\b", "a.b", "-x", "a b", "a\nb", "a\0", "\x1b[2J", "NUL", "a" * 61]


@pytest.mark.parametrize("name", [*HOSTILE, "\ud800", "𠮷" * 60])
def test_what_is_no_word_is_refused_in_one_harmless_line(name: str) -> None:
    with pytest.raises(DocumentError, match="expected a name of at most 60 letters") as caught:
        library_dir(name)
    assert str(caught.value).isprintable()


def test_one_that_is_not_there_says_how_it_is_made() -> None:
    assert library_names() == []
    with pytest.raises(DocumentError, match=r"library default: .* run `edgeai docs add PATH`"):
        existing_library_dir()
    Library.open(library_dir("manuals")).close()
    with pytest.raises(DocumentError, match=r"there are: manuals\): run `edgeai docs add --library other PATH`"):
        existing_library_dir("other")


def test_what_is_no_library_is_not_listed(home: Path) -> None:
    (home / "libraries" / "empty").mkdir(parents=True)
    (home / "libraries" / "file").write_text("x")
    assert library_names() == []


def test_a_folder_that_cannot_be_listed_is_named(home: Path) -> None:
    home.mkdir()
    (home / "libraries").write_text("x")
    with pytest.raises(DocumentError, match="libraries: cannot be listed"):
        library_names()
