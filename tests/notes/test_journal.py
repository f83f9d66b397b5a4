"""The journal: what was written is there, what was damaged is not, and old jobs go."""

from __future__ import annotations

import os
import shutil
import stat
import time
from pathlib import Path

import pytest

from edgeai.errors import DocumentError
from edgeai.notes.journal import Journal, jobs_dir

TEXTS = {f"k{number}": f"text {number} 日本\n\x00" * number for number in range(6)}


def fill(key: str) -> None:
    with Journal(key) as journal:
        for name, text in TEXTS.items():
            journal.put(name, text)


def found(key: str) -> dict[str, str]:
    with Journal(key) as journal:
        return {name: text for name in TEXTS if (text := journal.get(name)) is not None}


def test_what_was_kept_is_found_again() -> None:
    fill("a")
    assert found("a") == TEXTS
    assert found("b") == {}


def test_every_cut_leaves_whole_steps_alone() -> None:
    fill("a")
    path = jobs_dir() / "a" / "steps.jsonl"
    data = path.read_bytes()
    lines = data.splitlines(keepends=True)
    for cut in range(0, len(data), 7):
        path.write_bytes(data[:cut])
        n_whole = sum(1 for number in range(len(lines)) if sum(map(len, lines[: number + 1])) - 1 <= cut)
        assert found("a") == dict(list(TEXTS.items())[:n_whole])
        with Journal("a") as journal:
            journal.put("next", "works")
        with Journal("a") as journal:
            assert journal.get("next") == "works"


def test_a_flipped_bit_costs_one_step() -> None:
    fill("a")
    path = jobs_dir() / "a" / "steps.jsonl"
    data = bytearray(path.read_bytes())
    middle = data.index(b"text 3")
    data[middle] ^= 1
    path.write_bytes(data)
    assert found("a") == {name: text for name, text in TEXTS.items() if name != "k3"}


def test_it_can_be_read_by_its_owner_alone() -> None:
    fill("a")
    for path in (jobs_dir() / "a").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE((jobs_dir() / "a").stat().st_mode) == 0o700


def test_the_same_job_runs_once_at_a_time() -> None:
    with Journal("a"), pytest.raises(DocumentError, match="by another process"):
        Journal("a")
    with Journal("a"):
        pass


def test_old_jobs_go() -> None:
    for number in range(12):
        fill(f"job{number}")
        now = time.time() - 1000 + number
        for path in (jobs_dir() / f"job{number}" / "steps.jsonl", jobs_dir() / f"job{number}"):
            os.utime(path, (now, now))
    with Journal("new"):
        assert sorted(path.name for path in jobs_dir().iterdir()) == sorted(["new", *(f"job{n}" for n in range(4, 12))])
    old = time.time() - 40 * 24 * 3600
    for path in (jobs_dir() / "job5" / "steps.jsonl", jobs_dir() / "job5"):
        os.utime(path, (old, old))
    with Journal("new"):
        assert not (jobs_dir() / "job5").exists()


def test_finished_work_leaves_nothing() -> None:
    fill("a")
    Journal("a").remove()
    assert not (jobs_dir() / "a").exists()


def test_nobody_takes_up_a_job_while_it_is_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[Path] = []
    rmtree = shutil.rmtree

    def watched(folder: Path, ignore_errors: bool) -> None:
        with pytest.raises(DocumentError, match="by another process"):
            Journal("a")
        tried.append(folder)
        rmtree(folder, ignore_errors)

    monkeypatch.setattr(shutil, "rmtree", watched)
    Journal("a").remove()
    assert tried == [jobs_dir() / "a"]
    assert not tried[0].exists()
