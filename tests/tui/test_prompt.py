"""The prompt editor and the status line."""

from __future__ import annotations

from textual import events
from textual.app import App, ComposeResult

from tui.widgets.prompt import PromptEditor
from tui.widgets.status import StatusBar


class PromptApp(App[None]):
    """A prompt and a status line."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[str] = []
        self.n_file_requests = 0

    def compose(self) -> ComposeResult:
        yield PromptEditor()
        yield StatusBar()

    def on_prompt_editor_submitted(self, event: PromptEditor.Submitted) -> None:
        self.sent.append(event.text)
        self.query_one(PromptEditor).write("")

    def on_prompt_editor_file_requested(self) -> None:
        self.n_file_requests += 1


async def test_enter_sends_and_ctrl_j_starts_a_line() -> None:
    app = PromptApp()
    async with app.run_test() as pilot:
        await pilot.press("h", "i", "ctrl+j", "y", "o", "u", "shift+enter", "!", "enter", "enter")
        await pilot.pause()
        assert app.sent == ["hi\nyou\n!"]


async def test_up_brings_back_what_was_sent_and_down_the_draft() -> None:
    app = PromptApp()
    async with app.run_test() as pilot:
        prompt = app.query_one(PromptEditor)
        prompt.set_sent(["first", "second\nline"])
        prompt.write("draft")
        await pilot.press("up")
        assert prompt.text == "second\nline"
        await pilot.press("up")
        assert prompt.text == "first"
        await pilot.press("up", "down")
        assert prompt.text == "second\nline"
        await pilot.press("down", "down")
        assert prompt.text == "draft"


async def test_a_paste_keeps_its_lines_and_loses_escape_sequences() -> None:
    app = PromptApp()
    async with app.run_test() as pilot:
        prompt = app.query_one(PromptEditor)
        prompt.post_message(events.Paste("a\r\nb\x1b[2J\tc"))
        await pilot.pause()
        assert prompt.text == "a\nb   c"
        assert app.sent == []


async def test_an_at_sign_asks_for_a_file_only_at_the_start_of_a_word() -> None:
    app = PromptApp()
    async with app.run_test() as pilot:
        await pilot.press("a", "@", "b")
        assert app.n_file_requests == 0
        await pilot.press("space", "@")
        await pilot.pause()
        assert app.n_file_requests == 1
        assert app.query_one(PromptEditor).text == "a@b @"


async def test_the_status_line_leaves_out_what_does_not_fit() -> None:
    app = PromptApp()
    async with app.run_test(size=(80, 10)) as pilot:
        status = app.query_one(StatusBar)
        status.model_name, status.activity = "[b]model", "writing 38 tok/s"
        status.context_used, status.n_ctx, status.memory_bytes = 1024, 4096, 321_000_000
        await pilot.pause()
        text = status.render().plain
        assert text.startswith("[b]model  writing 38 tok/s")
        assert text.endswith("1,024/4,096  321 MB")
        assert text.count("━") == 10
        await pilot.resize_terminal(52, 10)
        await pilot.pause()
        assert "1,024/4,096" in status.render().plain
        assert "MB" not in status.render().plain
        await pilot.resize_terminal(20, 10)
        await pilot.pause()
        assert status.render().plain.startswith("[b]model  writing")
