"""The widget that draws a conversation, against a full layout of all its blocks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from textual.app import App, ComposeResult
from textual.geometry import Offset
from textual.pilot import Pilot
from textual.selection import Selection

from tui.widgets.block import Block
from tui.widgets.conversation import Conversation

ANSWER = """Answer **{0}**:

1. a first item that is long enough to wrap on a narrow screen
2. a second

```python
x = {0}
```

日本語の文章は、空白がなくても折り返しができます。
"""


class ConversationApp(App[None]):
    """Only the conversation."""

    CSS = "Conversation { padding: 0; }"

    def __init__(self) -> None:
        super().__init__()
        self.animation_level = "none"
        self.actions: list[tuple[str, Block]] = []
        self.left = 0

    def compose(self) -> ComposeResult:
        yield Conversation()

    def on_conversation_block_action(self, event: Conversation.BlockAction) -> None:
        self.actions.append((event.action, event.block))

    def on_conversation_left(self) -> None:
        self.left += 1


def turns(n: int) -> list[Block]:
    blocks = []
    for number in range(n):
        blocks.append(Block("user", f"Question {number}\nsecond line", title="You", key=2 * number))
        blocks.append(Block("assistant", ANSWER.format(number), title="Model", key=2 * number + 1))
    return blocks


@asynccontextmanager
async def running(
    blocks: list[Block], size: tuple[int, int] = (60, 20)
) -> AsyncIterator[tuple[Pilot[None], Conversation, ConversationApp]]:
    app = ConversationApp()
    async with app.run_test(size=size) as pilot:
        view = app.query_one(Conversation)
        view.show(blocks)
        await pilot.pause()
        yield pilot, view, app


def screen(view: Conversation) -> list[str]:
    return [view.render_line(y).text.rstrip() for y in range(view.n_visible)]


def whole(view: Conversation) -> list[str]:
    """Every line of the conversation: a full layout in a view of its own."""
    lines = []
    for block in view.blocks:
        copy = Block(block.kind, block.text, title=block.title, note=block.note, branch=block.branch)
        for line in copy.lines(view.text_width):
            indent = " " * line.row.hang if line.start else ""
            text = line.row.left.plain + indent + line.row.content.plain[line.start : line.end]
            lines.append(("" if line.number < 0 and not line.row.content else "▌ " + text).rstrip())
    return lines


def position(view: Conversation) -> int:
    """Where in the whole conversation the screen stands; fails when it shows something else."""
    lines, shown = whole(view), screen(view)
    found = [start for start in range(len(lines)) if lines[start : start + len(shown)] == shown]
    assert found, shown
    return found[0]


async def test_it_opens_at_its_end() -> None:
    async with running(turns(50)) as (_, view, _app):
        assert screen(view) == whole(view)[-20:]
        assert sum(block.is_laid_out(view.text_width) for block in view.blocks) < 10


async def test_scrolling_up_shows_every_line_once() -> None:
    async with running(turns(3)) as (pilot, view, _app):
        last = position(view)
        while last > 0:
            view.scroll_up(animate=False)
            await pilot.pause()
            assert position(view) == last - 1
            last -= 1
        assert view.scroll_offset.y == 0


async def test_pages_home_and_end() -> None:
    async with running(turns(40)) as (pilot, view, _app):
        end = position(view)
        view.scroll_page_up(animate=False)
        await pilot.pause()
        assert position(view) == end - 20
        view.scroll_home(animate=False)
        await pilot.pause()
        assert position(view) == 0
        view.scroll_end(animate=False, immediate=True)
        await pilot.pause()
        assert position(view) == end


async def test_jumping_into_the_unknown_middle_shows_it_right() -> None:
    async with running(turns(200)) as (pilot, view, _app):
        view.scroll_to(y=view.max_scroll_y // 2, animate=False)
        await pilot.pause()
        assert 0 < position(view) < len(whole(view)) - 20


@pytest.mark.parametrize("width", [30, 100, 200])
async def test_resizing_keeps_the_end_or_the_block_at_the_top(width: int) -> None:
    async with running(turns(20)) as (pilot, view, _app):
        await pilot.resize_terminal(width, 20)
        await pilot.pause()
        assert screen(view) == whole(view)[-20:]
        view.scroll_to(y=view.max_scroll_y // 2, animate=False)
        await pilot.pause()
        position(view)
        top = view.block_at(view.scroll_offset.y)
        await pilot.resize_terminal(60, 14)
        await pilot.pause()
        position(view)
        assert view.block_at(view.scroll_offset.y) == top


async def test_a_streamed_answer_is_followed_only_from_the_end() -> None:
    async with running(turns(10)) as (pilot, view, _app):
        block = Block("assistant", title="Model", streaming=True)
        view.add(block)
        for number in range(30):
            block.append(f"- line {number}\n")
            view.changed(block)
        assert "▌ • line 29" in screen(view)
        view.scroll_relative(y=-10, animate=False)
        await pilot.pause()
        before = screen(view)
        block.append("- line 30\n- line 31\n")
        view.changed(block)
        await pilot.pause()
        assert screen(view) == before
        block.finish(block.text)
        view.changed(block)
        await pilot.pause()
        assert screen(view) == before
        assert not block.streaming


async def test_keys_walk_through_the_blocks_and_ask_for_actions() -> None:
    blocks = turns(10)
    async with running(blocks) as (pilot, view, app):
        view.focus()
        await pilot.press("k")
        assert view.selected_block is blocks[-1]
        await pilot.press("k", "k", "j", "y", "c", "left", "right", "e", "r", "x")
        names = [name for name, _block in app.actions]
        assert names == ["copy", "copy_code", "previous_branch", "next_branch", "edit", "regenerate", "export"]
        assert {block.key for _name, block in app.actions} == {blocks[-2].key}
        await pilot.press("g", "k")
        assert view.selected == 0
        assert screen(view)[0] == "▌ You"
        await pilot.press("escape")
        assert app.left == 1
        assert view.selected_block is None


async def test_a_selection_copies_the_text_without_wrapping() -> None:
    blocks = [Block("assistant", "one two three four five six seven eight nine ten", title="M")]
    async with running(blocks, (24, 10)) as (_pilot, view, _app):
        assert len(view.blocks[0].lines(view.text_width)) > 4
        everything = view.get_selection(Selection(None, None))
        assert everything == ("one two three four five six seven eight nine ten", "\n")
        assert view.get_selection(Selection(Offset(4, 0), Offset(13, 0))) == ("two three", "\n")


async def test_dragging_selects_across_blocks() -> None:
    blocks = [Block("user", "first", title="You"), Block("assistant", "1. second\n2. third", title="M")]
    async with running(blocks) as (pilot, view, app):
        await pilot.mouse_down(view, offset=(4, 1))
        await pilot.hover(view, offset=(6, 5))
        await pilot.mouse_up(view, offset=(6, 5))
        await pilot.pause()
        assert app.screen.get_selected_text() == "rst\n\n1. second\n2. th"


async def test_what_is_printed_is_text() -> None:
    text = "[@click=app.quit]x[/] [bold]y[/]\x1b[2J\x1b]0;t\x07 \u202ez"
    async with running([Block("user", text, title="[red]You"), Block("assistant", text, title="[b]\x1bM")]) as (
        _pilot,
        view,
        _app,
    ):
        lines = screen(view)
        assert lines[0] == "▌ [red]You"
        assert lines[1] == lines[4] == "▌ [@click=app.quit]x[/] [bold]y[/] z"
        metas = [segment.style.meta for y in range(6) for segment in view.render_line(y) if segment.style]
        assert all("@click" not in meta for meta in metas)


async def test_wide_characters_keep_the_right_edge() -> None:
    text = "日本語のテキスト👨‍👩‍👧と❤️と🇯🇵の絵文字が並ぶ長い行です。" * 3
    async with running([Block("user", text), Block("assistant", text)], (31, 20)) as (_pilot, view, _app):
        assert {view.render_line(y).cell_length for y in range(20)} == {view.scrollable_content_region.width}
