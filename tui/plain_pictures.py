"""The pictures of the conversation line by line: `/image`, and those that go with the next message."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from edgeai.errors import EdgeAIError, OptionError, PictureError
from edgeai.history_types import PictureRef, StoredMessage
from edgeai.messages import Message
from edgeai.safe_text import one_line
from edgeai.vision.finding import find_pictures
from tui.asked_pictures import AskedPictures, conversation
from tui.document_refs import absolute
from tui.dropped_paths import typed_paths
from tui.output import message
from tui.picture_facts import MAX_COLUMNS, MAX_PICTURES, MAX_ROWS, facts
from tui.picture_output import print_picture
from tui.picture_shelf import PictureShelf

if TYPE_CHECKING:
    from edgeai.session import Session

_REMOVE = "remove"


class LinePictures:
    """What the user shows.

    Attributes:
        attached: goes with the next message.
    """

    def __init__(self) -> None:
        self.attached: list[PictureRef] = []
        self._shelf = PictureShelf()
        self._asked = AskedPictures(self._shelf)
        self._told: set[PictureRef] = set()

    def obey(self, session: Session, rest: str) -> str:
        """Do what `/image` and the rest of the line say: add, remove or show; what is said then.

        Raises:
            PictureError: one cannot be read; then none is added.
            OptionError: no picture has this name, or there would be too many.
        """
        word, _, name = rest.partition(" ")
        if word == _REMOVE:
            return self._remove(name.strip())
        if rest:
            return self.add(session, typed_paths(rest, Path.cwd()))
        names = (_name(ref) for ref in self.attached)
        return "\n".join(names) or "There is no picture for the next message: /image PATH adds one."

    def add(self, session: Session, paths: Sequence[Path]) -> str:
        """Let pictures go with the next message; as `obey`."""
        new, lines = dict.fromkeys(self.attached), []
        for found in islice(find_pictures(paths), MAX_PICTURES + 1):
            if isinstance(found, PictureError):
                raise found
            read = self._shelf.read(absolute(found))
            n_tokens = self._asked.count(session, read.loaded.medium)
            ref = replace(read.ref, n_tokens=n_tokens)
            print_picture(read.loaded.medium, columns=MAX_COLUMNS, rows=MAX_ROWS)
            lines.append(f"{_name(ref)} · {facts(ref, read.loaded.notes)}")
            new[ref] = None
        if len(new) > MAX_PICTURES:
            raise OptionError(f"more than {MAX_PICTURES} pictures: a message takes at most {MAX_PICTURES}: name fewer")
        self.attached = list(new)
        return "\n".join(lines)

    def put(
        self, session: Session, path: Sequence[StoredMessage], system: str | None, text: str = ""
    ) -> tuple[list[Message], str]:
        """A conversation's messages with their pictures, and what the answer begins with; see `AskedPictures.put`.

        Args:
            session: what will answer.
            path: the messages that are stored.
            system: the system prompt.
            text: a new message, with which goes what is attached; empty to answer the last of the path again.
        """
        messages, shown = conversation(path, system, text, self.attached)
        for ref in (ref for stored in path for ref in stored.pictures if ref not in self._told):
            self._tell_if_gone(ref)
        return self._asked.put(session, messages, shown, is_new=bool(text))

    def close(self) -> None:
        """End the reading process."""
        self._shelf.close()

    def _remove(self, name: str) -> str:
        found = [ref for ref in self.attached if not name or name in (ref.path, _name(ref))]
        if not found:
            names = ", ".join(map(_name, self.attached)) or "none"
            raise OptionError(f"/image remove {one_line(name)}: expected the name of one that is attached: {names}")
        self.attached = [ref for ref in self.attached if ref not in found]
        return f"Removed: {', '.join(map(_name, found))}"

    def _tell_if_gone(self, ref: PictureRef) -> None:
        self._told.add(ref)
        try:
            self._shelf.read(Path(ref.path), ref.sha256)
        except EdgeAIError as exc:
            message("error", str(exc), "red")
            message("note", "the conversation goes on without it", "yellow")


def _name(ref: PictureRef) -> str:
    return one_line(Path(ref.path).name)
