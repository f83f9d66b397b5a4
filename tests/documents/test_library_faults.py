"""kill -9, damage, a full disk and missing rights: one line or none, and no document is lost."""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edgeai.documents.library import Library
from edgeai.errors import DocumentError
from tests.documents.library_files import document
from tests.documents.library_killed import document as killed_document


def held_versions(library: Library) -> dict[int, int]:
    return {int(held.path.stem): int(held.sha256) for held in library.documents()}


def check_against_sqlite(library: Library) -> None:
    """Each word search finds exactly the passages whose stored text holds the word."""
    stored = library._db.read("SELECT id, text FROM passages")
    wanted = [*(f"doc{n}" for n in range(12)), *(re.findall(r"version\w+", text)[0] for _, text in stored), "filler"]
    for word in wanted:
        expected = {number for number, text in stored if word in re.findall(r"\w+", text)}
        assert {hit.id for hit in library.search(word, 1000)} == expected
    assert library._db.read("PRAGMA integrity_check") == [("ok",)]


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
def test_killed_at_any_moment(tmp_path: Path) -> None:
    rng, held = random.Random(6), dict[int, int]()
    for seed in range(12):
        with subprocess.Popen(
            [sys.executable, "-m", "tests.documents.library_killed", str(tmp_path), str(seed)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        ) as process:
            assert process.stdout
            said = process.stdout.readline()  # it has begun
            time.sleep(rng.random() * 0.5)
            process.kill()
            said += process.stdout.read()
        *finished, begun = said.replace("\ndone\n", ";").split(";")
        for line in finished:
            held = after(held, line)
        with Library.open(tmp_path) as library:
            check_against_sqlite(library)
            assert held_versions(library) in (held, after(held, begun))
            held = held_versions(library)
    assert held


def after(held: dict[int, int], line: str) -> dict[int, int]:
    """The library's documents once what the line says has been done."""
    if len(line.split()) != 3:
        return held
    _, number, version = line.split()
    rest = {other: of_other for other, of_other in held.items() if other != int(number)}
    return rest | {int(number): int(version)} if int(version) else rest


class _KilledError(Exception):
    pass


@pytest.mark.parametrize("level", ["after SQLite", "half an index"])
def test_an_index_that_lags_catches_up_without_being_made_again(
    tmp_path: Path, level: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Library.open(tmp_path) as library:
        library.add(*(killed_document(n, 1) for n in range(6)))
        terms = set((tmp_path / "index").glob("*.term"))
        library._keeper._index.commit = _raise  # type: ignore[method-assign,union-attr]
        if level == "after SQLite":
            library._keeper._index.add = _raise  # type: ignore[method-assign,union-attr]
        with pytest.raises(_KilledError):
            library.add(killed_document(0, 2), killed_document(7, 1))
    with Library.open(tmp_path) as library:
        check_against_sqlite(library)
        assert held_versions(library) == {0: 2, 7: 1, **dict.fromkeys(range(1, 6), 1)}
        assert terms
        assert terms <= set((tmp_path / "index").iterdir())


def _raise(*_args: object) -> None:
    raise _KilledError


@pytest.mark.parametrize(
    "what", ["gone", "empty files", "no meta", "garbage", "another library's", "truncated", "older"]
)
def test_a_damaged_index_is_made_again(tmp_path: Path, what: str) -> None:
    index = tmp_path / "lib" / "index"
    with Library.open(tmp_path / "lib") as library:
        library.add(*(killed_document(n, 1) for n in range(3)))
        shutil.copytree(index, tmp_path / "older")
        library.add(*(killed_document(n, 2) for n in range(5)))
    if what in ("gone", "another library's", "older"):
        shutil.rmtree(index)
    if what == "older":
        shutil.copytree(tmp_path / "older", index)
    if what == "another library's":
        with Library.open(tmp_path / "second") as second:
            second.add(*(document(str(n), "doc1 doc2") for n in range(5)))
            second.add(document("x", "doc1"))
        shutil.copytree(tmp_path / "second" / "index", index)
    for file in list(index.iterdir()) if index.exists() else []:
        if what == "no meta" and file.name == "meta.json":
            file.unlink()
        elif what == "empty files":
            file.write_bytes(b"")
        elif what == "garbage":
            file.write_bytes(random.Random(1).randbytes(500))
        elif what == "truncated":
            file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with Library.open(tmp_path / "lib") as library:
        check_against_sqlite(library)
        assert held_versions(library) == dict.fromkeys(range(5), 2)


def test_an_index_that_is_damaged_while_open_is_made_again_or_not_missed(tmp_path: Path) -> None:
    with Library.open(tmp_path) as library:
        library.add(*(killed_document(n, 1) for n in range(3)))
        shutil.rmtree(tmp_path / "index")
        library.add(killed_document(3, 1))
        check_against_sqlite(library)
        assert held_versions(library) == dict.fromkeys(range(4), 1)


@pytest.mark.parametrize("damage", ["not SQLite", "cut", "zeros", "another program's", "newer"])
def test_a_damaged_database_is_named_and_stays(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "library.sqlite"
    with Library.open(tmp_path) as library:
        library.add(*(killed_document(n, 1) for n in range(12)))
        if damage in ("another program's", "newer"):
            library._db.read("PRAGMA user_version = 99" if damage == "newer" else "PRAGMA application_id = 5")
    content = path.read_bytes()
    if damage == "not SQLite":
        content = b"hello" * 1000
    elif damage == "cut":
        content = content[: len(content) // 2]
    elif damage == "zeros":
        content = content[:20_000] + bytes(len(content) - 20_000)
    path.write_bytes(content)
    with pytest.raises(DocumentError) as caught, Library.open(tmp_path) as library:
        check_against_sqlite(library)
    assert re.search(r"library.sqlite: .*(damaged|another program's|newer version).*: \w+", str(caught.value))
    assert "\n" not in str(caught.value)
    assert path.stat().st_size == len(content)


FULL_DISK = """
import resource, sys
from pathlib import Path
from edgeai.documents.library import Library
from edgeai.errors import DocumentError
from tests.documents.library_killed import document
library = Library.open(Path(sys.argv[1]))
number = 0
infinity = resource.RLIM_INFINITY
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), infinity))
try:
    while number < 100:
        library.add(*(document(n, 1) for n in range(number, number + 10)))
        number += 10
except DocumentError as exc:
    print(exc)
resource.setrlimit(resource.RLIMIT_FSIZE, (infinity, infinity))
library.add(*(document(n, 1) for n in range(number, number + 10)))
print(number + 10)
library.close()
"""


@pytest.mark.skipif(os.name != "posix", reason="needs resource limits")
@pytest.mark.parametrize("limit", [4_000, 12_000, 500_000])
def test_a_full_disk_is_reported_and_loses_nothing(tmp_path: Path, limit: int) -> None:
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path), str(limit)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    error, n = done.stdout.splitlines()
    assert "free" in error
    assert "space" in error
    with Library.open(tmp_path) as library:
        check_against_sqlite(library)
        assert set(held_versions(library)) == set(range(int(n)))


READ_ONLY = """
import resource, sys
from pathlib import Path
from edgeai.documents.library import Library
from edgeai.errors import DocumentError
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
with Library.open(Path(sys.argv[1])) as library:
    print(*(held.path.stem for held in library.documents()), sep=",")
    try:
        print(*sorted({hit.passage.path.stem for hit in library.search(sys.argv[2])}), sep=",")
    except DocumentError as exc:
        print(exc)
"""


@pytest.mark.skipif(os.name != "posix", reason="needs resource limits")
@pytest.mark.parametrize("index", ["level", "behind", "gone"])
def test_what_is_held_can_be_read_where_nothing_can_be_written(tmp_path: Path, index: str) -> None:
    with Library.open(tmp_path) as library:
        library.add(*(killed_document(n, 1) for n in range(3)))
        if index == "behind":
            library._keeper._index.commit = _raise  # type: ignore[method-assign,union-attr]
            with pytest.raises(_KilledError):
                library.add(killed_document(3, 1))
    if index == "gone":
        shutil.rmtree(tmp_path / "index")
    assert not (tmp_path / "library.sqlite-shm").exists(), "this file would have to be made"
    command = [sys.executable, "-c", READ_ONLY, str(tmp_path), "doc1"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    held, found = done.stdout.splitlines()
    assert held == ("0,1,2,3" if index == "behind" else "0,1,2")
    assert found == "1" or (index != "level" and "cannot be written" in found)
    with Library.open(tmp_path) as library:
        check_against_sqlite(library)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="needs to become another user")
def test_no_rights(tmp_path: Path) -> None:
    with Library.open(tmp_path / "lib") as library:
        library.add(document("a", "b"))
    code = (
        "import os, sys; from pathlib import Path; from edgeai.documents.library import Library\n"
        "from edgeai.errors import DocumentError; os.seteuid(65534)\n"
        "for name in ('lib', 'new'):\n"
        "    try: Library.open(Path(sys.argv[1]) / name)\n"
        "    except DocumentError as exc: print(exc)"
    )
    tmp_path.chmod(0o755)
    lines = subprocess.check_output([sys.executable, "-c", code, str(tmp_path)], text=True).splitlines()
    assert len(lines) == 2
    assert all("check the rights" in line for line in lines)


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(DocumentError, match="file"):
        Library.open(tmp_path / "file")


def test_after_closing(tmp_path: Path) -> None:
    library = Library.open(tmp_path)
    library.close()
    library.close()
    with pytest.raises(DocumentError, match="was closed"):
        library.search("x")
