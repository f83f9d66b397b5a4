"""Chats about pictures, for tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeai.media import Medium
from edgeai.vision.picture_text import PictureText, TextBlock
from tests.tui.chat_app import Chat
from tests.vision.picture_files import SIZE, encoded, halves, written
from tui.widgets.picture_bar import PictureBar

CAPTION = f"▣ panel.png · {SIZE[0]} x {SIZE[1]}"


def panel_in(folder: Path, name: str = "panel.png", size: tuple[int, int] = SIZE) -> Path:
    """A picture in a folder: red at its left, blue at its right."""
    return written(folder, name, encoded(halves(size), "PNG"))


def bar(chat: Chat) -> str:
    """The pictures above the prompt."""
    return "   ".join(chip.plain for chip in chat.screen.query_one(PictureBar).chips)


def above(chat: Chat, index: int = 0) -> list[str]:
    """What stands between the title and the text of a block: rows of the pictures, and captions."""
    lines = chat.blocks[index].lines(80)
    return [line.row.content.plain for line in lines if line.number < 0][1:-1]


async def sees(chat: Chat, *names: str) -> None:
    """Wait until pictures of these names are attached, read and counted."""
    screen = chat.screen
    await chat.until(lambda: [item.name for item in screen.attached] == list(names))
    await chat.until(lambda: all(item.ref and item.ref.n_tokens is not None for item in screen.attached))
    await chat.pilot.pause()


def reads(monkeypatch: pytest.MonkeyPatch, text: str) -> list[Medium]:
    """Whatever picture is read, this is written in it; the pictures that were read."""
    read: list[Medium] = []

    def read_text(medium: Medium) -> PictureText:
        read.append(medium)
        return PictureText(blocks=(TextBlock("text", ((text,),)),)) if text else PictureText()

    monkeypatch.setattr("edgeai.vision.ocr.read_text", read_text)
    return read
