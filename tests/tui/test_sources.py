"""Sources of an answer: listed under it, opened beside it, stored with it."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeai.documents.types import Citation
from edgeai.response import Response
from tests.tui.chat_app import Chat, running_chat
from tests.tui.dialogs import ESCAPE_CODES, screen_text
from tests.tui.documented import RESET, citation_of, prepared_models
from tui.widgets.block import Block
from tui.widgets.source_view import PassageBlock, SourceView, quote_span

ANSWER = "Hold it [manual.md l. 5]. Both say so [rules.pdf p. 12]."


@pytest.fixture
def cited(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> tuple[Citation, ...]:
    """What every answer cites."""
    citations = (
        citation_of(tmp_path / "manual.md"),
        citation_of(tmp_path / "rules.pdf", page=12, line=None),
        citation_of(tmp_path / "[b]x\x1b[31m.md", "<Quote>\x1b]0;t\x07"),
    )
    monkeypatch.setattr(Response, "citations", property(lambda _self: citations))
    return citations


def source_text(chat: Chat) -> str:
    """What the open source shows."""
    view = chat.screen.query_one(SourceView)
    return "\n".join(view.render_line(y).text for y in range(view.n_visible)) if view.display else ""


def shows(chat: Chat, words: str) -> bool:
    return words in source_text(chat)


async def test_sources_are_listed_and_opened_by_key(cited: tuple[Citation, ...]) -> None:
    async with running_chat(prepared_models(ANSWER)[0], size=(160, 40)) as chat:
        await chat.ask("How?")
        text = screen_text(chat.app)
        assert "[1] manual.md l. 5 · Manual › Reset" in text
        assert "[2] rules.pdf p. 12" in text
        assert "[3] [b]x.md l. 5" in text
        await chat.press("f4")
        await chat.until(lambda: RESET in source_text(chat))
        assert "1 of 3" in source_text(chat)
        assert "Hold it" in screen_text(chat.app)
        await chat.press("n")
        await chat.until(lambda: "rules.pdf p. 12" in source_text(chat))
        await chat.press("left", "p")
        await chat.until(lambda: "3 of 3" in source_text(chat))
        assert not [code for code in ESCAPE_CODES if code in screen_text(chat.app)]
        await chat.press("escape")
        await chat.until(lambda: not chat.screen.query_one(SourceView).display)
        assert chat.screen.focused is chat.screen.prompt
        await chat.press("alt+up", "2")
        await chat.until(lambda: "2 of 3" in source_text(chat))
        await chat.press("escape")
        assert chat.app.focused is chat.screen.conversation


async def test_sources_come_back_with_the_conversation(cited: tuple[Citation, ...], tmp_path: Path) -> None:
    async with running_chat(prepared_models(ANSWER)[0]) as chat:
        await chat.ask("How?")
        conversation_id = chat.screen.chat.id
    async with running_chat(conversation_id=conversation_id) as chat:
        await chat.until(lambda: chat.texts)
        assert chat.blocks[1].sources[:2] == cited[:2]
        await chat.press("f4")
        await chat.until(lambda: RESET in source_text(chat))
        assert "Hold it" not in screen_text(chat.app), "on a small screen the source takes all of it"
        await chat.press("escape")
        await chat.until(lambda: "Hold it" in screen_text(chat.app))


async def test_a_click_on_a_mark_or_a_line_of_the_list_opens_it(cited: tuple[Citation, ...]) -> None:
    async with running_chat(prepared_models(ANSWER)[0], size=(160, 40)) as chat:
        await chat.ask("How?")
        await chat.pilot.pause()
        lines = screen_text(chat.app).split("\n")
        for words, number in (("[rules.pdf p. 12].", 2), ("[1] manual", 1), ("[manual.md l. 5].", 1)):
            y = next(index for index, line in enumerate(lines) if words in line)
            await chat.pilot.click(offset=(lines[y].index(words) + 2, y))
            await chat.until(functools.partial(shows, chat, f"{number} of 3"))
            await chat.press("escape")
            await chat.until(lambda: not chat.screen.query_one(SourceView).display)
        y = next(index for index, line in enumerate(lines) if "Both say" in line)
        await chat.pilot.click(offset=(lines[y].index("Both"), y))
        await chat.pilot.pause()
        assert not chat.screen.query_one(SourceView).display


async def test_without_sources_it_is_said() -> None:
    async with running_chat(prepared_models("one")[0]) as chat:
        await chat.ask("How?")
        await chat.press("f4")
        await chat.until(lambda: "No answer here names a source" in chat.toasts)
        await chat.press("alt+up", "s", "1")
        assert not chat.screen.query_one(SourceView).display


async def test_another_conversation_closes_the_source(cited: tuple[Citation, ...]) -> None:
    async with running_chat(prepared_models(ANSWER)[0]) as chat:
        await chat.ask("How?")
        await chat.press("f4")
        await chat.until(lambda: RESET in source_text(chat))
        await chat.press("ctrl+n")
        assert not chat.screen.query_one(SourceView).display
        assert chat.screen.focused is chat.screen.prompt


def test_a_long_passage_is_opened_at_its_quote(tmp_path: Path) -> None:
    passage = "\n".join(f"line {number} of a long passage" for number in range(300)) + f"\n{RESET}\nend"
    block = PassageBlock(Citation(tmp_path / "a.md", RESET, passage, 0, 0), "")
    line = block.lines(60)[block.quote_line(60)]
    assert line.row.content.plain == RESET
    assert any(span.style == ".source-quote" for span in line.row.content.spans)


@pytest.mark.parametrize(
    ("text", "quote", "found"),
    [
        ("a quote here", "quote", "quote"),
        ("a long\nquote  here", "long quote here", "long\nquote  here"),
        ("電源を\n切る", "電源を\n切る", "電源を\n切る"),
        ("a (b)* c", "(b)*", "(b)*"),
        ("nothing", "other", None),
        ("text", "  ", None),
        ("x", "y " * 5000, None),
    ],
)
def test_a_quote_is_found_whatever_the_line_breaks(text: str, quote: str, found: str | None) -> None:
    span = quote_span(text, quote)
    assert (text[slice(*span)] if span else None) == found


def test_a_quote_that_is_not_in_its_passage_stands_before_it(tmp_path: Path) -> None:
    block = PassageBlock(Citation(tmp_path / "a.md", "the quote", "the passage", 0, 0), "")
    assert [line.row.content.plain for line in block.lines(40)] == ["a.md", "the quote", "", "the passage", ""]


@settings(deadline=None)
@given(st.text(max_size=80), st.text(max_size=20), st.integers(4, 60))
def test_any_passage_can_be_shown(passage: str, quote: str, width: int) -> None:
    block = PassageBlock(Citation(Path("/a.md"), quote, passage, 0, 0), "1 of 2")
    lines = block.lines(width)
    assert 0 <= block.quote_line(width) < len(lines)
    assert not [code for code in ESCAPE_CODES for line in lines if code in line.row.content.plain]


def test_the_list_is_no_part_of_the_answers_text(tmp_path: Path) -> None:
    block = Block("assistant", "Yes.", title="A", sources=[citation_of(tmp_path / "manual.md")])
    assert [line.row.content.plain for line in block.lines(60)] == [
        "A",
        "Yes.",
        "",
        "[1] manual.md l. 5 · Manual › Reset",
        "",
    ]
    assert block.safe_text() == "Yes."
    assert not block.shows_same(Block("assistant", "Yes.", title="A"))
