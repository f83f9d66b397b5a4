"""`edgeai classify`, run as a person runs it."""

from __future__ import annotations

import csv
import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.records.parquet import arrow
from tests.tui.labeller import Labeller, put_in_place
from tests.tui.terminal import pipe_in
from tui.classify_output import Keeper
from tui.classify_progress import Pace
from tui.cli import main
from tui.progress_line import ProgressLine

Capture = pytest.CaptureFixture[str]
LABELS = ["--labels", "good,bad,dull"]


@pytest.fixture
def labeller(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Labeller:
    made = Labeller()
    put_in_place(made, monkeypatch.setattr)
    monkeypatch.chdir(tmp_path)
    return made


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    path = tmp_path / "reviews.csv"
    words = ["good", "bad", "dull", "good", "bad"]
    rows = [[str(number), f"{words[number % 5]} 品物 number {number}"] for number in range(23)]
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["id", "text"], *rows])
    return path


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


# --- files in and out ---


def test_columns_stay_and_results_come_beside_them(labeller: Labeller, reviews: Path, capsys: Capture) -> None:
    assert main(["classify", *LABELS, "reviews.csv", "-o", "out.jsonl"]) == 0
    found = lines(Path("out.jsonl"))
    assert [row["id"] for row in found] == [str(number) for number in range(23)]
    assert found[1] == {
        "id": "1", "text": "bad 品物 number 1", "label": "bad", "probability": 0.75, "margin": 0.625,
        "p_good": 0.125, "p_bad": 0.75, "p_dull": 0.125,
    }  # fmt: skip
    err = capsys.readouterr().err
    assert err.startswith("done: out.jsonl: 23 rows: 9 good, 9 bad, 5 dull (")
    assert sorted(path.name for path in reviews.parent.iterdir() if path.is_file()) == [
        "out.jsonl",
        "out.jsonl.run.json",
        "reviews.csv",
    ]
    run = json.loads(Path("out.jsonl.run.json").read_text())
    assert run["settings"]["labels"] == ["good", "bad", "dull"]
    assert (run["n_rows"], run["labels"], run["n_failed"], run["n_broken"]) == (
        23,
        {"good": 9, "bad": 9, "dull": 5},
        0,
        0,
    )


@pytest.mark.parametrize("name", ["out.csv", "out.tsv", "out.parquet"])
def test_other_formats(labeller: Labeller, reviews: Path, name: str) -> None:
    assert main(["classify", *LABELS, "reviews.csv", "-o", name]) == 0
    if name.endswith("parquet"):
        pa = arrow()
        table = pa.parquet.read_table(name)
        assert [str(field.type) for field in table.schema] == ["string"] * 3 + ["double"] * 5
        assert json.loads(table.schema.metadata[b"edgeai"])["labels"] == ["good", "bad", "dull"]
        rows = table.to_pylist()
    else:
        with Path(name).open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file, delimiter="\t" if name.endswith("tsv") else ","))
    assert [row["label"] for row in rows[:5]] == ["good", "bad", "dull", "good", "bad"]
    assert float(rows[0]["p_bad"]) == 0.125
    assert [row["text"] for row in rows] == [f"{row['label']} 品物 number {row['id']}" for row in rows]


def test_parquet_in_keeps_its_types(labeller: Labeller, tmp_path: Path) -> None:
    pa = arrow()
    table = pa.table({"n": pa.array([1, 2], pa.int16()), "text": ["good", None], "tags": [["x"], []]})
    pa.parquet.write_table(table, "in.parquet")
    assert main(["classify", *LABELS, "in.parquet", "-o", "out.parquet"]) == 1
    found = pa.parquet.read_table("out.parquet")
    assert found.select(["n", "text", "tags"]).cast(table.schema).equals(table)
    assert found["error"].to_pylist() == [None, "no 'text'"]
    assert found["label"].to_pylist() == ["good", None]
    assert found["p_good"].to_pylist() == [0.75, None]


def test_what_goes_wrong_with_an_item_stands_beside_it(labeller: Labeller, tmp_path: Path, capsys: Capture) -> None:
    rows = [{"text": "good"}, {"text": " "}, {"other": 1}, {"text": ["x"]}, {"text": "x" * 1001}, {"text": 12}]
    Path("in.jsonl").write_text("\n".join([*map(json.dumps, rows), "no json"]), encoding="utf-8")
    assert main(["classify", *LABELS, "in.jsonl", "-o", "out.jsonl"]) == 1
    assert [(row["label"], row["error"]) for row in lines(Path("out.jsonl"))] == [
        ("good", None),
        (None, "the 'text' is empty"),
        (None, "no 'text'"),
        (None, "'text' is no text"),
        (None, "the text does not fit: cut it (truncate)"),
        ("good", None),
    ]
    warning, done = capsys.readouterr().err.splitlines()
    assert warning.startswith("warning: in.jsonl: line 7: no JSON (")
    assert "6 rows: 2 good, 0 bad, 0 dull, 4 failed; 1 broken row left out" in done
    assert labeller.asked == ["good", "x" * 1001, "12"]


def test_several_labels(labeller: Labeller, tmp_path: Path) -> None:
    Path("in.txt").write_text("good and dull\nnothing\n", encoding="utf-8")
    for name in ("out.jsonl", "out.csv"):
        assert main(["classify", *LABELS, "--multi", "in.txt", "-o", name]) == 0
    first, second = lines(Path("out.jsonl"))
    assert first["labels"] == ["good", "dull"]
    assert (second["labels"], second["p_bad"], second["margin"]) == ([], 0.05, 0.8)
    assert "label" not in first
    assert '"[""good"", ""dull""]"' in Path("out.csv").read_text()


def test_all_that_was_asked_for_reaches_the_classifier(labeller: Labeller, tmp_path: Path) -> None:
    Path("in.txt").write_text("a\n", encoding="utf-8")
    Path("labels.txt").write_text("a, or b\nc\n\n", encoding="utf-8")
    Path("rule.md").write_text("The rule.\n", encoding="utf-8")
    Path("ex.jsonl").write_text('{"text": "t", "label": "c", "row": 3, "was": ["x"]}\n', encoding="utf-8")
    more = [
        "--abstain",
        "0.6",
        "--calibrate",
        "on",
        "--truncate",
        "--instructions",
        "rule.md",
        "--examples",
        "ex.jsonl",
    ]
    assert main(["classify", "--labels-file", "labels.txt", "--labels", "x,y", *more, "in.txt", "--json"]) == 0
    (task,) = labeller.tasks
    assert task.labels == ("x", "y", "a, or b", "c")
    assert (task.instructions, task.abstain_below, task.calibrate, task.truncate) == ("The rule.", 0.6, "on", True)
    assert [(example.text, example.labels) for example in task.examples] == [("t", ("c",))]


# --- onto the terminal ---


def test_without_a_file_rows_are_printed_as_jsonl(
    labeller: Labeller, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    pipe_in(monkeypatch, "good morning\n\nbad \x1b[31m\u202eday\n".encode())
    assert main(["classify", *LABELS, "-"]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["text"], row["label"]) for row in found] == [
        ("good morning", "good"),
        ("bad \x1b[31m\u202eday", "bad"),
    ]
    assert "error" not in found[0]


def test_on_a_terminal_they_are_a_table_and_inert(
    labeller: Labeller, monkeypatch: pytest.MonkeyPatch, capsys: Capture, tmp_path: Path
) -> None:
    Path("in.csv").write_text(
        "id,text\n1,good \x1b]0;owned\x07news " + "長い" * 60 + "\n2,bad\u202etfel\n3, \n", "utf-8"
    )
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("NO_COLOR", "1")
    assert main(["classify", *LABELS, "in.csv"]) == 1
    out = capsys.readouterr().out
    assert out.splitlines()[0] == "label     %  text"
    assert out.splitlines()[1].startswith("good    75%  good news 長い長い")
    assert out.splitlines()[1].endswith("…")
    assert out.splitlines()[2:] == ["bad     75%  badtfel", "error        the 'text' is empty"]
    assert not {"\x1b", "\x07", "\u202e"} & set(out)
    assert main(["classify", *LABELS, "in.csv", "--json"]) == 1
    out = capsys.readouterr().out
    assert not {"\x1b", "\x07", "\u202e"} & set(out)
    assert json.loads(out.splitlines()[1])["text"] == "bad\u202etfel", "as it is, for who reads the JSON"


def test_colours_are_for_terminals(labeller: Labeller, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    pipe_in(monkeypatch, b"good\n")
    assert main(["classify", *LABELS, "-"]) == 0
    assert "\x1b[1mgood" in capsys.readouterr().out


def test_the_line_of_progress() -> None:
    now = [0.0]
    pace = Pace(ProgressLine(), 12_000, 2_000, lambda: now[0])
    now[0] = 10.0
    pace.step(1_000)
    assert pace.text() == "▕█████               ▏  25% · 3,000 rows · 100 items/s · 2 min left"
    assert Pace(ProgressLine(), 0, 0, lambda: now[0]).text() == "0 rows · 0.0 items/s"


# --- going on ---


@pytest.mark.parametrize("end", ["ctrl-c", "crash"])
def test_what_is_done_is_kept_and_the_same_command_goes_on(
    labeller: Labeller, reviews: Path, capsys: Capture, end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["classify", *LABELS, "reviews.csv", "-o", "out.jsonl"]

    def crash() -> None:
        raise OSError(errno.EIO, "Input/output error")

    labeller.ends_after = 10
    labeller.end = crash if end == "crash" else lambda: signal.raise_signal(signal.SIGINT)
    assert main(command) == (130 if end == "ctrl-c" else 1)
    assert "note: not finished: the same command goes on with what is done (10 rows in " in capsys.readouterr().err
    assert not Path("out.jsonl").exists()
    second = Labeller()
    put_in_place(second, monkeypatch.setattr)
    assert main(command) == 0
    assert "note: goes on with earlier work: 10 rows done\n" in capsys.readouterr().err
    assert len(second.asked) == 13
    assert [row["id"] for row in lines(Path("out.jsonl"))] == [str(number) for number in range(23)]
    assert not Path("out.jsonl.journal").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_a_kill_loses_the_batch_in_hand_only(labeller: Labeller, tmp_path: Path, capsys: Capture) -> None:
    Path("in.txt").write_text("".join(f"good number {number}\n" for number in range(400)), encoding="utf-8")
    command = ["classify", *LABELS, "in.txt", "-o", "out.jsonl"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    killed = [sys.executable, "-m", "tests.tui.labeller", "300", *command]
    assert subprocess.run(killed, capture_output=True, env=environment).returncode == -signal.SIGKILL
    journal = Path("out.jsonl.journal")
    journal.write_bytes(journal.read_bytes() + b"0123456789abcdef [300,[[")  # torn in the middle of a line
    assert main(command) == 0
    n_done = 400 - len(labeller.asked)
    assert 300 - 64 <= n_done <= 300
    assert f"goes on with earlier work: {n_done} rows done" in capsys.readouterr().err
    assert [row["text"] for row in lines(Path("out.jsonl"))] == [f"good number {number}" for number in range(400)]


def test_a_full_disk_at_the_end_costs_nothing(
    labeller: Labeller, reviews: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["classify", *LABELS, "reviews.csv", "-o", "out.csv"]

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", lambda _self, _to: full(0))
        assert main(command) == 1
    assert "No space left on device: free some disk space" in capsys.readouterr().err
    assert not Path("out.csv").exists()
    assert main(command) == 0
    assert len(labeller.asked) == 23


def test_what_is_there_is_not_replaced_unasked(labeller: Labeller, reviews: Path, capsys: Capture) -> None:
    command = ["classify", *LABELS, "reviews.csv", "-o", "out.jsonl"]
    assert main(command) == 0
    before = Path("out.jsonl").read_bytes()
    assert main(command) == 1
    assert "out.jsonl: it is there already" in capsys.readouterr().err
    assert main([*command, "--resume"]) == 0
    assert "it is finished already" in capsys.readouterr().err
    other = ["classify", "--labels", "good,bad", "--instructions", "other", "reviews.csv", "-o", "out.jsonl"]
    assert main([*other, "--resume"]) == 1
    assert "out.jsonl: it was made with other settings (labels, instructions): " in capsys.readouterr().err
    assert Path("out.jsonl").read_bytes() == before
    assert main([*other, "--force"]) == 0
    assert "p_dull" not in lines(Path("out.jsonl"))[0]


@pytest.mark.parametrize(
    ("more", "named"),
    [
        (["--calibrate", "off"], "calibrate"),
        (["--instructions", "be strict"], "instructions"),
        (["--labels", "bad,good,dull"], "labels"),
        (["--n-ctx", "512"], "n_ctx"),
        ([], "input"),
    ],
)
def test_unfinished_work_with_other_settings_is_refused(
    labeller: Labeller, reviews: Path, capsys: Capture, more: list[str], named: str
) -> None:
    command = ["classify", *LABELS, "reviews.csv", "-o", "out.jsonl"]
    labeller.ends_after, labeller.end = 10, lambda: signal.raise_signal(signal.SIGINT)
    assert main(command) == 130
    labeller.ends_after = None
    capsys.readouterr()
    if named == "input":
        reviews.write_text("id,text\n1,good\n", encoding="utf-8")
    changed = [*command, *more]
    assert main(changed) == 1
    err = capsys.readouterr().err
    assert f"out.jsonl.journal: an unfinished run with other settings ({named})" in err
    assert Path("out.jsonl.journal").exists()
    assert main([*changed, "--force"]) == 0


# --- wrong usage ---


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (["reviews.csv"], 2, "no labels: expected --labels"),
        ([*LABELS], 2, "no FILE: expected"),
        (["--labels", "good", "reviews.csv"], 1, "1 label: expected 2"),
        (["--labels", "", "reviews.csv"], 1, "no labels: expected 2"),
        (["--labels", "good,,bad", "reviews.csv"], 1, "an empty label"),
        (["--labels", "good,bad, good", "reviews.csv"], 1, "the label 'good' comes twice"),
        ([*LABELS, "reviews.csv", "--column", "txt"], 1, "no such column in reviews.csv: expected one of: id, text"),
        ([*LABELS, "other.csv"], 1, "which column is the text? --column for other.csv: expected one of: a, b"),
        ([*LABELS, "none.csv"], 1, "none.csv: no such file"),
        ([*LABELS, "reviews.csv", "--encoding", "utf-16"], 1, "it is not utf-16, but most likely utf-8"),
        ([*LABELS, "reviews.csv", "-o", "reviews.csv"], 1, "it is the input"),
        ([*LABELS, "reviews.csv", "-o", "no/out.csv"], 1, "no such folder"),
        ([*LABELS, "reviews.csv", "-o", "out.xlsx"], 1, "its name tells no format"),
        ([*LABELS, "reviews.csv", "-o", "out.txt"], 1, "lines have no columns"),
        ([*LABELS, "reviews.csv", "--resume"], 2, "give it with -o FILE"),
        ([*LABELS, "reviews.csv", "-o", "o.csv", "--resume", "--force"], 2, "choose one of them"),
        ([*LABELS, "reviews.csv", "--workers", "2"], 2, "--ray"),
        ([*LABELS, "reviews.csv", "--instructions", "rule.txt"], 1, "rule.txt: no such file"),
        ([*LABELS, "labelled.csv"], 1, "it has a column 'label' already"),
        ([*LABELS, "reviews.csv", "--examples", "wrong.jsonl"], 1, "wrong.jsonl: line 2: the label 'ugly'"),
        ([*LABELS, "broken.csv"], 1, "broken.csv: it has no row that is whole"),
    ],
)  # fmt: skip
def test_wrong_usage_is_one_line(
    labeller: Labeller, reviews: Path, capsys: Capture, args: list[str], code: int, words: str
) -> None:
    Path("other.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    Path("labelled.csv").write_text("text,label\nx,good\n", encoding="utf-8")
    Path("broken.csv").write_text("id,text\n1\n", encoding="utf-8")
    Path("wrong.jsonl").write_text('{"text": "a", "label": "bad"}\n{"text": "b", "label": "ugly"}\n', encoding="utf-8")
    assert main(["classify", *args]) == code
    err = capsys.readouterr().err
    assert words in err
    assert "Traceback" not in err
    assert not labeller.asked
    assert not list(Path().glob("*.journal"))


def test_a_prefix_makes_room_for_a_column_that_is_there(labeller: Labeller, tmp_path: Path) -> None:
    Path("in.csv").write_text("text,label\ngood,bad\n", encoding="utf-8")
    assert main(["classify", *LABELS, "--prefix", "ai_", "in.csv", "-o", "out.jsonl"]) == 0
    (row,) = lines(Path("out.jsonl"))
    assert (row["label"], row["ai_label"], row["ai_p_good"]) == ("bad", "good", 0.75)


def test_json_lines_need_not_have_the_same_columns(labeller: Labeller, tmp_path: Path) -> None:
    Path("in.jsonl").write_text('{"text": "good", "a": 1}\n{"text": "bad", "b": [1]}\n', encoding="utf-8")
    assert main(["classify", *LABELS, "in.jsonl", "-o", "out.csv"]) == 0
    assert Path("out.csv").read_text().splitlines()[0] == "text,a,b,label,probability,margin,p_good,p_bad,p_dull"
    Path("in.jsonl").write_text('{"text": "good"}\n{"text": "bad", "label": 1}\n', encoding="utf-8")
    assert main(["classify", *LABELS, "in.jsonl", "-o", "out2.csv"]) == 1


@pytest.mark.weights
def test_the_real_model_gives_the_same_after_an_interruption(
    real_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ("I love it, it works well every day", "It broke at once, I want my money back", "とても気に入りました")
    Path("in.txt").write_text("".join(f"{words[number % 3]} ({number}).\n" for number in range(6)), encoding="utf-8")
    command = ["classify", "-m", str(real_model), "--n-ctx", "1024", "--labels", "positive,negative", "in.txt", "-o"]
    assert main([*command, "whole.jsonl"]) == 0
    add = Keeper.add

    def interrupted(keeper: Keeper, index: int, result: list[Any]) -> None:
        add(keeper, index, result)
        if index == 2:
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(Keeper, "add", interrupted)
        assert main([*command, "parts.jsonl"]) == 130
    assert main([*command, "parts.jsonl"]) == 0
    whole, parts = lines(Path("whole.jsonl")), lines(Path("parts.jsonl"))
    assert [row["label"] for row in parts] == [row["label"] for row in whole]
    assert [row["p_positive"] for row in parts] == pytest.approx([row["p_positive"] for row in whole], abs=1e-3)
    assert all(row["p_positive"] + row["p_negative"] == pytest.approx(1, abs=1e-5) for row in whole)
