"""Threads of one library: whoever searches does not wait for whoever reads."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from edgeai.documents.library import Library
from edgeai.documents.library_lock import writer_lock
from edgeai.documents.types import Document
from tests.documents.library_files import Reader, document

PATIENCE_S = 20.0  # only a search that waits for the update needs it


def test_a_search_goes_on_while_an_update_reads(tmp_path: Path) -> None:
    (tmp_path / "slow.txt").write_text("harbour")
    reading, searched = threading.Event(), threading.Event()

    def read(path: Path) -> Document:
        reading.set()
        assert searched.wait(PATIENCE_S), "the search waits for the update"
        return Reader()(path)

    with Library(tmp_path / "shelf") as library, ThreadPoolExecutor(1) as pool:
        library.add(document("fixed", "lighthouse"))
        updated = pool.submit(library.update, [tmp_path / "slow.txt"], read=read)
        assert reading.wait(PATIENCE_S)
        assert [hit.passage.title for hit in library.search("lighthouse")] == ["fixed"]
        searched.set()
        assert updated.result().added == (tmp_path / "slow.txt",)
        assert [hit.passage.title for hit in library.search("harbour")] == ["slow.txt"]


def test_a_writer_waits_for_a_search_that_catches_up(tmp_path: Path) -> None:
    locked, waiting = threading.Event(), threading.Event()

    def hold() -> None:
        with writer_lock(tmp_path):
            locked.set()
            assert waiting.wait(PATIENCE_S)

    with Library(tmp_path) as library, ThreadPoolExecutor(1) as pool:
        holding = pool.submit(hold)
        assert locked.wait(PATIENCE_S)
        threading.Timer(0.05, waiting.set).start()  # long before `add` gives up
        library.add(document("a", "first"))
        holding.result()
        assert len(library.search("first")) == 1


def test_writers_of_one_library_wait_for_each_other_and_searches_see_each_batch(tmp_path: Path) -> None:
    with Library(tmp_path) as library, Library(tmp_path) as other, ThreadPoolExecutor(4) as pool:
        writing = [pool.submit(library.add, document(str(number), f"word {number}")) for number in range(12)]
        searching = [pool.submit(each.search, "word", 50) for each in (library, other) * 12]
        for done in writing:
            done.result()
        counts = [len(done.result()) for done in searching]
        assert max(counts) <= len(library.search("word", 50)) == 12
