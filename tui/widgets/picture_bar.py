"""The line above the prompt: the pictures that go with the next message."""

from __future__ import annotations

from collections.abc import Iterable

from textual.content import Content

from tui.chat_pictures import ChatPicture
from tui.widgets.chip_bar import MAX_NAME, ChipBar


class PictureBar(ChipBar):
    """A chip for each picture."""

    def show(self, pictures: Iterable[ChatPicture]) -> None:
        """These are the pictures."""
        self.chips = tuple(map(chip, pictures))


def chip(picture: ChatPicture) -> Content:
    """Its name, its size and the tokens that it takes."""
    name = Content.styled(picture.name, "$text").truncate(MAX_NAME, ellipsis=True)
    return Content.assemble(("▣ ", "$text-accent"), name, (f" {picture.facts()}", "$text-muted"))
