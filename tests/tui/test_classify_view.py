"""The table of an output, through its keys."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from textual.pilot import Pilot
from textual.widgets import Footer, Input

from edgeai.errors import DocumentError, OptionError
from edgeai.records.columns import Column
from edgeai.records.read import Records
from edgeai.records.types import format_of
from edgeai.records.write import written
from tests.records.parquet import arrow
from tests.terminal_program import TerminalProgram
from tests.tui.dialogs import ESCAPE_CODES, quick_pilot, screen_lines, screen_text, settled
from tui.classify_app import ResultApp
from tui.classify_table import ResultRows
from tui.classify_task import take_examples
from tui.classify_view import opened
from tui.cli import main

LABELS = ("good", "bad", "dull")
COLUMNS = [
    *(Column(name) for name in ("id", "text", "label")),
    *(Column(name, "float") for name in ("probability", "margin", "p_good", "p_bad", "p_dull")),
    Column("error"),
]
HOSTILE = "evil \x1b]0;owned\x07\x1b[31mred\x9b\u202egpj [b]bold[/b]\nsecond line"


def row(number: int, text: str, label: str | None, share: float, error: str | None = None) -> dict[str, Any]:
    rest = (1 - share) / 2
    shares = {"probability": share, "margin": share - rest}
    shares |= {f"p_{name}": share if name == label else rest for name in LABELS}
    own = {"id": str(number), "text": text, "label": label, "error": error}
    return {**own, **(dict.fromkeys(shares) if error else shares)}


ROWS = [
    row(0, "The screen is bright and クリア", "good", 0.9),
    row(1, HOSTILE, "bad", 0.6),
    row(2, "Nothing much to say", "dull", 0.5),
    row(3, "Late, broken, and no answer", "good", 0.4),
    row(4, "", None, 0.0, "the 'text' is empty"),
    row(5, "配達が遅れて箱もつぶれていました", "bad", 0.8),
]


def output(path: Path, rows: list[dict[str, Any]] = ROWS, columns: list[Column] = COLUMNS) -> Path:
    with written(path, format_of(path), columns) as write:
        for values in rows:
            write(values)
    return path


@asynccontextmanager
async def shown(path: Path, size: tuple[int, int] = (80, 24)) -> AsyncIterator[tuple[ResultApp, Pilot[None]]]:
    app = ResultApp(*opened(path))
    with quick_pilot():
        async with app.run_test(size=size) as pilot:
            await until(pilot, lambda: app.corrections is not None)
            await settled(pilot)
            yield app, pilot


async def until(pilot: Pilot[None], condition: Callable[[], object]) -> None:
    for _ in range(500):
        await pilot.pause()
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError(screen_text(pilot.app))


async def press(pilot: Pilot[None], *keys: str) -> None:
    await pilot.press(*keys)
    await settled(pilot)


def first_cells(app: ResultApp) -> list[str]:
    """The labels, from the top."""
    lines = screen_lines(app)
    head = next(index for index, line in enumerate(lines) if " label" in line and "margin" in line)
    return [line[1:8].strip() for line in lines[head + 1 : head + 1 + len(app.table._order)]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return output(tmp_path / "out.jsonl")


@pytest.mark.parametrize(("name", "size"), [("out.jsonl", (80, 24)), ("out.csv", (200, 60)), ("out.parquet", (80, 24))])
async def test_it_shows_rows_inertly_and_what_keys_do(tmp_path: Path, name: str, size: tuple[int, int]) -> None:
    if name.endswith("parquet"):
        arrow()
    async with shown(output(tmp_path / name), size) as (app, pilot):
        text = screen_text(app)
        assert not [code for code in ESCAPE_CODES if code in text]
        assert "evil red" in text
        assert "[b]bold[/b]" in text
        assert "6 rows" in text
        assert "The screen is bright and クリア" in text
        assert first_cells(app) == ["good", "bad", "dull", "good", "error", "bad"]
        assert "90%" in text
        footer = app.screen.query_one(Footer)
        assert app.screen.region.contains_region(footer.region)
        assert "q Quit" in screen_lines(app)[-1]
        await press(pilot, "down", "enter")
        whole = screen_text(app)
        assert "second line" in whole
        assert "id: 1" in whole
        assert not [code for code in ESCAPE_CODES if code in whole]
        await press(pilot, "escape")
        assert first_cells(app)[0] == "good"


async def test_any_column_sorts_and_again_the_other_way(path: Path) -> None:
    async with shown(path) as (app, pilot):
        await press(pilot, "G", "s", *"margin", "enter")
        assert list(app.table._order) == [3, 2, 1, 5, 0, 4]
        assert app.table.current == 3  # the top is what one sorts for
        assert "by margin ▲" in screen_text(app)
        await press(pilot, "s", *"margin", "enter")
        assert list(app.table._order) == [0, 5, 1, 2, 3, 4]
        await press(pilot, "s", *"label", "enter")
        assert list(app.table._order)[-1] == 4, "a row without a label comes last"
        await press(pilot, "r")
        assert list(app.table._order) == [0, 3, 2, 1, 5, 4]
        await press(pilot, "s", *"p_du", "enter")
        assert "p_dull▲" in screen_text(app), "the column that sorts is seen"
        await press(pilot, "s", "enter")
        assert list(app.table._order) == [0, 1, 2, 3, 4, 5]
        await pilot.click("ResultTable", offset=(12, 0))
        await settled(pilot)
        assert "by probability ▲" in screen_text(app)


async def test_numbers_sort_by_size_where_all_is_text(tmp_path: Path) -> None:
    values = ["10", "9", "x", "-1.5", "2"]
    rows = [row(number, "text", "good", 0.9) | {"id": value} for number, value in enumerate(values)]
    async with shown(output(tmp_path / "out.csv", rows)) as (app, pilot):
        await press(pilot, "s", "i", "d", "enter")
        assert [values[number] for number in app.table._order] == ["-1.5", "2", "9", "10", "x"]
        await press(pilot, "r")
        assert [values[number] for number in app.table._order] == ["x", "10", "9", "2", "-1.5"]


async def test_the_first_rows_are_there_while_others_are_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    going_on, load = threading.Event(), ResultRows.load

    def load_slowly(rows: ResultRows, records: Records) -> None:
        def some_and_wait() -> Iterator[Any]:
            for number, found in enumerate(records):
                if number == 4:
                    going_on.wait(60)
                yield found

        load(rows, cast("Records", some_and_wait()))

    monkeypatch.setattr("tui.classify_table._N_ROWS", 2)
    monkeypatch.setattr(ResultRows, "load", load_slowly)
    app = ResultApp(*opened(path))
    with quick_pilot():
        async with app.run_test() as pilot:
            await until(pilot, lambda: app.table._order)
            assert list(app.table._order) == [0, 1, 2, 3]
            await pilot.press("down", "2")
            assert app.corrections is None
            assert not app.table._is_corrected(1)
            going_on.set()
            await until(pilot, lambda: len(app.table._order) == len(ROWS))
            assert app.table.current == 1


async def test_help_names_all_keys(path: Path) -> None:
    async with shown(path) as (app, pilot):
        await press(pilot, "question_mark")
        text = screen_text(app)
        assert "Correct the label" in text
        assert "Take the last correction back" in text
        await press(pilot, "escape", "down")
        assert app.table.current == 1


async def test_a_filter_finds_words_in_any_script_and_leaves(path: Path) -> None:
    async with shown(path) as (app, pilot):
        await press(pilot, "slash")
        app.screen.query_one("#words", Input).value = "ｸﾘｱ BRIGHT"
        await until(pilot, lambda: list(app.table._order) == [0])
        assert "1 of 6 rows" in screen_text(app)
        app.screen.query_one("#words", Input).value = "遅れて"
        await until(pilot, lambda: list(app.table._order) == [5])
        app.screen.query_one("#words", Input).value = "nowhere to be found"
        await until(pilot, lambda: not list(app.table._order))
        assert "No row." in screen_text(app)
        await press(pilot, "enter", "1", "enter", "escape")
        assert app.corrections is not None
        assert not len(app.corrections)
        await press(pilot, "escape")
        await until(pilot, lambda: len(app.table._order) == 6)
        assert app.focused is app.table


async def test_labels_are_corrected_undone_kept_and_exported(path: Path, tmp_path: Path) -> None:
    async with shown(path) as (app, pilot):
        await press(pilot, "down", "down", "down", "2")
        assert first_cells(app)[3] == "• bad"
        assert "corrected; it was good" in screen_text(app)
        await press(pilot, "up", "l", *"bad", "enter", "1")
        assert first_cells(app)[2] == "• good"
        assert "2 corrected" in screen_text(app)
        await press(pilot, "u", "u")
        assert first_cells(app)[2:4] == ["dull", "• bad"]
        await press(pilot, "end", "3")
        await press(pilot, "x", "enter")
        assert "2 examples written to" in screen_text(app)
    examples = tmp_path / "out.examples.jsonl"
    assert [json.loads(line) for line in examples.read_text(encoding="utf-8").splitlines()] == [
        {"text": ROWS[3]["text"], "label": "bad"},
        {"text": ROWS[5]["text"], "label": "dull"},
    ]
    for file in (examples, tmp_path / "out.jsonl.corrections.jsonl"):
        found = take_examples(file, None, LABELS, multi=False)
        assert [example.labels for example in found] == [("bad",), ("dull",)]
    async with shown(path) as (app, pilot):
        assert first_cells(app)[3] == "• bad"
        await press(pilot, "end", "2")
        assert "1 corrected" in screen_text(app), "back at what it was"
        await press(pilot, "u")
        assert "2 corrected" in screen_text(app)


async def test_corrections_of_another_output_are_not_believed(path: Path, tmp_path: Path) -> None:
    kept = tmp_path / "out.jsonl.corrections.jsonl"
    kept.write_text(
        '{"text": "something else", "label": "bad", "row": 0}\n'
        '{"text": "Nothing much to say", "label": "ugly", "row": 2}\n'
        'no json\n{"row": "x"}\n{"text": "Nothing much to say", "label": "bad", "row": 2}\n',
        encoding="utf-8",
    )
    async with shown(path) as (app, _):
        assert first_cells(app)[:4] == ["good", "bad", "• bad", "good"]
        assert "4 kept corrections no row has any more" in screen_text(app)


async def test_what_cannot_be_kept_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tui.classify_corrections.write_text", full)
    async with shown(path) as (app, pilot):
        await press(pilot, "2")
        assert "not kept: No space left on device" in screen_text(app)
        assert first_cells(app)[0] == "• bad"


@pytest.mark.parametrize("name", ["out.csv", "out.jsonl"])
async def test_several_labels_go_on_and_off(tmp_path: Path, name: str) -> None:
    columns = [Column("text"), Column("labels", "texts"), *(Column(c, "float") for c in ("margin", "p_a", "p_b"))]
    rows = [{"text": "one", "labels": ["a"], "margin": 0.5, "p_a": 0.9, "p_b": 0.2}]
    async with shown(output(tmp_path / name, rows, columns)) as (app, pilot):
        await press(pilot, "2")
        assert "• a, b" in screen_text(app)
        await press(pilot, "1")
        assert "• b" in screen_text(app)
        await press(pilot, "0", "u", "x", "enter")
    (example,) = (json.loads(line) for line in (tmp_path / "out.examples.jsonl").read_text().splitlines())
    assert example == {"text": "one", "labels": ["b"]}


async def test_many_rows_are_read_as_they_come_into_view(tmp_path: Path) -> None:
    rows = [row(number, f"text {number:05}", LABELS[number % 3], 0.5) for number in range(5_000)]
    async with shown(output(tmp_path / "out.jsonl", rows)) as (app, pilot):
        assert "5,000 rows" in screen_text(app)
        await press(pilot, "end")
        assert "text 04999" in screen_text(app)
        assert len(app.table._kept) < 100
        await press(pilot, "pageup", "home")
        assert "text 00000" in screen_text(app)


async def test_the_look_changes_by_key(path: Path) -> None:
    async with shown(path) as (app, pilot):
        before = app.current_theme.dark
        await press(pilot, "ctrl+t")
        assert app.current_theme.dark != before


def test_what_is_no_output_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "other.csv"
    other.write_text("text,label\na,b\n", encoding="utf-8")
    with pytest.raises(OptionError, match="no output of `edgeai classify`"):
        opened(other)
    with pytest.raises(DocumentError, match="no such file"):
        opened(tmp_path / "none.csv")
    assert main(["classify", "--view", str(other)]) == 1
    assert "--view needs a terminal" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_in_a_terminal_it_opens_and_closes(path: Path, home: Path) -> None:
    command = [sys.executable, "-c", "import sys; from tui.cli import main; sys.exit(main(sys.argv[1:]))"]
    program = TerminalProgram([*command, "classify", "--view", str(path)], {**os.environ, "EDGEAI_HOME": str(home)})
    program.until(lambda: b"6 rows" in program.output)
    program.type("2")
    program.until(path.with_name("out.jsonl.corrections.jsonl").exists)
    program.type("q")
    assert program.end() == 0


def test_the_record_tells_the_columns(tmp_path: Path) -> None:
    path = output(
        tmp_path / "out.csv",
        [{"label": "x", "body": "b", "ai_label": "a", "ai_margin": 0.1, "ai_p_a": 0.5}],
        [Column(name) for name in ("label", "body", "ai_label", "ai_margin", "ai_p_a")],
    )
    settings = {"settings": {"column": "body", "prefix": "ai_"}}
    (tmp_path / "out.csv.run.json").write_text(json.dumps(settings), encoding="utf-8")
    layout = opened(path)[2]
    assert (layout.text, layout.label, layout.labels, layout.others) == ("body", "ai_label", ("a",), ("label",))
