"""Finding files: what is left out, limits, ranking, hostile names; and the dialog that does it."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests.tui.dialogs import ESCAPE_CODES, DialogApp, opened, screen_text, settled
from tui import find_files
from tui.find_files import FoundFile, match_offsets, rank, walk
from tui.screens.file_picker import FilePicker, line_of


def make(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)


def shown(root: Path) -> list[str]:
    return [file.shown for file in walk(root)]


def named(*names: str) -> list[FoundFile]:
    return [FoundFile(Path(name), name) for name in names]


# --- walking ---


def test_the_nearest_files_come_first_and_noise_is_left_out(tmp_path: Path) -> None:
    make(tmp_path, "b.txt", "a.txt", "z/deep/c.txt", "m/d.txt")
    make(tmp_path, ".env", ".git/config", "node_modules/x.js", ".venv/y.py", "m/__pycache__/d.pyc", "m/.hidden/e")
    assert shown(tmp_path) == ["a.txt", "b.txt", "m/d.txt", "z/deep/c.txt"]


def test_loops_of_links_end_and_what_cannot_be_read_to_an_end_is_left_out(tmp_path: Path) -> None:
    make(tmp_path, "a/file.txt", "target.txt")
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    (tmp_path / "self").symlink_to(tmp_path / "self")
    (tmp_path / "gone").symlink_to(tmp_path / "nothing")
    (tmp_path / "link.txt").symlink_to(tmp_path / "target.txt")
    (tmp_path / "zero").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "pipe")
    assert shown(tmp_path) == ["link.txt", "target.txt", "a/file.txt"]


def test_walking_stops_at_its_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, *(f"{n:02}.txt" for n in range(30)), "d/e/f/g.txt")
    with monkeypatch.context() as patch:
        patch.setattr(find_files, "MAX_FILES", 10)
        assert len(shown(tmp_path)) == 10
    with monkeypatch.context() as patch:
        patch.setattr(find_files, "MAX_DEPTH", 2)
        assert "d/e/f/g.txt" not in shown(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(find_files, "MAX_SECONDS", -1.0)
        assert shown(tmp_path) == []
    assert len(shown(tmp_path)) == 31
    assert list(walk(tmp_path, stopped=lambda: True)) == []


def test_a_folder_that_is_not_there_or_not_readable_has_no_files(tmp_path: Path) -> None:
    assert shown(tmp_path / "nowhere") == []
    make(tmp_path, "file.txt")
    assert shown(tmp_path / "file.txt") == []


def test_names_that_would_steer_the_terminal_are_shown_inertly_and_still_open(tmp_path: Path) -> None:
    make(tmp_path, "esc\x1b[31mred.txt", "new\nline.txt", "[bold]m[\\bold].txt", "flip\u202etxt.exe")
    (tmp_path / os.fsdecode(b"bad\xff.txt")).write_text("latin")
    (tmp_path / "ga\u304b\u3099.txt").write_text("decomposed, as macOS stores it")
    found = list(walk(tmp_path))
    names = {file.shown for file in found}
    assert names == {"escred.txt", "new line.txt", "[bold]m[\\bold].txt", "fliptxt.exe", "bad.txt", "ga\u304c.txt"}
    assert all(file.path.is_file() for file in found)
    assert all(line_of(match).plain.endswith("  ") for match in rank("", found, 9))


# --- ranking ---


@pytest.mark.parametrize(
    ("query", "best"),
    [
        ("readme", "README.md"),
        ("set", "tui/settings.py"),
        ("scrset", "tui/screens/settings.py"),
        ("スクリ", "メモ/スクリーン.txt"),
        ("settings py", "tui/settings.py"),
    ],
)
def test_the_best_match_comes_first(query: str, best: str) -> None:
    files = named(
        "tui/screens/settings.py", "README.md", "tui/settings.py", "tests/test_set.txt", "メモ/スクリーン.txt"
    )
    assert rank(query, files, 10)[0].file.shown == best


def test_only_files_with_all_letters_in_order_match_and_the_limit_holds() -> None:
    files = named("abc", "a-b-c", "acb", "ab")
    assert {match.file.shown for match in rank("ABC", files, 10)} == {"abc", "a-b-c"}
    assert len(rank("a", files, 2)) == 2
    assert [match.file.shown for match in rank("  ", files, 3)] == ["abc", "a-b-c", "acb"]
    assert rank("a", files, 9, stopped=lambda: True) == []


@pytest.mark.parametrize(
    ("letters", "text", "offsets"),
    [("ab", "ab/ab", [3, 4]), ("ab", "a/xb", [0, 3]), ("ba", "ab", []), ("aa", "a", []), ("x", "", [])],
)
def test_letters_are_found_as_near_to_the_end_as_can_be(letters: str, text: str, offsets: list[int]) -> None:
    assert list(match_offsets(letters, text)) == offsets


def test_a_name_of_one_repeated_letter_takes_no_time() -> None:
    files = named("ab" * 2000, "a" * 4000)
    started = time.process_time()
    assert len(rank("aab" * 30, files * 20, 100)) == 20
    assert time.process_time() - started < 5  # combinations would take longer than the universe has


# --- the dialog ---


async def test_letters_narrow_the_files_and_enter_gives_the_path(tmp_path: Path) -> None:
    make(tmp_path, "notes/会議メモ.txt", "src/plan.py", "README.md")
    async with opened(lambda: FilePicker(tmp_path)) as (app, pilot):
        assert "3 files" in screen_text(app)
        assert "9 B  README.md" in screen_text(app)
        await pilot.press(*"メモ", "enter")
        await settled(pilot)
        assert app.results == [tmp_path / "notes/会議メモ.txt"]


async def test_arrows_move_while_one_types_and_a_click_chooses(tmp_path: Path) -> None:
    make(tmp_path, "one.txt", "three.txt", "two.txt")
    async with opened(lambda: FilePicker(tmp_path)) as (app, pilot):
        await pilot.press("down", "down", "up", "enter")
        await settled(pilot)
        assert app.results == [tmp_path / "three.txt"]
    async with opened(lambda: FilePicker(tmp_path)) as (app, pilot):
        await pilot.click("#choices", offset=(12, 2))
        await settled(pilot)
        assert app.results == [tmp_path / "two.txt"]


async def test_hostile_names_do_not_reach_the_terminal_and_nothing_found_is_said(tmp_path: Path) -> None:
    make(tmp_path, "esc\x1b[31mred.txt", "osc\x1b]0;x\x07.txt", "[bold]x[\\bold]")
    async with opened(lambda: FilePicker(tmp_path)) as (app, pilot):
        text = screen_text(app)
        assert "escred.txt" in text
        assert "[bold]x[\\bold]" in text
        assert not [code for code in ESCAPE_CODES if code in text]
        await pilot.press(*"zzz", "enter")
        await settled(pilot)
        assert "No file matches." in screen_text(app)
        assert app.results == []
        await pilot.press("escape")
        await settled(pilot)
        assert app.results == [None]


async def test_more_files_than_are_listed_are_said_and_an_empty_folder_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(lambda: FilePicker(tmp_path)) as (app, _):
        assert "There is no file below this folder." in screen_text(app)
    make(tmp_path, *(f"{n}.txt" for n in range(9)))
    monkeypatch.setattr(find_files, "MAX_FILES", 5)
    async with opened(lambda: FilePicker(tmp_path)) as (app, _):
        assert "Only the first 5 files are listed" in screen_text(app)


async def test_leaving_while_the_folder_is_read_ends_the_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path, *(f"{n}.txt" for n in range(400)))
    real, read = find_files._kind, []

    def slow(entry: os.DirEntry[str]) -> str:
        read.append(entry.name)
        time.sleep(0.005)
        return real(entry)

    monkeypatch.setattr(find_files, "_kind", slow)
    app = DialogApp(lambda: FilePicker(tmp_path))
    async with app.run_test() as pilot:
        await pilot.press("escape")
        await settled(pilot)
        assert app.results == [None]
        n_read = len(read)
        await pilot.pause(0.1)
        assert len(read) <= n_read + 1 < 400
