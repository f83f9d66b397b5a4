"""Files read ahead of their taking: their order, how many at once, failures, and an end in the middle."""

from __future__ import annotations

import random
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from edgeai.documents import read_ahead
from edgeai.documents.read_ahead import Progress, ReadAhead, n_readers
from edgeai.documents.types import Document
from edgeai.errors import DocumentError
from tests.documents.library_files import document

PATIENCE_S = 20.0
PATHS = [Path(f"{number}.txt") for number in range(40)]


def ignore(_path: Path, _n_done: int, _n_total: int) -> None:
    pass


def test_documents_come_in_their_order_and_few_wait_to_be_taken() -> None:
    rng, n_taken, most = random.Random(8), 0, 0

    def read(path: Path, _on_progress: Progress) -> Document:
        nonlocal most
        most = max(most, int(path.stem) + 1 - n_taken)
        time.sleep(rng.random() / 500)
        return document(path.stem, "text")

    with closing(ReadAhead(PATHS, read, 3, ignore)) as ahead:
        for path in PATHS:
            assert ahead.take().title == path.stem
            n_taken += 1
    assert most <= 2 * 3 + 1, "one more may have been taken that this test has not counted yet"


def test_as_many_are_read_at_once_as_there_are_readers() -> None:
    barrier = threading.Barrier(4)

    def read(path: Path, _on_progress: Progress) -> Document:
        barrier.wait(PATIENCE_S)
        return document(path.stem, "text")

    with closing(ReadAhead(PATHS, read, 4, ignore)) as ahead:
        assert [ahead.take().title for _ in PATHS] == [path.stem for path in PATHS]
    assert 1 <= n_readers() <= 8


def test_a_file_that_fails_stops_no_other() -> None:
    def read(path: Path, _on_progress: Progress) -> Document:
        if int(path.stem) % 3 == 0:
            raise DocumentError(f"{path.stem} fails")
        return document(path.stem, "text")

    with closing(ReadAhead(PATHS, read, 2, ignore)) as ahead:
        for number in range(40):
            if number % 3 == 0:
                with pytest.raises(DocumentError, match=f"^{number} fails$"):
                    ahead.take()
            else:
                assert ahead.take().title == str(number)


def test_large_files_are_read_one_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_ahead, "_MOST_BYTES", 100)
    paths = [tmp_path / f"{number}.txt" for number in range(10)]
    for path in paths:
        path.write_bytes(b"x" * 80)
    begun, taken = list[str](), list[str]()

    def read(path: Path, _on_progress: Progress) -> Document:
        begun.append(path.stem)
        assert len(begun) - len(taken) <= 2, "the one that is being taken, and the next"
        return document(path.stem, "text")

    with closing(ReadAhead(paths, read, 4, ignore)) as ahead:
        for path in paths:
            assert ahead.take().title == path.stem
            taken.append(path.stem)


def test_closing_ends_what_is_being_read_and_begins_nothing() -> None:
    begun, ended = list[Path](), threading.Semaphore(0)

    def read(path: Path, on_progress: Progress) -> Document:
        begun.append(path)
        try:
            while True:
                on_progress(1, 2)
                time.sleep(0.001)
        finally:
            ended.release()

    told = threading.Event()
    ahead = ReadAhead(PATHS, read, 2, lambda path, _n_done, _n_total: told.set() if path == PATHS[0] else None)
    assert told.wait(PATIENCE_S)
    ahead.close()
    n_begun = len(begun)
    for _ in range(n_begun):
        assert ended.acquire(timeout=PATIENCE_S)
    assert n_begun <= 2
