"""`edgeai classify --ray`: the same work on a cluster, which here is several processes of this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edgeai.errors import EngineCrashedError
from edgeai.records.read import ReadOptions, Records
from edgeai.records.source import file_source
from tests.records.parquet import arrow
from tests.tui.labeller import Labeller, classification, put_in_place
from tui import classify_ray
from tui.classify_ray import Plan, Worker
from tui.classify_rows import Added, Inputs
from tui.classify_task import Task
from tui.cli import main

TASK = Task(("good", "bad"))
ADDED = Added(TASK.labels)
N_ROWS = 2000


def block(*rows: tuple[int, str, str]) -> Any:
    index, text, why = zip(*rows, strict=True)
    return arrow().table({"index": list(index), "text": list(text), "why": list(why)})


def test_a_worker_gives_each_run_of_rows_its_results() -> None:
    plan = Plan(TASK, ADDED, {}, [], lambda _: lambda texts: (classification(TASK, text) for text in texts))
    found = Worker(plan)(block((3, "good", ""), (4, "", "no 'text'"), (7, "bad", ""))).to_pylist()
    assert [row["start"] for row in found] == [3, 7]
    assert [json.loads(row["results"]) for row in found] == [
        [[[0], [0.75, 0.25], 0.5, ""], [[], [], None, "no 'text'"]],
        [[[1], [0.25, 0.75], 0.5, ""]],
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

    found = Worker(Plan(TASK, ADDED, {}, [], make))(block((0, "good", ""))).to_pylist()
    assert json.loads(found[0]["results"])[0][0] == [0]
    assert made == [0, 1]


def test_blocks_leave_out_what_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arrow()
    path = tmp_path / "in.txt"
    path.write_text("".join(f"row {number}\n" for number in range(10)), encoding="utf-8")
    monkeypatch.setattr(classify_ray, "BLOCK_ROWS", 3)
    inputs = Inputs(Records(file_source(path), ReadOptions("lines")), "text", ADDED.names())
    blocks = list(classify_ray._blocks(inputs, lambda index: index in (1, 2, 5)))
    assert [table["index"].to_pylist() for table in blocks] == [[0, 3, 4], [6, 7, 8], [9]]


@pytest.mark.parametrize(
    ("cores", "wanted", "expected"),
    [([8, 4, 0], None, (2, 4)), ([2], 2, (2, 1)), ([16, 16], 8, (8, 4)), ([], None, (1, 1)), ([2], 8, (8, 1))],
)
def test_sessions_and_their_cores(cores: list[int], wanted: int | None, expected: tuple[int, int]) -> None:
    nodes = [{"Alive": True, "Resources": {"CPU": n}} for n in cores] + [{"Alive": False, "Resources": {"CPU": 1}}]
    assert classify_ray._workers(SimpleNamespace(nodes=lambda: nodes), wanted) == expected


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


def test_a_worker_is_killed_and_every_row_is_there_once(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    words = ("good", "bad", "good")
    rows = [f"{words[number % 3]} number {number} x" for number in range(N_ROWS)]
    (tmp_path / "in.txt").write_text("\n".join(rows), encoding="utf-8")
    command = [
        *(sys.executable, "-m", "tests.tui.ray_labeller", "classify", "--labels", "good,bad", "in.txt"),
        *("-o", "out.jsonl", "--ray", "local", "--workers", "2", "-m", str(tmp_path), "--json"),
    ]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "killed").exists()
    assert json.loads(done.stdout)["n_rows"] == N_ROWS
    assert done.stderr.splitlines()[-1].startswith("done: out.jsonl: 2,000 rows: ")
    assert len(done.stderr.splitlines()) == 1, "Ray keeps to itself"
    found = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["text"] for row in found] == rows
    assert [row["label"] for row in found] == [row.split()[0] for row in rows]
    asked = [path.read_text(encoding="utf-8").splitlines() for path in tmp_path.glob("asked.*")]
    assert len(asked) == 3, "two workers, and the one that came for the one that was killed"
    assert sum(map(len, asked)) > N_ROWS, "some rows were classified twice, and none stands there twice"
