"""Searching documents and libraries together: what embedders do is survived, and nothing is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgeai.documents import embedders
from edgeai.documents.finder import Finder
from edgeai.documents.library import Library
from edgeai.documents.search import context_for
from edgeai.documents.vectors import Vectors
from edgeai.errors import DocumentError, EngineCrashedError, SessionClosedError
from edgeai.paths import cache_dir
from tests.documents.library_files import document
from tests.documents.test_vectors import FakeEmbedder

KETTLE = document("kettle", "The kettle is descaled with vinegar.")
QUESTION = "How is the kettle descaled?"


class ClosableEmbedder(FakeEmbedder):
    """One that cannot be asked any more once it is closed."""

    is_closed = False

    def close(self) -> None:
        self.is_closed = True

    def _vectors(self, texts: Any) -> Any:
        if self.is_closed:
            raise SessionClosedError("the embedding model is closed: open it again")
        return super()._vectors(texts)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[ClosableEmbedder]:
    """All embedders that were opened, the last one last."""
    made = list[ClosableEmbedder]()

    def open_embedder(_source: str) -> ClosableEmbedder:
        made.append(ClosableEmbedder())
        return made[-1]

    monkeypatch.setattr(embedders, "open_embedder", open_embedder)
    return made


@pytest.fixture
def library(tmp_path: Path) -> Any:
    """One that was embedded."""
    with Library(tmp_path / "shelf") as library:
        library.add(KETTLE, document("lamp", "The lamp is lit with a match."))
        library.embed_pending(FakeEmbedder())
        library.remember_embedder("fake", "here")
    with Library(tmp_path / "shelf") as library:
        yield library


def scratch() -> list[Path]:
    """The folders that finders have made."""
    folder = cache_dir() / "documents"
    return list(folder.iterdir()) if folder.exists() else []


def test_a_library_can_be_given_again_after_its_embedder_was_closed(
    library: Library, opened: list[ClosableEmbedder]
) -> None:
    for n_opened in (1, 2):
        finder = Finder((), (library,))
        assert finder.search(QUESTION)[0].ranks == {"words": 1, "vectors": 1}
        finder.close()
        assert [embedder.is_closed for embedder in opened] == [True] * n_opened


def crashed(*_args: object) -> Any:
    raise EngineCrashedError(doing="embedding", signal="SIGSEGV")


def no_space(*_args: object) -> Any:
    raise DocumentError("library.sqlite: cannot be written: free some disk space")


@pytest.mark.parametrize(
    ("owner", "name", "failing"),
    [(ClosableEmbedder, "embed_query", crashed), (Vectors, "add", no_space)],
)
def test_where_an_embedder_fails_words_alone_are_searched(
    library: Library,
    opened: list[ClosableEmbedder],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    owner: type,
    name: str,
    failing: Callable[..., Any],
) -> None:
    library.add(document("new", "A kettle that has no vector yet."))
    by_words = library.search(QUESTION)
    monkeypatch.setattr(owner, name, failing)
    finder = Finder((), (library,))
    for _ in range(2):
        assert finder.search(QUESTION) == by_words
    (said,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert said.startswith("shelf is searched by words alone: ")
    assert opened[0].is_closed
    finder.close()


def test_without_tantivy_nothing_stays_behind(
    library: Library, opened: list[ClosableEmbedder], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tantivy", None)
    with pytest.raises(DocumentError, match="needs tantivy"):
        Finder((KETTLE,), (library,))
    assert scratch() == []
    assert opened[0].is_closed


def test_where_no_folder_can_be_made_it_says_what_to_do(home: Path) -> None:
    home.mkdir()
    (home / "cache").write_text("in the way")
    with pytest.raises(DocumentError, match=r"cache/documents: .*free some disk space.*EDGEAI_HOME"):
        Finder((KETTLE,), ())


KILLED = """
import os, sys
from edgeai.documents.finder import Finder
from tests.documents.test_finder import KETTLE, scratch
finder = Finder((KETTLE,), ())
print(scratch()[0], flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
def test_what_a_killed_process_left_goes_and_what_is_in_use_stays() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", KILLED], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path.cwd()
    ) as process:
        assert process.stdout
        theirs = Path(process.stdout.readline().strip())
        assert theirs.stat().st_mode & 0o777 == 0o700
        first = Finder((KETTLE,), ())
        assert theirs in scratch()
        assert len(scratch()) == 2
        process.send_signal(signal.SIGKILL)
    second = Finder((KETTLE,), ())
    assert theirs not in scratch()
    assert len(scratch()) == 2
    assert first.search(QUESTION)
    first.close()
    first.close()
    second.close()
    assert scratch() == []


FORKED = """
import os, sys
from edgeai.documents.finder import Finder
from tests.documents.test_finder import KETTLE, QUESTION, scratch
finder = Finder((KETTLE,), ())
if os.fork() == 0:
    finder.close()
    sys.exit()
os.wait()
print(len(scratch()), len(finder.search(QUESTION)))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_takes_nothing_away() -> None:
    command = [sys.executable, "-W", "ignore", "-c", FORKED]
    assert subprocess.check_output(command, text=True, cwd=Path.cwd()).split() == ["1", "1"]
    assert scratch() == []


def test_two_versions_of_a_file_are_not_mixed(tmp_path: Path) -> None:
    parts = [f"part{number} of the kettle " * 30 for number in range(3)]
    older = document("manual", *parts)
    newer = document("manual", *(f"{part}as of today" for part in parts))
    with Library(tmp_path / "shelf") as library:
        library.add(older)
        finder = Finder((newer,), (library,))
        hits = finder.search("kettle part0 part1 part2")
        runs = context_for(hits, 10**6, len)
        finder.close()
    assert len(hits) == 6
    assert sorted(len(run.passages) for run in runs) == [3, 3]
    assert sorted(run.text.count("as of today") for run in runs) == [0, 3]
