"""What the user does with pictures: `/image`, the file picker, a dropped file; and how they come on the screen."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from textual import on, work

from edgeai.errors import PictureError
from edgeai.history_types import StoredMessage
from edgeai.safe_text import one_line
from edgeai.vision.finding import find_pictures
from edgeai.vision.sniff import is_picture
from tui import engine_events
from tui.chat import Chat
from tui.chat_pictures import ChatPicture, PictureBook
from tui.document_refs import absolute
from tui.drafts import NEW
from tui.dropped_paths import typed_paths
from tui.graphics import Graphics
from tui.live_turn import LiveTurn
from tui.picture_facts import MAX_PICTURES
from tui.picture_rows import PictureRows, small
from tui.picture_shelf import PictureShelf
from tui.screens.document_commands import DocumentCommands
from tui.widgets.picture_bar import PictureBar

_REMOVE = "remove"


class PictureCommands(DocumentCommands):
    """Attaches pictures to the next message, and shows those of the conversation.

    Attributes:
        shelf: reads them.
        graphics: what the terminal can show.
        attached: those that go with what is being typed.
    """

    shelf: PictureShelf
    graphics: Graphics

    def begin_pictures(self) -> None:
        """There is none yet."""
        self.attached: list[ChatPicture] = []
        self._attached_elsewhere: dict[str, list[ChatPicture]] = {}
        self._set_aside: list[ChatPicture] = []  # what was attached before a message is edited
        self.book = PictureBook()

    # --- attaching ---

    @work
    async def obey_image(self, rest: str) -> None:
        """Do what `/image PATH…`, `/image remove NAME`, `/image remove` or `/image` says."""
        word, _, name = rest.partition(" ")
        if not rest:
            await self._pick_picture()
        elif word == _REMOVE:
            self._remove_picture(name.strip())
        else:
            await self.attach(await asyncio.to_thread(typed_paths, rest, self.folder))

    @work
    async def action_add_picture(self) -> None:
        """Choose a picture below the current folder."""
        await self._pick_picture()

    async def _pick_picture(self) -> None:
        from tui.screens.file_picker import FilePicker

        picker = FilePicker(self.folder, "Add a picture", is_picture, hint="/image PATH adds one from anywhere.")
        path = await self.app.push_screen_wait(picker)
        if path is not None:
            await self.attach([path])

    async def attach(self, paths: Sequence[Path]) -> bool:
        """Let pictures go with the next message; whether all of them can be read."""
        found = await asyncio.to_thread(lambda: list(islice(find_pictures(paths), MAX_PICTURES + 1)))
        errors = [str(item) for item in found if isinstance(item, PictureError)]
        there = {item.path for item in self.attached}
        named = dict.fromkeys(absolute(item) for item in found if isinstance(item, Path))
        new = [ChatPicture(path) for path in named if path not in there]
        if len(there) + len(new) > MAX_PICTURES:
            errors, new = [f"more than {MAX_PICTURES} pictures: a message takes at most {MAX_PICTURES}: name fewer"], []
        self.attached += new
        self.show_pictures()
        for item in new:
            try:
                await self._read(item)
            except PictureError as exc:
                errors.append(str(exc))
                self._leave_out(item)
            else:
                self.engine.count_picture(item)
            self.show_pictures()
        for error in errors:
            self.show_problem("Not attached", error)
        return not errors

    def _leave_out(self, item: ChatPicture) -> None:
        """It cannot be read; the conversation that it was attached in may not be shown any more."""
        for attached in (self.attached, self._set_aside, *self._attached_elsewhere.values()):
            if item in attached:
                attached.remove(item)

    async def all_pictures_read(self) -> bool:
        """Wait until what is attached is read; whether all of it could be."""
        wanted = list(self.attached)
        while any(item.ref is None for item in wanted if item in self.attached):
            await asyncio.sleep(0.05)
        return all(item in self.attached for item in wanted)

    def _remove_picture(self, name: str) -> None:
        found = [item for item in self.attached if not name or name in (item.name, str(item.path))]
        if not found:
            names = ", ".join(item.name for item in self.attached) or "none"
            self.show_problem("Not removed", f"{one_line(name) or 'remove'}: no such picture is attached: {names}")
            return
        self.attached = [item for item in self.attached if item not in found]
        self.show_pictures()
        self.say(f"Removed {', '.join(item.name for item in found)}")

    async def _read(self, item: ChatPicture) -> None:
        expected = item.ref.sha256 if item.ref is not None else None
        read = await asyncio.to_thread(self.shelf.read, item.path, expected)
        pixels = await asyncio.to_thread(small, read.loaded.medium, self.graphics)
        item.takes(read, PictureRows(pixels, self.graphics, self._write))

    def _write(self, text: str) -> None:
        driver = self.app._driver  # Textual has no other way to send what is no cell
        if driver is not None:
            driver.write(text)

    def show_pictures(self) -> None:
        """Bring the line above the prompt up to date."""
        self.query_one(PictureBar).show(self.attached)

    # --- with the conversation ---

    def change_pictures(self, chat: Chat) -> None:
        """Another conversation is about to be shown: what is attached waits for the present one."""
        self._attached_elsewhere[self.chat.id or NEW] = self.attached
        self.attached = self._attached_elsewhere.pop(chat.id or NEW, [])
        self.book.close(self.live.pictures if self.live is not None else ())
        self.show_pictures()

    @work(exclusive=True, group="pictures")
    async def read_shown(self) -> None:
        """Read what the shown conversation's messages were sent with, where that is still there."""
        book = self.book
        while unread := book.unread:
            item = unread[0]
            try:
                await self._read(item)
            except PictureError:
                item.is_gone = True
            self._changed(item)

    def _changed(self, item: ChatPicture) -> None:
        for block in self.conversation.blocks:
            if item in block.pictures:
                self.conversation.changed(block)

    @on(engine_events.PictureCounted)
    def _picture_counted(self, event: engine_events.PictureCounted) -> None:
        self.show_pictures()
        self._changed(event.picture)
        if event.error is not None and event.picture in self.attached:
            self.show_problem("This picture cannot be asked about", str(event.error))

    def count_again(self) -> None:
        """Another model answers."""
        for item in self.attached:
            if item.ref is not None:
                self.engine.count_picture(item)

    # --- with what is typed ---

    def pictures_sent(self, pictures: Sequence[ChatPicture]) -> None:
        """They go with the message that is being sent."""
        self.attached = [item for item in self.attached if item not in pictures]
        self.book.add(pictures)
        self.show_pictures()

    def start_editing(self, message: StoredMessage) -> None:
        """The message's own pictures are attached meanwhile."""
        if self.editing is None:
            self._set_aside = self.attached
        self.attached = [item for item in self.book.of(message.pictures) if not item.is_gone]
        super().start_editing(message)
        self.show_pictures()

    def stop_editing(self) -> None:
        """What was attached before is attached again."""
        if self.editing is not None:
            self.attached, self._set_aside = self._set_aside, []
            self.show_pictures()
        super().stop_editing()

    def give_back(self, live: LiveTurn) -> None:
        """The pictures of a turn that could not begin go where they came from, like its text."""
        key = live.store.conversation_id or NEW
        is_here = key == (self.chat.id or NEW)
        there = self.attached if is_here else self._attached_elsewhere.setdefault(key, [])
        there[:] = [*live.pictures, *(item for item in there if item not in live.pictures)]
        self.show_pictures()
        super().give_back(live)
