"""The screen's part that has the documents of a conversation evaluated, and says what becomes of them."""

from __future__ import annotations

from collections.abc import Sequence

from textual import on

from tui import engine_events
from tui.chat_documents import ChatDocument, ready_words, told
from tui.pace import Pace
from tui.screens.reading import ReadingParts
from tui.turn import Turn, preparation
from tui.widgets.document_bar import DocumentBar


class DocumentParts(ReadingParts):
    """Prepares the model for questions about documents."""

    preparing: Turn | None = None
    _prepared: Sequence[ChatDocument] = ()
    _pace = Pace()
    libraries: Sequence[str] = ()  # that every question is answered from, too
    n_unreadable = 0  # documents that the chat was to begin with

    # --- evaluating ---

    def prepare(self) -> None:
        """Have new documents evaluated; those of a conversation that is opened again are only looked up."""
        wanted = self.read_documents
        if self.live is not None or self.unread or all(item.state != "read" for item in wanted):
            return
        if self.preparing is not None:  # it did not come to its end
            self._has_new = self._has_new or not self.preparing.question.only_if_cached
        self.stop_preparing()
        self._prepared, self._pace = wanted, Pace()
        documents = [item.document for item in wanted if item.document is not None]
        question = preparation(documents, self.chat.settings.system, only_if_cached=not self._has_new)
        self._has_new = False
        self.preparing = self.engine.ask(question)
        self.show_activity()

    def evaluate_again(self, index: int = 0) -> None:
        """What stands before the documents from this one on has changed, or they may fit the window now."""
        for item in self.chat.documents[:index]:
            item.state = "read" if item.state == "searched" else item.state
        for item in self.chat.documents[index:]:
            item.state = "read" if item.document is not None else item.state
        self.stop_preparing()
        self.show_documents()
        self.prepare()

    def stop_preparing(self) -> None:
        """Stop evaluating; what has been evaluated is of use to the next question."""
        if self.preparing is not None:
            self.preparing.cancel()
            self.preparing = None

    def read_preparation(self, event: engine_events.TurnReading) -> None:
        """So much of the documents is evaluated."""
        self._pace.tell(event.n_done, event.n_total)
        self.show_activity()

    def end_preparation(self, event: engine_events.TurnEnded) -> None:
        """They are ready, or not to be had."""
        self.preparing = None
        result = event.result
        if result.error is None and result.finish_reason != "cancelled":
            told(self._prepared, cached_tokens=result.usage.cached_tokens, n_around=result.n_around)
        self.show_documents()

    @on(engine_events.DocumentsCounted)
    def _counted(self, event: engine_events.DocumentsCounted) -> None:
        for item in self.read_documents:
            if item.document is not None:
                item.n_tokens = event.counts.get(item.document.sha256, item.n_tokens)
        self.show_documents()

    @on(engine_events.WindowChanged)
    def _window_changed(self, event: engine_events.WindowChanged) -> None:
        is_larger = event.n_ctx > self.status.n_ctx
        self.status.n_ctx = event.n_ctx
        self.load_note = ""
        for item in self.read_documents:
            item.state = "read"  # what was evaluated in another window is of no use in this one
        if event.error is not None:
            words = f"{event.error}. Instead, each question looks for passages of the documents."
            self.show_problem(f"The context window stays at {event.n_ctx:,} tokens", words)
        elif is_larger:
            self.say(f"The context window holds {event.n_ctx:,} tokens now, so that the documents fit.")
        else:
            self.say(f"The context window stays at {event.n_ctx:,} tokens: each question looks for passages.")
        self.show_activity()

    def forget_evaluated(self) -> None:
        """Another model answers."""
        for item in self.read_documents:
            item.state, item.n_tokens = "read", 0
        self.show_documents()

    # --- saying it ---

    def tell_unreadable(self) -> None:
        """The window covers the lines that the terminal has of them."""
        if n := self.n_unreadable:
            what = "1 document" if n == 1 else f"{n} documents"
            words = (
                f"{what} of --doc could not be read. The terminal says why when the chat is left, /doc PATH at once."
            )
            self.show_problem("Not added", words)

    def show_documents(self) -> None:
        """Bring the line above the prompt up to date, and keep what quitting must not lose."""
        self.keep_unsent()
        self.query_one(DocumentBar).show(self.chat.documents, self.libraries)
        self.refresh_bindings()
        self.show_activity()

    def documents_activity(self) -> str:
        """What is being done with documents, for the status line; nothing where nothing is."""
        if unread := self.unread:
            first = next((item for item in unread if item.n_total), unread[0])
            return first.progress + (f" (+{len(unread) - 1})" if len(unread) > 1 else "")
        if self.preparing is not None:
            return f"evaluating the document {self._pace.words}".rstrip()
        return ""

    def documents_ready(self) -> str:
        """`document ready (cached)`, where it is."""
        return ready_words(self.chat.documents)

    def show_activity(self) -> None:
        """Bring the status line up to date; the screen's next part does."""
