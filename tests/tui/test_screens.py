"""The dialogs, through keys and what they are left with: settings, confirm, rename, help, export."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen
from textual.widgets import Footer, Input, TextArea

from edgeai.history import History
from tests.tui.dialogs import ESCAPE_CODES, opened, screen_text, settled
from tui.screens.confirm import ConfirmScreen
from tui.screens.export import ExportChoice, ExportScreen
from tui.screens.help import HelpScreen
from tui.screens.rename import RenameScreen
from tui.screens.search import SearchScreen
from tui.screens.settings import FIELDS, SettingsScreen
from tui.settings import SAMPLING_NAMES, ConversationSettings

SIZES = ((80, 24), (200, 60))
HOSTILE = "a [b]title[/b] \x1b]0;owned\x07\x1b[31m of\x9b two\nlines \u202egpj"


@pytest.fixture
def history(tmp_path: Path) -> Iterator[History]:
    with History(tmp_path / "history.db") as store:
        yield store


# --- all of them ---


def every_dialog(history: History) -> list[ModalScreen[Any]]:
    return [
        SettingsScreen(ConversationSettings(system=HOSTILE), title=HOSTILE),
        ConfirmScreen(f"Delete {HOSTILE}?", "Delete"),
        RenameScreen(HOSTILE),
        HelpScreen({"Keys": [Binding("x", "x", "Do x")]}),
        ExportScreen(Path("a [b]title[/b].md")),
        SearchScreen(history),
    ]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("number", range(6))
async def test_every_dialog_fits_names_its_keys_shows_text_inertly_and_leaves_by_escape(
    number: int, size: tuple[int, int], history: History
) -> None:
    async with opened(lambda: every_dialog(history)[number], size) as (app, pilot):
        text = screen_text(app)
        assert not [code for code in ESCAPE_CODES if code in text]
        assert "[b]title[/b]" in text or number in (3, 5)
        footer = app.screen.query_one(Footer)
        assert footer.region.height == 1
        assert app.screen.region.contains_region(footer.region)
        assert app.screen.region.contains_region(app.screen.query_one("#dialog-box").region)
        await pilot.press("escape")
        await settled(pilot)
        assert app.results == [False if number == 1 else None]


# --- settings ---


async def test_settings_are_typed_checked_and_saved() -> None:
    before = ConversationSettings(system="Be brief.", temperature=0.2, seed=7)
    async with opened(lambda: SettingsScreen(before, title="x")) as (app, pilot):
        screen = app.screen
        assert {field.name for field in FIELDS} == set(SAMPLING_NAMES)
        assert screen.query_one("#temperature", Input).value == "0.2"
        assert screen.query_one("#top_p", Input).value == ""
        assert screen.query_one("#top_p", Input).placeholder == "0.95"
        screen.query_one("#system", TextArea).text = "日本語で。"
        screen.query_one("#temperature", Input).value = ""
        screen.query_one("#top_k", Input).value = " ２０ "
        screen.query_one("#max_tokens", Input).value = "64"
        await pilot.press("ctrl+s")
        await settled(pilot)
        assert app.results == [ConversationSettings(system="日本語で。", top_k=20, max_tokens=64, seed=7)]


@pytest.mark.parametrize(
    ("name", "typed", "shown"),
    [
        ("temperature", "-1", "expected a number from 0 to 100"),
        ("temperature", "warm", "expected a number from 0 to 100"),
        ("temperature", "nan", "expected a number from 0 to 100"),
        ("top_p", "1.5", "expected a number from 0 to 1"),
        ("top_k", "3.5", "expected 0 (off) or a positive number"),
        ("max_tokens", "0", "expected a positive number"),
        ("seed", "9" * 5000, "expected a number from 0 to 4294967294"),
    ],
    ids=lambda value: value[:20],
)
async def test_a_wrong_value_is_explained_beside_its_field_and_not_saved(name: str, typed: str, shown: str) -> None:
    async with opened(lambda: SettingsScreen(ConversationSettings())) as (app, pilot):
        app.screen.query_one(f"#{name}", Input).value = typed
        await settled(pilot)
        assert shown in screen_text(app)
        await pilot.press("ctrl+s")
        await settled(pilot)
        assert app.results == []
        assert app.focused is not None
        assert app.focused.id == name
        app.screen.query_one(f"#{name}", Input).value = ""
        await pilot.press("enter")
        await settled(pilot)
        assert app.results == [None]  # nothing is different from before


async def test_typed_settings_are_not_lost_to_a_slip_of_escape() -> None:
    async with opened(lambda: SettingsScreen(ConversationSettings())) as (app, pilot):
        await pilot.press(*"Be kind.", "escape")
        assert isinstance(app.screen, ConfirmScreen)
        await pilot.press("n")
        await settled(pilot)
        assert app.screen.query_one("#system", TextArea).text == "Be kind."
        await pilot.press("escape", "y")
        await settled(pilot)
        assert app.results == [None]


async def test_reset_takes_everything_back_to_the_defaults() -> None:
    before = ConversationSettings(system="x", temperature=1.0, top_p=0.1, top_k=3, min_p=0.2, repeat_penalty=1.2)
    async with opened(lambda: SettingsScreen(before)) as (app, pilot):
        await pilot.press("ctrl+r", "ctrl+s")
        await settled(pilot)
        assert app.results == [ConversationSettings()]


async def test_the_arrow_keys_move_between_the_numbers() -> None:
    async with opened(lambda: SettingsScreen(ConversationSettings())) as (app, pilot):
        app.screen.query_one("#temperature").focus()
        await pilot.press("down", "down", "up", "5")
        assert app.screen.query_one("#top_p", Input).value == "5"


# --- confirm, rename ---


@pytest.mark.parametrize(("keys", "answer"), [("y", True), ("n", False), ("enter", False), ("right enter", True)])
async def test_a_question_is_answered_by_keys_and_a_hasty_enter_is_no(keys: str, answer: bool) -> None:
    async with opened(lambda: ConfirmScreen("Delete it?", "Delete")) as (app, pilot):
        await pilot.press(*keys.split())
        await settled(pilot)
        assert app.results == [answer]


async def test_a_question_is_answered_by_the_mouse() -> None:
    async with opened(lambda: ConfirmScreen("Delete it?", "Delete")) as (app, pilot):
        await pilot.click("#yes")
        await settled(pilot)
        assert app.results == [True]


@pytest.mark.parametrize(
    ("typed", "title"),
    [("紙の クリップ", "紙の クリップ"), ("  a \t b ", "a b"), ("", None), ("   ", None), ("old", None)],
)
async def test_a_new_title_is_one_line_and_empty_or_the_same_is_none(typed: str, title: str | None) -> None:
    async with opened(lambda: RenameScreen("old")) as (app, pilot):
        app.screen.query_one(Input).value = typed
        await pilot.press("enter")
        await settled(pilot)
        assert app.results == [title]


async def test_typing_replaces_the_old_title() -> None:
    async with opened(lambda: RenameScreen("old")) as (app, pilot):
        await pilot.press(*"new", "enter")
        await settled(pilot)
        assert app.results == ["new"]


# --- help ---


async def test_help_shows_keys_by_group_once_a_command_and_scrolls_to_privacy() -> None:
    groups: dict[str, list[BindingType]] = {
        "Chat": [Binding("ctrl+n", "new", "New chat"), Binding("f2,ctrl+e", "edit", "Edit"), ("x", "nothing", "")],
        "List": [Binding(f"f{n}", "x", f"Command {n}") for n in range(1, 12)],
    }
    async with opened(lambda: HelpScreen(groups)) as (app, pilot):
        text = screen_text(app)
        assert "New chat" in text
        assert "f2 / ^e" in text
        assert text.count("Edit") == 1
        assert "Privacy" not in text
        await pilot.press("end")
        await pilot.pause(0.1)
        assert "no network" in screen_text(app).replace("\n", " ")


# --- export ---


async def test_export_gives_path_and_format_and_f2_changes_both(tmp_path: Path) -> None:
    async with opened(lambda: ExportScreen(tmp_path / "talk.md")) as (app, pilot):
        await pilot.press("f2", "enter")
        await settled(pilot)
        assert app.results == [ExportChoice(tmp_path / "talk.json", "json")]
    async with opened(lambda: ExportScreen(tmp_path / "talk.json")) as (app, pilot):
        await pilot.press("f2", "enter")
        await settled(pilot)
        assert app.results == [ExportChoice(tmp_path / "talk.md", "markdown")]


async def test_export_asks_before_it_replaces_a_file(tmp_path: Path) -> None:
    path = tmp_path / "talk.md"
    path.write_text("mine")
    async with opened(lambda: ExportScreen(path)) as (app, pilot):
        await pilot.press("enter")
        assert isinstance(app.screen, ConfirmScreen)
        await pilot.press("escape")
        assert isinstance(app.screen, ExportScreen)
        assert app.results == []
        await pilot.press("enter", "y")
        await settled(pilot)
        assert app.results == [ExportChoice(path, "markdown")]


@pytest.mark.parametrize(
    ("typed", "problem"),
    [
        ("", "add the name of a file"),
        (".", "add the name of a file"),
        ("nowhere/talk.md", "does not exist"),
        ("/dev/null", "no ordinary file"),
        ("x" * 5000, "cannot be used"),
        ("~nobody-has-this-name/talk.md", "cannot be used"),
    ],
    ids=lambda value: value[:20],
)
async def test_export_says_what_is_wrong_with_a_path_and_stays(
    typed: str, problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with opened(lambda: ExportScreen(tmp_path / "talk.md")) as (app, pilot):
        app.screen.query_one(Input).value = typed
        await pilot.press("enter")
        await settled(pilot)
        assert problem in screen_text(app)
        assert app.results == []
