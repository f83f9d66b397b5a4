"""Choosing a model: the table, the reasons, and that nothing is fetched."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from rich.cells import cell_len

from edgeai import ModelError
from edgeai.catalog import Catalog
from edgeai.installed import InstalledModel
from edgeai.model_list import ModelFacts
from tests.tui.dialogs import ESCAPE_CODES, opened, screen_lines, screen_text, settled
from tui.screens import model_picker
from tui.screens.model_picker import HEADINGS, ModelPicker, cells_of, column_widths, fit_text, line_of


@pytest.fixture
def rows(tmp_path: Path) -> list[ModelFacts]:
    """The catalog's models, the first and the third of them installed, and one whose makers mean harm."""
    weights = tmp_path / "weights.gguf"
    weights.write_bytes(b"GGUF")
    installed = InstalledModel("x", weights)
    facts = [
        ModelFacts(
            name=entry.name,
            title=entry.title,
            parameters=entry.parameters,
            ftype=entry.ftype,
            size_bytes=entry.size_bytes,
            licence=entry.licence,
            modalities=entry.modalities,
            n_ctx_train=entry.n_ctx_train,
            memory_bytes=entry.size_bytes * 2,
            fits=entry.size_bytes * 2 < 3_000_000_000,
            installed=installed if index in (0, 2) else None,
            entry=entry,
        )
        for index, entry in enumerate(Catalog.load().entries.values())
    ]
    hostile = "own \x1b]0;x\x07[b]モデル[/b]\x1b[31m\nline"
    return [*facts, ModelFacts("own-q4", hostile, licence=hostile, installed=installed, problem="wrong magic \x1b[2J")]


def picker(rows: list[ModelFacts], current: str | None = None) -> ModelPicker:
    return ModelPicker(rows, current, available_bytes=3_000_000_000)


async def test_an_installed_model_is_chosen_and_the_cursor_starts_at_the_current_one(rows: list[ModelFacts]) -> None:
    async with opened(lambda: picker(rows, rows[2].name)) as (app, pilot):
        line = next(line for line in screen_lines(app) if rows[2].name in line)
        assert "▌" in line
        assert "Installed: Enter uses it." in screen_text(app)
        await pilot.press("enter")
        await settled(pilot)
        assert app.results == [rows[2].name]


async def test_one_that_is_not_installed_is_not_chosen_but_its_command_is_shown(rows: list[ModelFacts]) -> None:
    async with opened(lambda: picker(rows)) as (app, pilot):
        await pilot.press("down", "enter")
        await settled(pilot)
        assert app.results == []
        assert f"edgeai models pull {rows[1].name}" in screen_text(app)


async def test_typing_filters_by_name_licence_and_language(rows: list[ModelFacts]) -> None:
    async with opened(lambda: picker(rows)) as (app, pilot):
        await pilot.press(*"plamo")
        await settled(pilot)
        text = screen_text(app)
        assert "plamo-2-translate" in text
        assert "smollm2" not in text
        await pilot.press(*" nothing")
        await settled(pilot)
        assert "No model matches." in screen_text(app)
        await pilot.press("enter")
        assert app.results == []


async def test_what_does_not_fit_says_how_much_is_missing(rows: list[ModelFacts]) -> None:
    big = next(row for row in rows if row.fits is False)
    async with opened(lambda: picker(rows, big.name), (200, 60)) as (app, _):
        assert "Does not fit: needs" in screen_text(app)
        assert "3.0 GB free" in screen_text(app)


def test_the_reason_names_the_numbers() -> None:
    row = ModelFacts("m", "M", memory_bytes=9_100_000_000, fits=False, n_ctx_train=2048)
    assert fit_text(row, 10**9) == "Does not fit: needs 9.1 GB of memory with n_ctx = 2,048; 1.0 GB free"
    assert fit_text(replace(row, fits=True, n_ctx_train=None), 10**10).startswith("Fits: needs 9.1 GB")
    assert fit_text(replace(row, memory_bytes=None, fits=None), 0) == "How much memory it needs is not known."


async def test_a_broken_or_vanished_file_is_explained_and_not_chosen(rows: list[ModelFacts]) -> None:
    gone = ModelFacts("gone", "Gone", installed=InstalledModel("gone", Path("/nowhere/x.gguf")))
    async with opened(lambda: picker([*rows, gone], "own-q4")) as (app, pilot):
        text = screen_text(app)
        assert "Its file cannot be used: wrong magic" in text
        assert "[b]モデル[/b] line" in text
        assert not [code for code in ESCAPE_CODES if code in text]
        await pilot.press("enter", "down", "enter")
        await settled(pilot)
        assert "Its file is gone: edgeai models remove gone" in screen_text(app)
        assert app.results == []


@pytest.mark.parametrize("n_cells", [75, 76, 95, 40])
def test_columns_line_up_with_wide_characters_and_use_the_width(n_cells: int, rows: list[ModelFacts]) -> None:
    widths = column_widths(n_cells)
    wide = ModelFacts("日本語の名前" * 8, "", licence="ライセンス" * 8, parameters=10**9, size_bytes=1, fits=True)
    lines = [line_of(HEADINGS, widths), *(line_of(cells_of(row, in_use=False), widths) for row in [*rows, wide])]
    ends = {cell_len(line[: line.rindex(line.split()[-1])]) for line in lines}
    assert len(ends) == 1
    assert all(cell_len(line) <= max(n_cells, 75) for line in lines)


async def test_the_columns_follow_the_width_of_the_terminal(rows: list[ModelFacts]) -> None:
    async with opened(lambda: picker(rows)) as (app, pilot):
        assert "PLaMo Community" not in screen_text(app)
        await pilot.press("down", "down")
        await pilot.resize_terminal(200, 60)
        await settled(pilot)
        assert "PLaMo Community" in screen_text(app)
        await pilot.press("enter")
        await settled(pilot)
        assert app.results == [rows[2].name]


async def test_without_rows_it_looks_for_them_in_a_thread(
    rows: list[ModelFacts], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_picker, "all_models", lambda: rows)
    async with opened(lambda: ModelPicker(current=rows[0].name)) as (app, pilot):
        await pilot.press("enter")
        await settled(pilot)
        assert app.results == [rows[0].name]

    def broken() -> list[ModelFacts]:
        raise ModelError("the models folder cannot be read")

    monkeypatch.setattr(model_picker, "all_models", broken)
    async with opened(ModelPicker) as (app, _):
        assert "the models folder cannot be read" in screen_text(app)
