"""Folders and globs stay known to a library: new files in them are found again, those taken out are not."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from edgeai.documents import library_update
from edgeai.documents.library import Library
from edgeai.documents.library_roots import find
from edgeai.documents.types import Document
from edgeai.errors import DocumentError
from tests.documents.library_files import Reader


def fill(folder: Path, *names: str) -> list[Path]:
    files = [folder / name for name in names]
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"text of {file.name}")
    return files


def names(library: Library) -> list[str]:
    return [held.path.name for held in library.documents()]


def update(library: Library) -> None:
    found = library.find_again()
    library.update(found.paths, read=Reader(), away=found.away)


def test_new_files_in_folders_and_globs_are_found_again(tmp_path: Path) -> None:
    fill(tmp_path / "a", "1.txt")
    with Library.open(tmp_path / "lib") as library:
        library.remember([tmp_path / "a", tmp_path / "b*" / "*.md", tmp_path / "a" / "1.txt", tmp_path / "none"])
        assert library.roots() == [tmp_path / "a", tmp_path / "b*" / "*.md"]
    with Library.open(tmp_path / "lib") as library:
        fill(tmp_path, "a/sub/2.txt", "b1/3.md", "b1/4.txt", "c.txt")
        update(library)
        assert names(library) == ["1.txt", "2.txt", "3.md"]


def test_what_was_taken_out_does_not_come_back_until_it_is_added(tmp_path: Path) -> None:
    fill(tmp_path / "a", "1.txt", "2.txt", "sub/3.txt", "sub/4.txt", "subway.txt")
    with Library.open(tmp_path / "lib") as library:
        library.remember([tmp_path / "a"])
        update(library)
        assert library.remove_below(tmp_path / "a" / "1.txt") == ([tmp_path / "a" / "1.txt"], False)
        assert len(library.remove_below(tmp_path / "a" / "sub")[0]) == 2
        assert library.remove_below(tmp_path / "a" / "s") == ([], False)
        update(library)
        assert names(library) == ["2.txt", "subway.txt"]
        library.remember([tmp_path / "a" / "sub" / "3.txt"])
        library.update([tmp_path / "a" / "sub" / "3.txt"], read=Reader(), away=None)
        update(library)
        assert names(library) == ["2.txt", "subway.txt", "3.txt"] or names(library) == ["2.txt", "3.txt", "subway.txt"]
        library.remember([tmp_path / "a"])
        update(library)
        assert len(names(library)) == 5
        assert len(library.remove_below(tmp_path)[0]) == 5
        assert library.roots() == []
        update(library)
        assert names(library) == []


def test_a_folder_that_is_away_keeps_its_documents(tmp_path: Path) -> None:
    one, two = fill(tmp_path / "stick", "1.txt", "2.txt")
    (loose,) = fill(tmp_path, "loose.txt")
    with Library.open(tmp_path / "lib") as library:
        library.remember([tmp_path / "stick"])
        library.update([one, two, loose], read=Reader())
        (tmp_path / "stick").rename(tmp_path / "elsewhere")
        loose.unlink()
        found = library.find_again()
        assert found.away == [tmp_path / "stick"]
        assert found.failed[0].startswith(f"{tmp_path / 'stick'}: this folder is not there")
        assert library.update(found.paths, read=Reader(), away=found.away).removed == (loose,)
        assert len(library.documents()) == 2
        (tmp_path / "elsewhere").rename(tmp_path / "stick")
        one.unlink()
        two.unlink()
        found = library.find_again()  # an empty folder is no failure
        assert (found.paths, found.failed, found.away) == ([], [], [])
        assert library.update(found.paths, read=Reader(), away=found.away).removed == (one, two)


def test_only_what_was_named_is_looked_at_where_nothing_else_should_be(tmp_path: Path) -> None:
    one, two = fill(tmp_path, "1.txt", "2.txt")
    with Library.open(tmp_path / "lib") as library:
        library.update([one], read=Reader())
        one.unlink()
        report = library.update([two], read=Reader(), away=None)
        assert (report.added, report.removed, report.unchanged) == ((two,), (), 0)


def test_empty_files_count_as_failures_only_where_they_were_named(tmp_path: Path) -> None:
    one, two = fill(tmp_path / "a", "1.txt", "2.txt")
    one.write_bytes(b"")
    found = find([tmp_path / "a"])
    assert (found.paths, found.n_empty, found.failed) == ([two], 1, [])
    assert find([tmp_path / "a", one]).paths == [one, two]
    assert find([one]).paths == [one]
    assert find([tmp_path / "none"]).failed[0].startswith(f"{tmp_path / 'none'}: no such file")


def test_what_cannot_be_looked_at_stays(tmp_path: Path) -> None:
    (one,) = fill(tmp_path / "a", "1.txt")
    with Library.open(tmp_path / "lib") as library:
        library.update([one], read=Reader())
        (tmp_path / "a").rename(tmp_path / "b")
        (tmp_path / "a").symlink_to("a")  # a link to itself: neither there nor gone
        report = library.update(read=Reader())
        assert "1.txt: cannot be looked at (" in report.failed[0][1]
        assert (names(library), report.removed) == (["1.txt"], ())


def test_what_was_read_before_an_interruption_is_kept(tmp_path: Path) -> None:
    files = fill(tmp_path / "a", *(f"{n}.txt" for n in range(5)))
    reader = Reader()

    def read(path: Path) -> Document:
        if path == files[3]:
            raise KeyboardInterrupt
        return reader(path)

    with Library.open(tmp_path / "lib") as library:
        with pytest.raises(KeyboardInterrupt):
            library.update(files, read=read, roots=[tmp_path / "a"])
        assert library.roots() == [tmp_path / "a"]
        assert names(library) == ["0.txt", "1.txt", "2.txt"]
        assert next(hit.passage.title for hit in library.search("2.txt")) == "2.txt"
        assert library.update(files, read=reader).unchanged == 3


def test_what_takes_long_is_committed_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library_update, "BATCH_S", 0.0)
    files = fill(tmp_path / "a", "1.txt", "2.txt", "3.txt")
    reader, seen = Reader(), list[int]()
    with Library.open(tmp_path / "lib") as library, Library.open(tmp_path / "lib") as other:

        def read(path: Path) -> Document:
            seen.append(len(other.documents()))
            return reader(path)

        report = library.update(files, read=read)
        assert (seen, report.n_passages) == ([0, 1, 2], 3)


def test_a_failure_to_store_is_that_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library_update, "BATCH_S", 0.0)
    files = fill(tmp_path / "a", "1.txt", "2.txt")
    with Library.open(tmp_path / "lib") as library:

        def fail(*_args: object) -> None:
            raise DocumentError("no space")

        monkeypatch.setattr(library, "_write", fail)
        with pytest.raises(DocumentError, match="no space"):
            library.update(files, read=Reader())


def test_a_library_of_version_1_gets_what_it_lacks(tmp_path: Path) -> None:
    (file,) = fill(tmp_path / "a", "1.txt")
    with Library.open(tmp_path / "lib") as library:
        library.update([file], read=Reader())
    with sqlite3.connect(tmp_path / "lib" / "library.sqlite") as old:
        old.execute("DROP TABLE roots")
        old.execute("ALTER TABLE documents DROP COLUMN reader")
        old.execute("ALTER TABLE documents DROP COLUMN ocr")
        old.execute("PRAGMA user_version = 1")
    old.close()
    with Library.open(tmp_path / "lib") as library:
        library.remember([tmp_path / "a"])
        fill(tmp_path / "a", "2.txt")
        update(library)
        assert names(library) == ["1.txt", "2.txt"]


def test_stats_count_text_and_vectors(tmp_path: Path) -> None:
    (file,) = fill(tmp_path, "1.txt")
    file.write_text("電源")
    with Library.open(tmp_path / "lib") as library:
        library.update([file], read=Reader())
        stats = library.stats()
        assert (stats.n_chars, stats.text_bytes, stats.vector_bytes) == (2, 6, 0)
        assert library.embedders() == []
