"""The screen's part that renames and deletes conversations of the list."""

from __future__ import annotations

import asyncio

from textual import on, work

from tui.screens.block_actions import BlockActions
from tui.screens.confirm import ConfirmScreen
from tui.widgets.sidebar import Sidebar


class ListCommands(BlockActions):
    """Does what the list of conversations asks for."""

    def action_new_chat(self) -> None:
        """Begin a conversation; the screen's last part does."""

    @on(Sidebar.RenameRequested)
    @work
    async def _rename(self, event: Sidebar.RenameRequested) -> None:
        from tui.screens.rename import RenameScreen

        with self.errors_shown():
            stored = await asyncio.to_thread(self.history.get, event.conversation_id)
            title = await self.app.push_screen_wait(RenameScreen(stored.title))
            if title is not None:
                await asyncio.to_thread(self.history.update, event.conversation_id, title=title)
                self.query_one(Sidebar).refresh_list()
                await self.reload()

    @on(Sidebar.DeleteRequested)
    @work
    async def _delete(self, event: Sidebar.DeleteRequested) -> None:
        with self.errors_shown():
            stored = await asyncio.to_thread(self.history.get, event.conversation_id)
            question = f"Delete “{stored.title}” with its {stored.n_messages} messages?"
            if not await self.app.push_screen_wait(ConfirmScreen(question, "Delete")):
                return
            if self.live is not None and self.live.store.conversation_id == stored.id:
                self.say("An answer is being made in it: stop it first.", error=True)
                return
            await asyncio.to_thread(self.history.delete, stored.id)
            self.drafts.set(stored.id, "")
            if self.chat.id == stored.id:
                self.action_new_chat()
            self.left.forget(stored.id)
            self.query_one(Sidebar).refresh_list()
