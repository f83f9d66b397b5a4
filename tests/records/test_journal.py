"""The journal of a run: what was kept is there after any end, and nothing else is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from edgeai.errors import OptionError
from edgeai.records.journal import ResultJournal

SETTINGS = {"labels": ["a", "b"], "input": "x" * 64, "nested": {"tuple": [1, 2.5]}}


def filled(path: Path, *batches: tuple[int, list[Any]]) -> None:
    with ResultJournal(path, SETTINGS) as journal:
        for start, results in batches:
            journal.add(start, results)


def test_it_goes_on_where_it_was(tmp_path: Path) -> None:
    path = tmp_path / "out.journal"
    filled(path, (0, ["r0", "r1"]), (2, ["r2"]))
    with ResultJournal(path, SETTINGS) as journal:
        assert (journal.n_found, journal.n_done) == (3, 3)
        assert [journal.is_done(index) for index in range(4)] == [True, True, True, False]
        journal.add(3, ["r3"])
        assert list(journal.results()) == [(0, "r0"), (1, "r1"), (2, "r2"), (3, "r3")]
        journal.remove()
    assert not path.exists()


def test_wherever_it_is_torn_whole_batches_stay(tmp_path: Path) -> None:
    path = tmp_path / "out.journal"
    filled(path)
    n_head = path.stat().st_size
    filled(path, (0, ["äöü"] * 3))
    n_first = path.stat().st_size
    filled(path, (3, ["r3", "r4"]))
    whole = path.read_bytes()
    for n_bytes in {*range(0, len(whole), 5), n_head, n_first - 1, n_first, len(whole) - 1, len(whole)}:
        path.write_bytes(whole[:n_bytes])
        with ResultJournal(path, SETTINGS) as journal:
            expected = 5 if n_bytes == len(whole) else 3 if n_bytes >= n_first else 0
            assert journal.n_found == expected, n_bytes
            journal.add(expected, ["next"])
            assert [index for index, _ in journal.results()] == list(range(expected + 1))
    assert n_head < n_first


def test_what_stands_behind_a_damaged_line_is_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "out.journal"
    filled(path, (0, ["r0"]), (1, ["r1"]), (2, ["r2"]))
    lines = path.read_bytes().splitlines(keepends=True)
    lines[2] = lines[2].replace(b"r1", b"rX")
    path.write_bytes(b"".join(lines))
    with ResultJournal(path, SETTINGS) as journal:
        assert list(journal.results()) == [(0, "r0")]


def test_batches_may_come_in_any_order_and_twice(tmp_path: Path) -> None:
    path = tmp_path / "out.journal"
    filled(path, (4, ["r4", "r5"]), (0, ["r0", "r1"]), (4, ["again", "again"]))
    with ResultJournal(path, SETTINGS) as journal:
        assert [index for index in range(8) if journal.is_done(index)] == [0, 1, 4, 5]
        journal.add(1, ["overlaps", "r2", "r3"])
        assert list(journal.results()) == [(0, "r0"), (1, "r1"), (2, "r2"), (3, "r3"), (4, "r4"), (5, "r5")]


def test_other_settings_are_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "out.journal"
    filled(path, (0, ["r0"]))
    other = {**SETTINGS, "labels": ["a", "c"]}
    with pytest.raises(OptionError, match=r"out\.journal: an unfinished run with other settings \(labels\)"):
        ResultJournal(path, other)
    with ResultJournal(path, SETTINGS) as journal:
        assert journal.n_found == 1
    with ResultJournal(path, other, replace=True) as journal:
        assert journal.n_found == 0


def test_one_process_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "out.journal"
    with ResultJournal(path, SETTINGS), pytest.raises(OptionError, match="another process is at the same run"):
        ResultJournal(path, SETTINGS)


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits")
def test_a_full_disk_loses_the_batch_in_hand_only(tmp_path: Path) -> None:
    path = tmp_path / "out.journal"
    code = (
        "import resource, signal, sys\nfrom pathlib import Path\nfrom edgeai.records.journal import ResultJournal\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\nresource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))\n"
        "journal = ResultJournal(Path(sys.argv[1]), {'labels': 1})\n"
        "for start in range(1000):\n    journal.add(start, ['x' * 50])\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True)
    assert "File too large: '" in done.stderr  # with its name
    assert path.stat().st_size == 2000
    with ResultJournal(path, {"labels": 1}) as journal:
        assert journal.n_found > 10
        journal.add(journal.n_found, ["more"])
        assert [index for index, _ in journal.results()] == list(range(journal.n_done))
