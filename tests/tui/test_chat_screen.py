"""Many conversations, branches, drafts, settings and the list."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from textual.widgets import Static

from edgeai.history import History
from tests.tui.chat_app import Chat, Models, running_chat
from tui.screens.chat import ChatScreen


async def at_block(chat: Chat, *keys: str) -> None:
    """Walk to the last block and press keys there."""
    await chat.press("alt+up", "G", *keys)
    await chat.pilot.pause()


async def test_asking_again_makes_a_branch() -> None:
    async with running_chat(Models("one", "two")) as chat:
        await chat.ask("first")
        await at_block(chat, "r")
        await chat.until(lambda: chat.texts == ["first", "two"])
        await chat.answered()
        assert chat.blocks[1].branch == (2, 2)
        await at_block(chat, "left")
        await chat.until(lambda: chat.texts == ["first", "one"])
        assert chat.blocks[1].branch == (1, 2)
        await chat.press("right")
        await chat.until(lambda: chat.texts == ["first", "two"])


async def test_editing_begins_a_branch_and_keeps_the_draft() -> None:
    async with running_chat(Models("one", "two", "three")) as chat:
        await chat.ask("first")
        await chat.ask("second")
        chat.screen.prompt.write("draft")
        await at_block(chat, "k", "k", "k", "e")
        assert chat.screen.prompt.text == "first"
        assert chat.screen.query_one("#editing", Static).display
        await chat.press("escape")
        assert chat.screen.prompt.text == "draft"
        await at_block(chat, "k", "k", "k", "e")
        await chat.press("!", "enter")
        await chat.until(lambda: chat.texts == ["first!", "three"])
        await chat.answered()
        assert chat.blocks[0].branch == (2, 2)
        assert not chat.screen.query_one("#editing", Static).display
        await chat.press("alt+up", "g", "left")
        await chat.until(lambda: chat.texts == ["first", "one", "second", "two"])


async def test_copying_a_block_and_its_code() -> None:
    async with running_chat(Models("Look:\n\n```python\nx = 1\n```\n\nand\n\n```\ny\x1b[2J\n```")) as chat:
        await chat.ask("code?")
        await at_block(chat, "c")
        assert chat.app.clipboard == "x = 1\n\ny"
        await chat.press("y")
        assert chat.app.clipboard.startswith("Look:\n\n```python")
        assert "\x1b" not in chat.app.clipboard


async def test_conversations_keep_their_drafts_and_settings() -> None:
    async with running_chat(Models("one", "two"), size=(120, 30)) as chat:
        await chat.ask("first")
        first = chat.screen.chat.id
        await chat.press("a", "b", "ctrl+n", "c")
        assert chat.texts == []
        assert chat.screen.prompt.text == "c"
        assert first is not None
        await chat.screen.open_conversation(first)
        assert chat.texts == ["first", "one"]
        assert chat.screen.prompt.text == "ab"
        await chat.press("ctrl+n")
        assert chat.screen.prompt.text == "c"
    async with running_chat() as chat:
        assert chat.screen.prompt.text == "c"


async def test_an_answer_goes_on_while_another_conversation_is_shown() -> None:
    async with running_chat(Models("one", "slow answer")) as chat:
        await chat.ask("first")
        first = chat.screen.chat.id
        await chat.press("ctrl+n")
        chat.models.backend.gate.clear()
        await chat.send("second")
        await chat.until(lambda: chat.screen.chat.id is not None)
        second = chat.screen.chat.id
        assert first is not None
        assert second is not None
        await chat.screen.open_conversation(first)
        assert chat.texts == ["first", "one"]
        await chat.screen.open_conversation(second)
        assert chat.texts[0] == "second"
        await chat.screen.open_conversation(first)
        chat.models.backend.gate.set()
        await chat.answered()
        assert chat.texts == ["first", "one"]
        assert "“second” is there" in chat.toasts
        await chat.screen.open_conversation(second)
        assert chat.texts == ["second", "slow answer"]


async def test_settings_belong_to_a_conversation_and_reach_the_model() -> None:
    async with running_chat(Models("one")) as chat:
        await chat.press("ctrl+s")
        await chat.until(lambda: chat.app.screen is not chat.screen)
        await chat.press(*"Be brief", "ctrl+s")
        await chat.until(lambda: chat.app.screen is chat.screen)
        await chat.until(lambda: chat.screen.chat.settings.system == "Be brief")
        await chat.ask("first")
        prompt = chat.models.backend.detokenize(chat.models.backend.requests[0].tokens)
        assert "system\nBe brief" in prompt
        assert '"Be brief"' in chat.history.conversations()[0].settings
        await chat.press("ctrl+n")
        assert chat.screen.chat.settings.system is None


async def test_the_list_opens_renames_and_deletes() -> None:
    async with running_chat(Models("one", "two"), size=(120, 30)) as chat:
        await chat.ask("first")
        await chat.press("ctrl+n")
        await chat.ask("second")
        await chat.press("ctrl+l")
        assert not chat.screen.query_one("Sidebar").display
        await chat.press("ctrl+l")
        await chat.until(lambda: len(chat.screen.query_one("ConversationList")._options) == 4)  # type: ignore[attr-defined]
        await chat.press("end", "enter")
        await chat.until(lambda: chat.texts == ["first", "one"])
        await chat.press("ctrl+l", "ctrl+l", "end", "r")
        await chat.until(lambda: chat.app.screen is not chat.screen)
        await chat.press("2", "enter")
        await chat.until(lambda: chat.screen.chat.title == "2")
        await chat.press("ctrl+l", "ctrl+l", "end", "d")
        await chat.until(lambda: chat.app.screen is not chat.screen)
        await chat.press("y")
        await chat.until(lambda: [item.title for item in chat.history.conversations()] == ["second"])
        await chat.until(lambda: chat.texts == [])


async def test_search_opens_the_branch_with_the_message() -> None:
    async with running_chat(Models("about whales", "about lions")) as chat:
        await chat.ask("animals")
        await at_block(chat, "r")
        await chat.until(lambda: chat.texts == ["animals", "about lions"])
        await chat.answered()
        await chat.press("ctrl+n", "ctrl+f")
        await chat.until(lambda: chat.app.screen is not chat.screen)
        await chat.press(*"whales")
        await chat.until(lambda: chat.app.screen.query_one("OptionList").option_count == 1)  # type: ignore[attr-defined]
        await chat.press("enter")
        await chat.until(lambda: chat.texts == ["animals", "about whales"])
        assert chat.screen.conversation.selected == 1


@pytest.mark.parametrize(("key", "whole"), [("X", True), ("x", False)])
async def test_exporting_a_block_or_all_of_it(tmp_path: Path, key: str, whole: bool) -> None:
    async with running_chat(Models("one"), folder=tmp_path) as chat:
        await chat.ask("first question")
        await at_block(chat, key)
        await chat.until(lambda: chat.app.screen is not chat.screen)
        await chat.press("enter")
        await chat.until(lambda: "Exported" in chat.toasts)
        text = (tmp_path / "first-question.md").read_text()
        assert "one" in text
        assert ("## You" in text or "## User" in text) == whole


@pytest.mark.parametrize(("size", "with_list"), [((80, 24), False), ((200, 60), True)])
async def test_the_list_is_there_where_it_fits(size: tuple[int, int], with_list: bool) -> None:
    async with running_chat(size=size) as chat:
        await chat.pilot.pause()
        assert chat.screen.query_one("Sidebar").display == with_list
        assert chat.screen.prompt.region.width > 40
        await chat.pilot.resize_terminal(60, 20)
        await chat.pilot.pause()
        assert not chat.screen.query_one("Sidebar").display


async def test_help_names_every_command() -> None:
    async with running_chat() as chat:
        await chat.press("f1")
        await chat.until(lambda: chat.app.screen is not chat.screen)
        await chat.press("escape")
        await chat.until(lambda: chat.app.screen is chat.screen)


async def test_page_keys_scroll_the_conversation_from_the_prompt() -> None:
    async with running_chat(Models("line\n\n" * 60)) as chat:
        await chat.ask("go")
        view = chat.screen.conversation
        end = view.scroll_offset.y
        assert end > 0
        await chat.press("pageup")
        assert view.scroll_offset.y == end - view.n_visible + 2
        await chat.press("pagedown")
        assert view.scroll_offset.y == end


async def test_two_thousand_turns_are_shown_from_their_end() -> None:
    with History() as history:
        conversation = history.create(title="long")
        parent = None
        with history._db.not_synced():
            for number in range(2000):
                _user, parent = history.begin_turn(conversation.id, parent, f"question {number}")
                history.finish_turn(parent, f"answer **{number}**")
    async with running_chat() as chat:
        started = time.perf_counter()
        await chat.screen.open_conversation(conversation.id)
        await chat.pilot.pause()
        elapsed = time.perf_counter() - started
        assert len(chat.blocks) == 4000
        shown = "\n".join(
            chat.screen.conversation.render_line(y).text for y in range(chat.screen.conversation.n_visible)
        )
        assert "answer 1999" in shown
        assert elapsed < 20, "the time itself is the benchmark's business"
        assert isinstance(chat.app.screen, ChatScreen)


@pytest.mark.parametrize(("width", "n_spared"), [(60, 4), (80, 2), (200, 0)])
async def test_the_last_line_shows_how_to_stop_and_to_quit_whatever_is_going_on(width: int, n_spared: int) -> None:
    models = Models("one two three")
    models.backend.gate.clear()
    async with running_chat(models, size=(width, 24)) as chat:

        def shown() -> set[str]:
            keys = chat.screen.query("Keys > FooterKey")
            seen = (key for key in keys if key.region.right <= chat.screen.size.width)
            return {str(key.render()).split()[-1] for key in seen}

        await chat.send("Count.")
        spared = ["Settings", "List", "Model", "Picture"][:n_spared]
        keys = {"Send", "Stop", "New", "List", "Blocks", "Model", "Docs", "Picture", "Settings", "Help", "Quit"}
        rest = keys.difference(spared)
        await chat.until(lambda: shown() == rest)
        await chat.press("alt+up")
        await chat.until(lambda: shown() >= {"Move", "Copy", "Stop", "Quit"})
        models.backend.gate.set()
        await chat.answered()
        await chat.until(lambda: shown() >= {"Write", "Quit"})
        await chat.pilot.resize_terminal(200, 24)
        await chat.until(lambda: shown() >= {"Settings", "Export", "Quit"})
