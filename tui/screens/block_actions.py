"""What can be done with one block of the conversation: copy, edit, ask again, export, change the branch."""

from __future__ import annotations

import asyncio
import dataclasses
import re

from textual import on, work

from edgeai import EdgeAIError
from edgeai.files import write_text
from edgeai.history_export import to_json, to_markdown
from edgeai.history_types import StoredMessage
from tui.attachments import split_files
from tui.screens.turns import TurnScreen
from tui.widgets.block import Block
from tui.widgets.conversation import Conversation


class BlockActions(TurnScreen):
    """Answers the keys that the conversation takes while one of its blocks is chosen."""

    @on(Conversation.Left)
    def _left(self) -> None:
        self.prompt.focus()

    @on(Conversation.BlockAction)
    async def _act(self, event: Conversation.BlockAction) -> None:
        block = event.block
        if event.action == "copy":
            self._copy(block.safe_text(), "Copied")
        elif event.action == "copy_code":
            self._copy("\n\n".join(block.code), "Code copied", nothing="There is no code block in it.")
        elif event.action == "export_all":
            self.action_export()
        elif (message := self._stored(block)) is None:
            self.say("It is not stored yet: wait for its end.")
        elif event.action == "export":
            self.action_export(message)
        elif event.action == "edit":
            self._edit(message)
        elif event.action == "regenerate":
            self._regenerate(message)
        else:
            await self._change_branch(message, -1 if event.action == "previous_branch" else 1)

    def _stored(self, block: Block) -> StoredMessage | None:
        return next((message for message in self.chat.path if message.id == block.key), None)

    def _copy(self, text: str, done: str, nothing: str = "There is nothing to copy.") -> None:
        if text:
            self.app.copy_to_clipboard(text)
        self.say(done if text else nothing)

    def _edit(self, message: StoredMessage) -> None:
        """Let a message be written anew; sending it begins a branch beside the old one."""
        if message.role != "user":
            self.say("Only what you wrote can be edited. R makes another answer.")
            return
        self.remember_draft()
        self.start_editing(message)
        self.prompt.write(split_files(message.content)[0])
        self.prompt.focus()

    def _regenerate(self, message: StoredMessage) -> None:
        """Another answer: to a question, or in place of an answer."""
        if self.live is not None:
            self.say("An answer is being made: Esc stops it.")
            return
        if self.editing is not None:
            self.say("A message is being edited: Enter sends it, Esc leaves.")
            return
        path = self.chat.before(message.id) if message.role == "assistant" else [*self.chat.before(message.id), message]
        self.ask("", "", path)
        self.prompt.focus()

    @work
    async def action_export(self, message: StoredMessage | None = None) -> None:
        """Write a message, or without one the whole conversation, to a file."""
        from tui.screens.export import ExportScreen

        if (conversation_id := self.chat.id) is None:
            self.say("There is nothing to export yet.")
            return
        default = self.folder / f"{file_stem(self.chat.title)}.md"
        choice = await self.app.push_screen_wait(ExportScreen(default))
        if choice is None:
            return

        def export() -> None:
            stored = self.history.get(conversation_id)
            only = [dataclasses.replace(message, parent_id=None)] if message else None
            if choice.format == "json":
                text = to_json(stored, only or self.history.all_messages(conversation_id))
            else:
                text = to_markdown(stored, only or self.history.path(conversation_id))
            write_text(choice.path, text)

        try:
            await asyncio.to_thread(export)
        except (EdgeAIError, OSError) as exc:
            self.say(f"{choice.path} was not written: {exc}", error=True)
        else:
            self.say(f"Exported to {choice.path}")

    async def _change_branch(self, message: StoredMessage, step: int) -> None:
        """Show the next or previous alternative to a message, where its branch was left."""
        if message.n_branches < 2:
            self.say("It has no other version: E edits, R asks again.")
            return
        if self.live_is_shown:
            self.say("An answer is being made: Esc stops it.")
            return

        def move() -> int:
            siblings = self.history.siblings(message.id)
            ids = [sibling.id for sibling in siblings]
            wanted = ids[(ids.index(message.id) + step) % len(ids)]
            self.history.set_head(message.conversation_id, self.history.leaf_of(wanted))
            return wanted

        with self.errors_shown():
            shown = await asyncio.to_thread(move)
            await self.reload()
            self.conversation.select(self.conversation.find(shown))


def file_stem(title: str) -> str:
    """A file's name made of a title: words of any script, joined by dashes."""
    return "-".join(re.findall(r"\w+", title))[:60] or "conversation"
