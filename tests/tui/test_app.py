"""The chat from a person's side: typing, reading, stopping, and what is on the disk afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeai.history import History
from tests.tui.chat_app import Models, running_chat


async def test_a_question_is_answered_and_stored() -> None:
    async with running_chat(Models("Hello **you**.")) as chat:
        await chat.ask("Hi there")
        assert chat.texts == ["Hi there", "Hello **you**."]
        assert chat.screen.prompt.text == ""
        stored = chat.history.conversations()
        assert [item.title for item in stored] == ["Hi there"]
        path = chat.history.path(stored[0].id)
        assert [(item.role, item.content, item.status) for item in path] == [
            ("user", "Hi there", "complete"),
            ("assistant", "Hello **you**.", "complete"),
        ]
        assert path[1].stats["usage"]["completion_tokens"] == 2


async def test_the_next_question_carries_the_conversation() -> None:
    async with running_chat(Models("one", "two")) as chat:
        await chat.ask("first")
        await chat.ask("second")
        assert chat.texts == ["first", "one", "second", "two"]
        prompt = chat.models.backend.detokenize(chat.models.backend.requests[1].tokens)
        assert [prompt.index(text) for text in ("first", "one", "second")] == sorted(
            prompt.index(text) for text in ("first", "one", "second")
        )


async def test_typing_goes_on_while_the_model_loads_and_the_first_message_waits() -> None:
    models = Models("there")
    models.is_open = False
    async with running_chat(models) as chat:
        await chat.until(lambda: "loading" in chat.screen.status.activity)
        assert "43%" in chat.screen.status.activity
        await chat.send("are you")
        await chat.press("x", "y")
        assert chat.screen.prompt.text == "xy"
        models.is_open = True
        await chat.answered()
        assert chat.texts == ["are you", "there"]
        assert chat.screen.prompt.text == "xy"


async def test_escape_stops_at_once_and_keeps_what_was_written() -> None:
    async with running_chat(Models("one two three")) as chat:
        backend = chat.models.backend
        backend.gate.clear()
        await chat.send("go")
        await chat.until(lambda: backend.requests)
        await chat.press("escape")
        await chat.answered()
        assert chat.blocks[-1].note.startswith("stopped")
        conversation = chat.history.conversations()[0]
        assert [item.status for item in chat.history.path(conversation.id)] == ["complete", "cancelled"]


async def test_keys_are_answered_and_nothing_is_sent_while_an_answer_is_made() -> None:
    async with running_chat(Models("one two three", "four")) as chat:
        chat.models.backend.gate.clear()
        await chat.send("go")
        await chat.press("n", "e", "x", "t", "enter")
        assert chat.screen.prompt.text == "next"
        assert "Esc stops" in chat.toasts
        chat.models.backend.gate.set()
        await chat.answered()
        assert chat.texts == ["go", "one two three"]
        assert chat.screen.prompt.text == "next"


async def test_a_missing_model_is_said_and_the_typed_text_comes_back() -> None:
    models = Models()
    models.missing = {None}
    async with running_chat(models) as chat:
        await chat.until(lambda: "edgeai models pull" in chat.notices)
        await chat.until(lambda: chat.app.screen is not chat.screen)  # the model picker
        await chat.press("escape")
        await chat.until(lambda: chat.app.screen is chat.screen)
        chat.screen.prompt.write("my question")
        await chat.press("enter")
        await chat.until(lambda: "no model is loaded" in chat.notices)
        assert chat.screen.prompt.text == "my question"
        assert chat.history.conversations() == []


async def test_a_conversation_too_long_is_cut_only_after_asking() -> None:
    async with running_chat(Models("a " * 60, "short", n_ctx=400)) as chat:
        await chat.ask("first " * 20)
        before = chat.texts
        chat.screen.prompt.write("second " * 20)
        await chat.press("enter")
        await chat.until(lambda: chat.app.screen is not chat.screen)
        assert chat.texts == before
        await chat.press("escape")
        await chat.until(lambda: "n_ctx = 400" in chat.notices)
        assert chat.screen.prompt.text == "second " * 20
        await chat.press("enter")
        await chat.until(lambda: chat.app.screen is not chat.screen)
        await chat.press("y")
        await chat.until(lambda: chat.texts[-1] == "short")
        await chat.answered()
        assert "without the oldest 2 messages" in chat.blocks[-1].note
        assert chat.texts[:2] == before
        assert chat.screen.prompt.text == ""


async def test_a_full_disk_gives_the_text_back(tmp_path: Path) -> None:
    async with running_chat(Models("never shown")) as chat:
        chat.history.close()
        chat.screen.prompt.write("precious words")
        await chat.press("enter")
        await chat.until(lambda: "closed" in chat.notices)
        assert chat.screen.prompt.text == "precious words"
        assert chat.texts == []


async def test_what_a_crash_cut_off_is_said_at_the_next_start() -> None:
    with History() as history:
        conversation = history.create()
        _user, answer = history.begin_turn(conversation.id, None, "Was there an answer?")
        history.save_partial(answer, "It began")
        # The process that made it is gone.
        with history._db.transaction() as db:
            db.execute("UPDATE messages SET owner = '1:0' WHERE id = ?", (answer,))
    async with running_chat() as chat:
        await chat.until(lambda: "interrupted" in chat.notices)
        assert chat.texts == ["Was there an answer?", "It began"]
        assert chat.blocks[1].note == "interrupted"


async def test_a_conversation_can_be_gone_on_with() -> None:
    async with running_chat(Models("one")) as chat:
        await chat.ask("first")
        first = chat.screen.chat.id
    async with running_chat(Models("two"), conversation_id=first) as chat:
        await chat.until(lambda: chat.texts == ["first", "one"])
        await chat.ask("second")
        assert chat.texts == ["first", "one", "second", "two"]
        assert len(chat.history.conversations()) == 1


async def test_another_model_goes_on_with_the_conversation() -> None:
    async with running_chat(Models("one", "two")) as chat:
        await chat.ask("first")
        chat.app.engine.load("other")
        await chat.until(lambda: chat.models.opened == [None, "other"])
        await chat.ask("second")
        assert chat.texts == ["first", "one", "second", "two"]
        chat.models.missing = {"third"}
        chat.app.engine.load("third")
        await chat.until(lambda: "third: no such model" in chat.notices)
        assert chat.screen.status.model_name == "other"


async def test_a_file_goes_with_the_message(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("the secret is 42")
    async with running_chat(Models("42"), folder=tmp_path) as chat:
        await chat.ask("What is the secret in @notes.txt ?")
        prompt = chat.models.backend.detokenize(chat.models.backend.requests[0].tokens)
        assert "the secret is 42" in prompt
        assert chat.texts[0] == "What is the secret in @notes.txt ?\n▤ notes.txt · 16 characters"


async def test_choosing_a_file_writes_its_name(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    async with running_chat(folder=tmp_path) as chat:
        await chat.press("s", "e", "e", "space", "@")
        await chat.until(lambda: chat.app.screen is not chat.screen)
        await chat.until(lambda: chat.app.screen.query("OptionList").first().option_count)  # type: ignore[attr-defined]
        await chat.press("enter")
        await chat.until(lambda: chat.app.screen is chat.screen)
        await chat.until(lambda: chat.screen.prompt.text == "see @notes.txt ")


async def test_a_file_that_is_no_text_is_refused_and_the_message_stays(tmp_path: Path) -> None:
    (tmp_path / "tool.exe").write_bytes(b"MZ\0")
    async with running_chat(folder=tmp_path) as chat:
        chat.screen.prompt.write("look at @tool.exe")
        await chat.press("enter")
        await chat.until(lambda: "not a text file" in chat.toasts)
        assert chat.screen.prompt.text == "look at @tool.exe"
        assert chat.screen.live is None


async def test_the_theme_is_kept() -> None:
    async with running_chat() as chat:
        assert chat.app.current_theme.dark
        await chat.press("ctrl+t")
        assert not chat.app.current_theme.dark
        await chat.app.workers.wait_for_complete()
    from edgeai.config import config_text

    assert config_text("theme") == "edgeai-light"


async def test_what_the_model_prints_has_no_effect() -> None:
    hostile = "\x1b]0;owned\x07\x1b[2J[@click=app.quit]press[/] <b>x</b> \u202eabc\u200b end"
    async with running_chat(Models(hostile)) as chat:
        await chat.ask("go")
        shown = "\n".join(chat.screen.conversation.render_line(y).text for y in range(15))
        assert "[@click=app.quit]press[/] <b>x</b> abc" in shown
        assert not set(shown) & set("\x1b\x07\u202e")
        for x in range(5, 40, 5):
            await chat.pilot.click(chat.screen.conversation, offset=(x, 4))
        assert chat.app.is_running


async def test_quitting_while_an_answer_is_made_stores_it() -> None:
    async with running_chat(Models("one two")) as chat:
        chat.models.backend.gate.clear()
        await chat.send("go")
        await chat.until(lambda: chat.models.backend.requests)
        await chat.press("ctrl+q")
    with History() as history:
        path = history.path(history.conversations()[0].id)
        assert [item.status for item in path] == ["complete", "cancelled"]


async def test_a_fault_of_ours_is_one_line_and_a_file(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        raise ZeroDivisionError("[red]oops\x1b[2J")

    async def run() -> None:
        async with running_chat() as chat:
            chat.app.call_later(fail)
            await chat.until(lambda: (home / "crash.log").exists())

    with pytest.raises(ZeroDivisionError):
        await run()
    error = " ".join(capsys.readouterr().err.split())
    assert "error: the chat stopped: ZeroDivisionError: [red]oops" in error
    assert "Traceback" not in error
    assert "Traceback" in (home / "crash.log").read_text()
