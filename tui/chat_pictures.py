"""A picture of the conversation on the screen: what is known of it, and what the screen says of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from textual.content import Content

from edgeai.history_types import PictureRef
from edgeai.safe_text import one_line
from tui.picture_facts import facts
from tui.picture_rows import PictureRows
from tui.picture_shelf import ReadPicture
from tui.rows import Row


@dataclass(eq=False, slots=True)
class ChatPicture:
    """One picture that a message has or will have.

    Attributes:
        path: absolute.
        ref: as it is stored; None while it was never read.
        notes: such as "first of 12 frames".
        drawn: as it is shown; None while it is not read.
        is_gone: its file is not there any more, or another.
    """

    path: Path
    ref: PictureRef | None = None
    notes: tuple[str, ...] = ()
    drawn: PictureRows | None = None
    is_gone: bool = False

    @property
    def name(self) -> str:
        """Its file's name, inert."""
        return one_line(self.path.name)

    def facts(self, *, is_sent: bool = False) -> str:
        """Its size and the tokens that it takes."""
        if self.is_gone:
            return "gone or changed: the conversation goes on without it"
        if self.ref is None:
            return "reading"
        return facts(self.ref, self.notes, is_sent=is_sent)

    def rows(self, width: int) -> Sequence[Row]:
        """As it stands above a message: itself, below it a caption."""
        caption = f"▣ {self.name} · {self.facts(is_sent=True)}"
        drawn = self.drawn.rows(width) if self.drawn is not None else ()
        return [*drawn, Row(Content.styled(caption, ".block-note").truncate(width, ellipsis=True))]

    def takes(self, read: ReadPicture, drawn: PictureRows) -> None:
        """It has been read."""
        self.ref, self.notes, self.drawn = self.ref or read.ref, read.loaded.notes, drawn

    def counted(self, n_tokens: int) -> None:
        """So many tokens it takes."""
        if self.ref is not None:
            self.ref = replace(self.ref, n_tokens=n_tokens)


@dataclass(slots=True)
class PictureBook:
    """The pictures of the shown conversation's messages: one object for a file, whatever is read of the store again."""

    _pictures: dict[tuple[str, str], ChatPicture] = field(default_factory=dict)

    def of(self, refs: Iterable[PictureRef]) -> list[ChatPicture]:
        """The pictures of a message."""
        return [
            self._pictures.setdefault((ref.path, ref.sha256), ChatPicture(Path(ref.path), ref))
            for ref in dict.fromkeys(refs)
        ]

    def add(self, pictures: Iterable[ChatPicture]) -> None:
        """Pictures that go with a message which is not stored yet."""
        for picture in pictures:
            if picture.ref is not None:
                self._pictures[picture.ref.path, picture.ref.sha256] = picture

    @property
    def unread(self) -> list[ChatPicture]:
        """Those that are to be read, the last first: there the reader is."""
        return [item for item in reversed(self._pictures.values()) if item.drawn is None and not item.is_gone]

    def close(self, kept: Iterable[ChatPicture] = ()) -> None:
        """Another conversation is shown; what is kept stands in a message that is still being answered."""
        kept = list(kept)
        for picture in self._pictures.values():
            if picture.drawn is not None and picture not in kept:
                picture.drawn.forget()
        self._pictures.clear()
        self.add(kept)
