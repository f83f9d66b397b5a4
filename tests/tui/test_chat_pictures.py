"""Pictures in the window: attached, shown, asked about, edited, stored, gone."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual import events

from edgeai import OptionError
from edgeai.media import Medium
from tests.tui.chat_app import Chat, Models, running_chat
from tests.tui.pictured import CAPTION, above, bar, panel_in, reads, sees
from tests.vision.picture_files import SIZE, frames, halves, written

PANEL = Medium.picture(halves().tobytes(), *SIZE)


def shown(models: Models, number: int = -1) -> list[Medium]:
    """The pictures of a request."""
    return list(models.backend.requests[number].media)


def prompt(models: Models) -> str:
    return models.backend.detokenize(models.backend.requests[-1].tokens)


async def at_block(chat: Chat, *keys: str) -> None:
    await chat.press("alt+up", *keys)


async def test_a_picture_is_attached_asked_about_shown_and_stored(tmp_path: Path) -> None:
    panel = panel_in(tmp_path)
    models = Models("A lamp.", "The left one.", sees=True)
    async with running_chat(models, folder=tmp_path) as chat:
        await chat.send("/image panel.png")
        await sees(chat, "panel.png")
        assert bar(chat) == "▣ panel.png 48 x 32 · 6 tokens"
        await chat.ask("What is it?")
        assert shown(models) == [PANEL]
        assert prompt(models).startswith("<|im_start|>user\n[♪♪♪♪]What is it?<")
        assert bar(chat) == ""
        rows = above(chat)
        assert rows[-1] == f"{CAPTION} · 6 tokens"
        assert rows[:-1] == ["▀" * 36] * 12, "three to two, at most 12 rows of two pixels"
        assert chat.texts == ["What is it?", "A lamp."]
        (stored,) = chat.history.path(chat.history.conversations()[0].id)[0].pictures
        assert (stored.path, stored.width, stored.height, stored.n_tokens) == (str(panel), *SIZE, 6)
        await chat.ask("Which?")
        assert shown(models) == [PANEL], "the conversation goes on with it"
        assert above(chat, 2) == []


async def test_several_and_again_and_taken_away(tmp_path: Path) -> None:
    for name in ("a.png", "b c.png", "d.png"):
        panel_in(tmp_path, name)
    models = Models("one", sees=True)
    async with running_chat(models, folder=tmp_path) as chat:
        await chat.send("/image a.png 'b c.png' d.png")
        await sees(chat, "a.png", "b c.png", "d.png")
        await chat.send("/image a.png")
        await chat.send("/image remove b c.png")
        await sees(chat, "a.png", "d.png")
        await chat.send("/image remove x.png")
        await chat.until(lambda: "x.png: no such picture is attached: a.png, d.png" in chat.notices)
        await chat.ask("What?")
        assert len(above(chat)) == 26
        await chat.send("/image d.png")
        await sees(chat, "d.png")
        await chat.send("/image remove")
        await chat.until(lambda: bar(chat) == "")


async def test_key_picker_and_dropped_files(tmp_path: Path) -> None:
    panel_in(tmp_path)
    (tmp_path / "notes.md").write_text("# Notes")
    async with running_chat(Models("one", sees=True), folder=tmp_path) as chat:
        await chat.press("f8")
        await chat.until(lambda: chat.app.screen.query("#choices"))
        await chat.until(lambda: chat.app.screen.query_one("#choices").option_count == 1)  # type: ignore[attr-defined]
        await chat.press("enter")
        await sees(chat, "panel.png")
        await chat.send("/image remove panel.png")
        await chat.until(lambda: bar(chat) == "")
        chat.screen.prompt.write("half a ")
        chat.screen.prompt.post_message(events.Paste(f"'{tmp_path}/panel.png' '{tmp_path}/notes.md'"))
        await sees(chat, "panel.png")
        await chat.until(lambda: [item.name for item in chat.screen.chat.documents] == ["notes.md"])
        assert chat.screen.prompt.text == "half a "


async def test_a_picture_that_a_message_names_goes_with_it(tmp_path: Path) -> None:
    panel_in(tmp_path)
    models = Models("one", sees=True)
    async with running_chat(models, folder=tmp_path) as chat:
        await chat.ask("What is on @panel.png ?")
        assert shown(models) == [PANEL]
        assert chat.texts[0] == "What is on @panel.png ?"


async def test_one_line_tells_what_cannot_be_read_and_nothing_typed_is_lost(tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (tmp_path / "notes.md").write_text("no picture")
    async with running_chat(Models("one", sees=True), folder=tmp_path) as chat:
        await chat.send("/image broken.png notes.md gone.png")
        await chat.until(lambda: len([block for block in chat.blocks if block.kind == "error"]) == 3)
        assert not any("\n" in block.text for block in chat.blocks if block.kind == "error")
        chat.screen.prompt.write("What is on @broken.png ?")
        await chat.press("enter")
        await chat.until(lambda: len([block for block in chat.blocks if block.kind == "error"]) == 4)
        assert chat.screen.prompt.text == "What is on @broken.png ?"
        assert bar(chat) == ""
        assert chat.screen.live is None


async def test_first_frame_and_smaller_ones_are_said(tmp_path: Path) -> None:
    written(tmp_path, "moving.gif", frames("GIF", 12))
    async with running_chat(Models("one", sees=True), folder=tmp_path, pictures=[tmp_path / "moving.gif"]) as chat:
        await sees(chat, "moving.gif")
        assert bar(chat) == "▣ moving.gif 48 x 32 · 6 tokens · first of 12 frames"
        await chat.ask("What?")
        assert above(chat)[-1].endswith("6 tokens · first of 12 frames")


async def test_editing_and_asking_again_keep_the_picture(tmp_path: Path) -> None:
    panel_in(tmp_path)
    panel_in(tmp_path, "other.png", (8, 8))
    models = Models("one", "two", "three", "four", sees=True)
    async with running_chat(models, folder=tmp_path) as chat:
        await chat.send("/image panel.png")
        await chat.ask("What?")
        await at_block(chat, "r")
        await chat.until(lambda: chat.texts == ["What?", "two"])
        await chat.answered()
        assert shown(models) == [PANEL]
        await chat.send("/image other.png")
        await sees(chat, "other.png")
        await at_block(chat, "k", "e")
        await sees(chat, "panel.png")
        await chat.ask("And what else?")
        assert chat.texts == ["And what else?", "three"]
        assert shown(models) == [PANEL]
        assert above(chat)[-1].startswith(CAPTION)
        await sees(chat, "other.png")
        await at_block(chat, "k", "e")
        await sees(chat, "panel.png")
        await chat.press("escape")
        await sees(chat, "other.png")


async def test_a_conversation_is_shown_again_with_its_pictures_while_they_are_there(tmp_path: Path) -> None:
    kept, changed, gone = (panel_in(tmp_path, name) for name in ("kept.png", "changed.png", "gone.png"))
    models = Models("one", "two", "three", sees=True)
    async with running_chat(models, folder=tmp_path) as chat:
        await chat.send("/image kept.png")
        await chat.ask("What?")
        await chat.send("/image changed.png gone.png")
        await chat.ask("And these?")
        conversation_id = chat.screen.chat.id
        await chat.press("ctrl+n")
        assert chat.texts == []
    changed.write_bytes(panel_in(tmp_path, "x.png", (9, 9)).read_bytes())
    gone.unlink()
    async with running_chat(models, folder=tmp_path, conversation_id=conversation_id) as chat:
        await chat.until(lambda: len(chat.texts) == 4)
        await chat.until(lambda: len(above(chat)) == 13 and all("gone or changed" in row for row in above(chat, 2)))
        assert above(chat)[-1] == "▣ kept.png · 48 x 32 · 6 tokens"
        assert [row.split(" · ")[0] for row in above(chat, 2)] == ["▣ changed.png", "▣ gone.png"]
        await chat.ask("Go on")
        assert shown(models) == [PANEL]
        assert "And these?" in prompt(models)
    assert kept.exists()


async def test_what_is_attached_waits_where_it_was_attached(tmp_path: Path) -> None:
    panel_in(tmp_path)
    async with running_chat(Models("one", "two", sees=True), folder=tmp_path) as chat:
        await chat.ask("first")
        first = chat.screen.chat.id
        assert first is not None
        await chat.send("/image panel.png")
        await sees(chat, "panel.png")
        await chat.press("ctrl+n")
        assert bar(chat) == ""
        await chat.screen.open_conversation(first)
        await sees(chat, "panel.png")


async def test_a_model_without_eyes_gets_what_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    panel_in(tmp_path)
    read = reads(monkeypatch, "PRESSURE 4.2 bar")
    models = Models("It is 4.2 bar.", "Yes.")
    async with running_chat(models, folder=tmp_path) as chat:
        await chat.send("/image panel.png")
        await sees(chat, "panel.png")
        assert bar(chat) == "▣ panel.png 48 x 32 · text will be read"
        await chat.ask("What pressure?")
        assert "PRESSURE 4.2 bar" in prompt(models)
        assert chat.texts == [
            "What pressure?",
            "(I have not seen panel.png, only read what is written in it.)\n\nIt is 4.2 bar.",
        ]
        assert above(chat)[-1] == f"{CAPTION} · only its text was read"
        await chat.ask("Sure?")
        assert "PRESSURE 4.2 bar" in prompt(models)
        assert chat.texts[3] == "Yes."
        assert read == [PANEL], "it is read once"


@pytest.mark.parametrize("installed", [True, False])
async def test_what_cannot_be_asked_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, installed: bool
) -> None:
    panel_in(tmp_path)
    if installed:
        reads(monkeypatch, "")
    else:

        def missing(_medium: Medium) -> None:
            raise OptionError("install it: pip install 'edgeai[ocr]'")

        monkeypatch.setattr("edgeai.vision.ocr.read_text", missing)
    async with running_chat(Models("one"), folder=tmp_path) as chat:
        await chat.send("/image panel.png")
        await sees(chat, "panel.png")
        chat.screen.prompt.write("What pressure?")
        await chat.press("enter")
        await chat.until(lambda: ("nothing is written" if installed else "pip install 'edgeai[ocr]'") in chat.notices)
        assert chat.screen.prompt.text == "What pressure?"
        await sees(chat, "panel.png")
        assert chat.history.conversations() == []


async def test_another_model_counts_anew(tmp_path: Path) -> None:
    panel_in(tmp_path)
    models = Models("one", sees=True)
    async with running_chat(models, folder=tmp_path) as chat:
        await chat.send("/image panel.png")
        await sees(chat, "panel.png")
        models.backend = Models("two").backend
        chat.screen.engine.load("blind")
        await chat.until(lambda: bar(chat) == "▣ panel.png 48 x 32 · text will be read")


async def test_what_cannot_be_counted_is_said_and_the_window_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel_in(tmp_path)
    models = Models("one", sees=True)

    def wrong(_medium: Medium) -> list[int]:
        raise ZeroDivisionError

    monkeypatch.setattr(models.backend, "media_tokens", wrong)
    async with running_chat(models, folder=tmp_path) as chat:
        await chat.send("/image panel.png")
        await chat.until(lambda: "panel.png: its tokens cannot be counted: ZeroDivisionError" in chat.notices)
        assert bar(chat) == "▣ panel.png 48 x 32"
        await chat.send("/image remove")
        await chat.ask("What?")
        assert chat.texts == ["What?", "one"]
