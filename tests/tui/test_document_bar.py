"""The line of documents above the prompt."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.content import Content
from textual.geometry import Size

from tui.chat_documents import ChatDocument
from tui.widgets.document_bar import DocumentBar, chip

NAMES = ["manual.pdf", "規則.md", "a", "a very long name of a document.docx", *(f"{n}.txt" for n in range(30))]


def line(chips: tuple[Content, ...], width: int) -> str:
    """As many chips as fit are shown, one at least, and the others are counted."""
    lines = []
    for n_shown in range(1, len(chips) + 1):
        more = f"   +{len(chips) - n_shown} (F3)" if n_shown < len(chips) else ""
        lines.append(Content("   ".join(chip.plain for chip in chips[:n_shown]) + more))
    fitting = [found for found in lines if found.cell_length <= width]
    return (fitting or lines[:1])[-1].truncate(width, ellipsis=True).plain if lines else ""


@pytest.mark.parametrize("n_documents", [0, 1, 2, 4, 34])
def test_what_fits_is_shown_and_the_rest_is_counted(n_documents: int, monkeypatch: pytest.MonkeyPatch) -> None:
    chips = tuple(chip(ChatDocument(Path("/d") / name, state="read")) for name in NAMES[:n_documents])
    for width in range(1, 400, 3):
        bar = DocumentBar()
        monkeypatch.setattr(DocumentBar, "content_size", Size(width, 1))
        bar.set_reactive(DocumentBar.chips, chips)
        assert bar.render().plain == line(chips, width)


def test_a_line_is_joined_once_whatever_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    chips = tuple(chip(ChatDocument(Path("/d") / f"{n}.txt")) for n in range(100))
    joined: list[int] = []
    join = Content.join

    def counted(content: Content, parts: object) -> Content:
        joined.append(1)
        return join(content, parts)  # type: ignore[arg-type]

    bar = DocumentBar()
    monkeypatch.setattr(DocumentBar, "content_size", Size(80, 1))
    bar.set_reactive(DocumentBar.chips, chips)
    monkeypatch.setattr(Content, "join", counted)
    bar.render()
    assert len(joined) == 1
