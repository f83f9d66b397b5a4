"""Commands with --ray: the same work on a cluster, which here is several processes of this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgeai import cluster
from edgeai.documents.library_place import library_names
from edgeai.errors import OptionError
from tests.documents.pdf_files import pdf
from tests.notes.readers import MarkReader
from tests.tui.terminal import FakeModels
from tui.cli import main

Capture = pytest.CaptureFixture[str]
Done = subprocess.CompletedProcess[str]

N_ROWS = 1000
ENVIRONMENT = {
    "PYTHONPATH": str(Path(__file__).parents[2]),
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": os.urandom(32).hex(),
}


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of a cluster."""
    pytest.importorskip("ray")
    environment = {**os.environ, **ENVIRONMENT, "EDGEAI_HOME": str(tmp_path_factory.mktemp("home"))}
    command = [sys.executable, "-m", "tests.tui.ray_head"]
    with subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=environment["EDGEAI_HOME"],
    ) as head:
        assert head.stdout
        yield head.stdout.readline().strip()
        head.communicate()


def run(program: str, *args: str, cwd: Path) -> Done:
    command = [sys.executable, "-m", f"tests.tui.{program}", *args]
    environment = {**os.environ, **ENVIRONMENT}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=600)


def test_a_worker_is_killed_and_every_row_is_there_once(address: str, tmp_path: Path) -> None:
    words = ("good", "bad", "good")
    rows = [f"{words[number % 3]} number {number} x" for number in range(N_ROWS)]
    (tmp_path / "in.txt").write_text("\n".join(rows), encoding="utf-8")
    done = run(
        *("ray_labeller", "classify", "--labels", "good,bad", "in.txt", "-o", "out.jsonl"),
        *("--ray", address, "--workers", "2", "-m", str(tmp_path), "--json"),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "killed").exists()
    assert json.loads(done.stdout)["n_rows"] == N_ROWS
    assert done.stderr.splitlines()[-1].startswith("done: out.jsonl: 1,000 rows: ")
    assert len(done.stderr.splitlines()) == 1, "Ray keeps to itself"
    found = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["text"] for row in found] == rows
    assert [row["label"] for row in found] == [row.split()[0] for row in rows]
    asked = [path.read_text(encoding="utf-8").splitlines() for path in tmp_path.glob("asked.*")]
    assert len(asked) == 3, "two workers, and the one that came for the one that was killed"
    assert sum(map(len, asked)) > N_ROWS, "some rows were classified twice, and none stands there twice"


def test_a_reader_is_killed_and_the_library_is_the_same_as_without_a_cluster(
    address: str, tmp_path: Path, capsys: Capture
) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    for number in range(6):
        (folder / f"note{number}.md").write_text(f"# Pump {number}\n\n" + "The pump has a red key. " * (number + 1))
    (folder / "cake.md").write_text("# Cake\n\nBake the cake.\n")
    (folder / "manual.pdf").write_bytes(pdf([["The reset button of the pump is red"], []]))
    (folder / "broken.pdf").write_bytes(b"%PDF-1.7 and no more")
    done = run("ray_reader", "docs", "add", "--ray", address, "--json", "-l", "far", str(folder), cwd=tmp_path)
    assert (tmp_path / "killed").exists(), done.stderr
    assert main(["docs", "add", "--json", "-l", "near", str(folder)]) == done.returncode == 1
    near = capsys.readouterr()
    assert done.stderr == near.err, "the same words, and Ray keeps to itself"
    assert facts(done.stdout) == facts(near.out)
    assert len(facts(near.out)["added"]) == 8
    for command in (["stats"], ["list"], ["search", "-n", "20", "red pump"], ["search", "cake"]):
        shown = []
        for name in ("far", "near"):
            assert main(["docs", *command, "-l", name, "--json"]) == 0
            shown.append(facts(capsys.readouterr().out))
        assert shown[0] == shown[1]


def facts(text: str) -> Any:
    """What a command says in JSON, without what names a library, and without times and sizes on the disk."""
    changing = ("library", "folder", "seconds", "added_at", "database_bytes", "index_bytes")
    found = {key: value for key, value in json.loads(text).items() if key not in changing}
    for document in found.get("documents", ()):
        document.pop("added")
    return found


def test_summaries_made_on_a_cluster_are_those_made_here(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    for number in range(4):
        chapters = (f"## Part {part}\n\nM{number}{part:02} " + "filler " * 60 for part in range(number + 1))
        (folder / f"manual{number}.md").write_text(f"# Manual {number}\n\n" + "\n\n".join(chapters))
    FakeModels(monkeypatch, here := MarkReader())
    assert main(["summarize", str(folder)]) == 0
    near = capsys.readouterr()
    done = run("ray_summarizer", "asked", "summarize", "--ray", address, str(folder), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == near.out
    assert [line.split(":")[0] for line in done.stderr.splitlines()] == ["plan"]
    assert (tmp_path / "asked").read_text() == "1", "what joins the documents is all that was asked here"
    assert len(here.asked) > 10


@pytest.mark.parametrize("command", [["docs", "add"], ["summarize"]])
def test_who_says_no_before_anything_is_read(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    pytest.importorskip("ray")
    (tmp_path / "a.md").write_text("# A\n\nText.\n")
    models = FakeModels(monkeypatch, MarkReader())
    assert main([*command, "--workers", "2", str(tmp_path)]) == 2
    assert "--workers are those of a cluster" in capsys.readouterr().err
    assert main([*command, "--ray", "127.0.0.1:9", str(tmp_path)]) == 1
    assert capsys.readouterr().err.startswith("error: --ray 127.0.0.1:9: no cluster there (")
    monkeypatch.setitem(sys.modules, "ray", None)
    assert main([*command, "--ray", "auto", str(tmp_path)]) == 1
    assert capsys.readouterr().err == 'error: --ray needs the extra `ray`: pip install "edgeai[ray]"\n'
    assert not models.opened
    assert library_names() == []


def test_a_cluster_that_asks_for_a_token() -> None:
    exc = ConnectionError("Failed to connect to Ray cluster at head:6379")
    exc.__cause__ = RuntimeError("Failed to connect to GCS: RPC error: InvalidAuthToken: missing or incorrect")
    with pytest.raises(OptionError, match="RAY_AUTH_MODE=token"), cluster._connecting("head:6379"):
        raise exc
