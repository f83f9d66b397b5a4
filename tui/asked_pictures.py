"""A conversation's pictures as the model gets them: as pictures, or as what is written in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgeai.errors import EdgeAIError, PictureError
from edgeai.history_types import PictureRef, StoredMessage, answered, to_messages
from edgeai.messages import Message
from tui.picture_shelf import PictureShelf

if TYPE_CHECKING:
    from edgeai.media import Medium
    from edgeai.session import Session

Shown = Mapping[int, Sequence[PictureRef]]
"""Pictures by the index of their message."""


def conversation(
    path: Sequence[StoredMessage], system: str | None, content: str, pictures: Sequence[PictureRef]
) -> tuple[list[Message], Shown]:
    """A whole conversation, and its pictures.

    Args:
        path: what is stored of it.
        system: the system prompt.
        content: a new message; empty to answer the last of the path again.
        pictures: that go with it.
    """
    messages, first = to_messages(path, system), 1 if system else 0
    shown = {index: stored.pictures for index, stored in enumerate(answered(path), first) if stored.pictures}
    if content:
        messages.append(Message("user", content))
        shown |= {len(messages) - 1: tuple(pictures)} if pictures else {}
    return messages, shown


class AskedPictures:
    """Puts pictures into messages, and remembers what was written in them and how many tokens they take.

    Args:
        shelf: reads them.
    """

    def __init__(self, shelf: PictureShelf) -> None:
        self._shelf = shelf
        self._texts: dict[tuple[str, ...], tuple[str, str]] = {}
        self._counts: dict[tuple[str, bool, str], int] = {}

    def put(
        self, session: Session, messages: Sequence[Message], shown: Shown, *, is_new: bool
    ) -> tuple[list[Message], str]:
        """The messages with their pictures, and what the answer begins with.

        Args:
            session: what will answer.
            messages: the last is asked about.
            shown: their pictures. Earlier ones that are gone, or say nothing to a model that does not see, are left
                out: the conversation goes on with text.
            is_new: the last message was never asked before: then nothing of it may be left out.
        Raises:
            PictureError: a picture of the last message cannot be read.
            OptionError: the model does not see, and the extra `ocr` is not installed.
            UnsupportedModalityError: the model does not see, and nothing is written in a picture.
        """
        made, preface, last = list(messages), "", len(messages) - 1
        for index, refs in shown.items():
            try:
                made[index], begins = self._with(session, messages[index], refs)
                preface = begins if index == last else preface
            except EdgeAIError as exc:
                if index == last and (is_new or not isinstance(exc, PictureError)):
                    raise
        return made, preface

    def count(self, session: Session, medium: Medium) -> int:
        """The tokens that a picture takes; 0 where the model does not see."""
        key = (session.model_name, session.info.sees, medium.sha256)
        if key not in self._counts:
            self._counts[key] = session.count_picture_tokens(medium)
        return self._counts[key]

    def read_and_count(self, session: Session, ref: PictureRef) -> int:
        """The same of a picture's file."""
        return self.count(session, self._shelf.read(Path(ref.path), ref.sha256).loaded.medium)

    def _with(self, session: Session, message: Message, refs: Sequence[PictureRef]) -> tuple[Message, str]:
        media = [self._shelf.read(Path(ref.path), ref.sha256).loaded.medium for ref in refs]
        if session.info.sees:
            return replace(message, media=tuple(media)), ""
        key = (message.content, *(ref.sha256 for ref in refs))
        if key not in self._texts:
            from edgeai.vision.ocr import read_text
            from edgeai.vision.shown import shown

            said, preface = shown([ref.path for ref in refs], message, sees=False, read_text=read_text)
            self._texts[key] = said.content, preface
        content, preface = self._texts[key]
        return replace(message, content=content), preface
