"""The screen's part that makes turns: from Enter to the stored answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from textual import on, work

from edgeai import ContextOverflowError, EdgeAIError
from edgeai.history_types import StoredMessage, title_from
from edgeai.options import Overflow
from tui import engine_events
from tui.asked_pictures import conversation
from tui.attachments import documents_in, pictures_in, split_files, with_files
from tui.chat import Chat, blocks_of, open_chat, question_text
from tui.chat_documents import told
from tui.chat_pictures import ChatPicture
from tui.document_refs import absolute
from tui.drafts import NEW
from tui.live_turn import FLUSH_S, LiveTurn, note_of
from tui.screens.confirm import ConfirmScreen
from tui.screens.picture_commands import PictureCommands
from tui.turn import Question
from tui.turn_store import TurnStore
from tui.widgets.block import Block
from tui.widgets.prompt import PromptEditor
from tui.widgets.sidebar import Sidebar

WELCOME = (
    "Everything you write stays on this device.\n"
    "Enter sends · Ctrl+J new line · Esc stops an answer\n"
    "@ brings a file · F2, /doc or a file dropped here adds a document\n"
    "F8, /image or a picture dropped here shows it to the model\n"
    "F3 shows the documents · F4 opens the sources of an answer\n"
    "F5 writes what you say · F6 talks by voice\n"
    "Alt+↑ walks through what was said: copy, edit, ask again · F1 all keys"
)


class TurnScreen(PictureCommands):
    """Makes turns. One is made at a time, also while another conversation is shown."""

    def start_clock(self) -> None:
        """The clock that shows what was made; the draft of the last run."""
        self._clock = self.set_interval(FLUSH_S, self._show_progress, pause=True)
        self.prompt.write(self.drafts.get(NEW))

    # --- what is spoken; the screen's last part knows how ---

    def voice_activity(self) -> str:
        """What the microphone hears, for the status line."""
        return ""

    def speak_on(self, store: TurnStore, text: str) -> None:
        """An answer that may be read out has grown to this."""

    def speak_rest(self, store: TurnStore, text: str) -> None:
        """It is complete."""

    def turn_over(self, store: TurnStore) -> None:
        """It is stored and shown."""

    # --- asking ---

    @on(PromptEditor.Submitted)
    def _submitted(self, event: PromptEditor.Submitted) -> None:
        self.submit(event.text)

    def submit(self, text: str) -> None:
        """Do what a command says, or ask the model."""
        word, _, rest = text.partition(" ")
        if (obey := {"/doc": self.obey_doc, "/image": self.obey_image}.get(word.rstrip())) is not None:
            self.prompt.write("")
            obey(rest.strip())
        elif self.live is not None:
            self.say("An answer is being made: Esc stops it, then Enter sends your message.")
        else:
            self._send(text)

    @work(exclusive=True, group="send")
    async def _send(self, text: str) -> None:
        """Ask as soon as documents and pictures are read, those that the message names too."""
        documents = self.chat.documents
        with self.errors_shown():
            named = {absolute(path) for path in await asyncio.to_thread(documents_in, text, self.folder)}
            new = named - {item.path for item in documents}
            wanted = await self.add_documents(list(new)) if new else []
            if len(wanted) < len(new) or not await self.all_read([*self.unread, *wanted]):
                return
            shown = await asyncio.to_thread(pictures_in, text, self.folder)
            if (shown and not await self.attach(shown)) or not await self.all_pictures_read():
                return
            content = await asyncio.to_thread(with_files, text, self.folder)
            if self.live is None and self.chat.documents is documents:
                path = self.chat.path if self.editing is None else self.chat.before(self.editing.id)
                self.ask(text, content, path, tuple(self.attached))

    def ask(
        self,
        typed: str,
        content: str,
        path: Sequence[StoredMessage],
        pictures: Sequence[ChatPicture] = (),
        *,
        overflow: Overflow | None = None,
    ) -> None:
        """Ask the model.

        Args:
            typed: what goes back into the prompt when the turn cannot begin.
            content: the user's message; empty to answer the last message of the path (again).
            path: the conversation above it.
            pictures: that go with the user's message.
            overflow: "trim" leaves out the oldest turns where the context is too small.
        """
        if overflow == "trim" and self.chat.id is not None:
            self.trimming.add(self.chat.id)
        self.stop_preparing()
        documents = self.read_documents
        parent_id = path[-1].id if path else None
        settings = self.chat.settings
        store = TurnStore(self.history, self.chat, content, parent_id, pictures)
        refs = [item.ref for item in pictures if item.ref is not None]
        messages, shown = conversation(path, settings.system, content, refs)
        question = Question(
            messages,
            begin=store.begin,
            save=store.save,
            finish=store.finish,
            sampling=settings.sampling(),
            overflow="trim" if self.chat.id in self.trimming else overflow or "error",
            documents=[item.document for item in documents if item.document is not None],
            pictures=shown,
            is_new=bool(content),
        )
        asked = Block("user", question_text(content), title="You", pictures=pictures) if content else None
        answer = Block("assistant", title=self.status.model_name or "Answer", streaming=True)
        turn = self.engine.ask(question)
        self.live = LiveTurn(turn, store, path, content, typed, asked, answer, self.editing, documents, pictures)
        self.conversation.follows = True
        self.conversation.replace_from(len(path), self.live.blocks)
        if self.prompt.text == typed:
            self.prompt.write("")
        self.pictures_sent(pictures)
        self.stop_editing()
        self._clock.resume()
        self.show_activity()

    # --- while it is made ---

    def _show_progress(self) -> None:
        """Show what was made since the last tick; called by the clock."""
        if (live := self.live) is None:
            return
        started = time.monotonic()
        if live.flush() and self.live_is_shown:
            self.conversation.changed(live.answer)
            live.flushed(time.monotonic() - started)
        self.speak_on(live.store, live.answer.text)
        self.show_activity()

    def show_activity(self) -> None:
        """Bring the status line up to date."""
        status = self.status
        live = self.live
        with_documents, with_voice = self.documents_activity(), self.voice_activity()
        status.is_busy = live is not None or bool(self.load_note or with_documents)
        if live is not None and not (live.stage == "waiting" and self.load_note):
            status.activity = f"{live.activity} · {with_voice}" if with_voice else live.activity
            if live.stage != "waiting":
                status.context_used = live.context_used
        elif self.load_note:
            status.activity = self.load_note
        elif with_documents:
            status.activity = with_documents
        elif with_voice:
            status.activity, status.is_busy = with_voice, True
        else:
            status.activity = self.documents_ready() or "ready" if status.model_name else "choose one with Ctrl+O"

    @on(engine_events.TurnReading)
    def _reading(self, event: engine_events.TurnReading) -> None:
        if self.live is not None and self.live.turn is event.turn:
            self.live.read(event.n_done, event.n_total)
        elif event.turn is self.preparing:
            self.read_preparation(event)

    @on(engine_events.TurnBegun)
    def _begun(self, event: engine_events.TurnBegun) -> None:
        live = self.live
        if live is None or live.turn is not event.turn:
            return
        if live.question is not None:
            live.question.key = live.store.user_id
        live.answer.key = live.store.answer_id
        self.remember_draft()
        if self.chat.id is None and self.live_is_shown:
            self.chat.id = live.store.conversation_id
            self.chat.title = title_from(live.content)
            self.show_title()
            if self.chat.settings.to_json() != live.store.settings:
                self.run_worker(self.keep_settings(self.chat.settings))
        self.query_one(Sidebar).refresh_list()

    # --- its end ---

    @on(engine_events.TurnEnded)
    async def _ended(self, event: engine_events.TurnEnded) -> None:
        live = self.live
        if event.turn is self.preparing:
            self.end_preparation(event)
        if live is None or live.turn is not event.turn:
            return
        result = event.result
        shown = self.live_is_shown
        self.live = None
        self._clock.pause()
        self.speak_rest(live.store, live.answer.text if result.finish_reason == "cancelled" else result.text)
        self.refresh_bindings()
        if event.turn.begun:
            live.answer.finish(result.text, result.citations)
            live.answer.note = note_of(result)
            self.status.context_used = result.usage.prompt_tokens + result.usage.completion_tokens
            if result.usage.completion_tokens:  # its prompt was evaluated to its end
                told(live.documents, cached_tokens=result.usage.cached_tokens, n_around=result.n_around)
        self.show_documents()
        self.prepare()
        self.show_activity()
        if not shown:
            self._ended_elsewhere(live, event)
        elif event.turn.begun:
            self.conversation.changed(live.answer)
            await self.reload()
        else:
            self._take_back(live)
        if result.error is not None and shown:
            self._show_error(result.error, live)
        self.turn_over(live.store)

    def _take_back(self, live: LiveTurn) -> None:
        """The turn could not begin: the screen is again as it was before."""
        index = min(self.conversation.blocks.index(block) for block in live.blocks)
        self.conversation.replace_from(index, blocks_of(self.chat.path[index:], self.book))
        if live.editing is not None:
            self.start_editing(live.editing)
            self.attached = []  # its own, of which some may have been removed
        self.give_back(live)

    def _ended_elsewhere(self, live: LiveTurn, event: engine_events.TurnEnded) -> None:
        """The user looks at another conversation."""
        if not event.turn.begun:
            self.give_back(live)
        if event.result.error is not None:
            self.say(str(event.result.error), error=True)
        elif event.turn.begun:
            self.say(f"The answer to “{title_from(live.content)}” is there.")

    def _show_error(self, error: EdgeAIError, live: LiveTurn) -> None:
        if isinstance(error, ContextOverflowError) and not live.turn.begun:
            self._offer_trimming(error, live)
        else:
            self.conversation.add(Block("error", str(error), title="This did not work"))

    def _offer_trimming(self, error: ContextOverflowError, live: LiveTurn) -> None:
        """The conversation has outgrown the context window: nothing is left out without asking."""
        text = (
            f"The conversation has {error.n_prompt:,} tokens and the context window holds {error.n_ctx:,}. "
            "Leave out its oldest turns for the model? They stay stored and on the screen."
        )

        def answered(yes: bool | None) -> None:
            if yes and self.live is None:
                self.ask(live.typed, live.content, live.path, live.pictures, overflow="trim")
            else:
                self.conversation.add(Block("error", str(error), title="Too long"))

        self.app.push_screen(ConfirmScreen(text, "Leave out"), answered)

    # --- the shown conversation ---

    def show_chat(self, chat: Chat) -> None:
        """Show a conversation, at its end, with what was typed there before."""
        self.remember_draft()
        self.stop_editing()
        self.change_documents(chat)
        self.change_pictures(chat)
        self.close_source()
        self.chat = chat
        blocks = blocks_of(chat.path, self.book)
        if self.live is not None and chat.id is not None and self.live.store.conversation_id == chat.id:
            keys = {block.key for block in self.live.blocks}
            blocks = [*(block for block in blocks if block.key not in keys), *self.live.blocks]
        self.conversation.show(blocks or [Block("notice", WELCOME, title="A new chat")])
        self.show_title()
        self.prompt.set_sent(split_files(item.content)[0] for item in chat.path if item.role == "user")
        self.prompt.write(self.drafts.get(chat.id or NEW))
        self.restore_documents()
        self.read_shown()
        self.show_activity()

    async def reload(self) -> None:
        """Read the shown branch again; blocks that are the same stay as they are."""
        if (conversation_id := self.chat.id) is None:
            return
        with self.errors_shown():
            chat = await asyncio.to_thread(open_chat, self.history, conversation_id)
            if self.chat.id == conversation_id:
                chat.documents, chat.settings = self.chat.documents, self.chat.settings
                self.chat = chat
                notices = [block for block in self.conversation.blocks if block.kind in ("notice", "error")]
                self.conversation.replace_from(0, [*self._same_or_new(chat), *notices])
                self.read_shown()
                self.show_title()

    def _same_or_new(self, chat: Chat) -> list[Block]:
        old = {block.key: block for block in self.conversation.blocks if block.key is not None}
        new = blocks_of(chat.path, self.book)
        return [kept if (kept := old.get(block.key)) is not None and kept.shows_same(block) else block for block in new]
