"""`edgeai classify --ray`: what its workers do, and who says no. For one that works see test_ray_commands.py."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edgeai import cluster
from edgeai.cluster import WorkerOf
from edgeai.errors import EngineCrashedError
from edgeai.records.read import ReadOptions, Records
from edgeai.records.source import file_source
from tests.tui.labeller import Labeller, classification, put_in_place
from tui import classify_ray
from tui.classify_ray import Plan, Worker
from tui.classify_rows import Added, Inputs
from tui.classify_task import Task
from tui.cli import main

TASK = Task(("good", "bad"))
ADDED = Added(TASK.labels)


def test_a_worker_gives_each_run_of_rows_its_results() -> None:
    plan = Plan(TASK, ADDED, {}, [], lambda _: lambda texts: (classification(TASK, text) for text in texts))
    assert Worker(plan, 1)([(3, "good", ""), (4, "", "no 'text'"), (7, "bad", "")]) == [
        (3, [[[0], [0.75, 0.25], 0.5, ""], [[], [], None, "no 'text'"]]),
        (7, [[[1], [0.25, 0.75], 0.5, ""]]),
    ]


def test_a_worker_whose_engine_crashes_tries_again_with_a_new_one() -> None:
    made: list[int] = []

    def make(_plan: Plan) -> Any:
        made.append(len(made))

        def classify(texts: Any) -> Any:
            for text in texts:
                if made == [0]:
                    raise EngineCrashedError(doing="scoring")
                yield classification(TASK, text)

        return classify

    ((_, ((labels, *_),)),) = Worker(Plan(TASK, ADDED, {}, [], make), 1)([(0, "good", "")])
    assert labels == [0]
    assert made == [0, 1]


def test_blocks_leave_out_what_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "in.txt"
    path.write_text("".join(f"row {number}\n" for number in range(10)), encoding="utf-8")
    monkeypatch.setattr(classify_ray, "BLOCK_ROWS", 3)
    inputs = Inputs(Records(file_source(path), ReadOptions("lines")), "text", ADDED.names())
    blocks = classify_ray._blocks(inputs, lambda index: index in (1, 2, 5))
    assert [[index for index, _, _ in block] for block in blocks] == [[0, 3, 4], [6, 7, 8], [9]]


@pytest.mark.parametrize(
    ("cores", "wanted", "worker_of", "expected"),
    [
        ([8, 4, 0], None, "machine", (2, 4)),
        ([2], 2, "machine", (2, 1)),
        ([16, 16], 8, "machine", (8, 4)),
        ([], None, "machine", (1, 1)),
        ([2], 8, "machine", (8, 1)),
        ([8, 4, 0], None, "core", (12, 1)),
        ([8, 4], 3, "core", (3, 1)),
    ],
)
def test_workers_and_their_cores(
    cores: list[int], wanted: int | None, worker_of: WorkerOf, expected: tuple[int, int]
) -> None:
    nodes = [{"Alive": True, "Resources": {"CPU": n}} for n in cores] + [{"Alive": False, "Resources": {"CPU": 1}}]
    assert cluster._workers(SimpleNamespace(nodes=lambda: nodes), wanted, worker_of) == expected


def test_a_cluster_needs_a_file_to_write(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put_in_place(Labeller(), monkeypatch.setattr)
    (tmp_path / "in.txt").write_text("good\n", encoding="utf-8")
    command = ["classify", "--labels", "good,bad", str(tmp_path / "in.txt"), "--ray", "auto"]
    assert main(command) == 2
    assert "give a file for them with -o FILE" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "ray", None)
    assert main([*command, "-o", str(tmp_path / "out.jsonl")]) == 1
    assert '--ray needs the extra `ray`: pip install "edgeai[ray]"' in capsys.readouterr().err


@pytest.mark.parametrize("address", ["127.0.0.1:9", "nonsense", "ray://[::1]:99999"])
def test_an_address_where_nobody_answers(
    address: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("ray")
    put_in_place(Labeller(), monkeypatch.setattr)
    monkeypatch.setattr(classify_ray.Cluster, "identity", lambda *_: ["fake"])
    (tmp_path / "in.txt").write_text("good\n", encoding="utf-8")
    out = ["-o", str(tmp_path / "out.jsonl"), "--ray", address]
    assert main(["classify", "--labels", "good,bad", str(tmp_path / "in.txt"), *out]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: --ray {address}: no cluster there (")
    assert not list(tmp_path.glob("out.*"))
