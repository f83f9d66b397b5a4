"""What a session answers from: documents, whole where they fit the window; else the passages that a question finds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Union

from edgeai.context_window import ContextWindow, Prompt
from edgeai.documents.content_words import content_words
from edgeai.documents.ground import Ground
from edgeai.documents.passages import Passage, passages
from edgeai.documents.search import context_for
from edgeai.documents.types import Document
from edgeai.errors import ContextOverflowError, OptionError
from edgeai.messages import Message

if TYPE_CHECKING:
    from edgeai.documents.finder import Finder
    from edgeai.documents.library import Library

Source = Union[Document, "Library"]

MAX_PASSAGE_TOKENS = 1536
"""More passages than these make a small device read for minutes, and a small model lose the thread."""
_MIN_PASSAGE_TOKENS = 128
_MAX_CHARS_A_TOKEN = 8
"""Documents with more characters than so many for each token of the window do not fit; they are not even tokenized."""
_MIN_QUESTION_WORDS = 2


class Sources:
    """Documents and libraries, and what of them each prompt gets."""

    def __init__(self, sources: Iterable[Source] = ()) -> None:
        """
        Raises:
            OptionError: something else is among them.
        """
        self.all = tuple(sources)
        for source in self.all:
            if not isinstance(source, Document) and not hasattr(source, "search"):
                raise OptionError(
                    f"documents holds a {type(source).__name__}: expected what load_document() gives, or a Library"
                )
        self._documents = tuple(source for source in self.all if isinstance(source, Document))
        self._libraries = tuple(source for source in self.all if not isinstance(source, Document))
        self._n_chars = sum(len(block.text) for document in self._documents for block in document.blocks)
        self._passages: tuple[Passage, ...] | None = None
        self._finder: Finder | None = None

    def prompt(
        self, window: ContextWindow, messages: Sequence[Message], count_tokens: Callable[[str], int], **options: Any
    ) -> tuple[Prompt, Ground]:
        """The prompt of a conversation, and what it stands on.

        Args:
            window: builds it.
            messages: the conversation.
            count_tokens: how many tokens a text has.
            options: of `ContextWindow.build`: tools, overflow, max_tokens.
        Raises:
            ContextOverflowError: it does not fit, even with few passages.
        """
        if self.all and not self._libraries and (whole := self._whole(window, messages, **options)):
            return whole
        prompt = window.build(messages, **options)
        question = _last_question(messages)
        if not self.all or not question:
            return prompt, Ground()
        hits = self._found(_search_text(messages))
        if not hits:
            return prompt, Ground(question=question, is_silent=True)
        room = window.n_ctx - len(prompt.tokens) - window.reserve(options.get("max_tokens"))
        if room < _MIN_PASSAGE_TOKENS and options.get("overflow") == "trim":
            room = min(MAX_PASSAGE_TOKENS, window.n_ctx // 2)  # old turns make room for them
        runs = tuple(context_for(hits, min(room, MAX_PASSAGE_TOKENS), count_tokens))
        if not runs:
            raise ContextOverflowError(len(prompt.tokens) + _MIN_PASSAGE_TOKENS, window.n_ctx)
        ground = Ground((), runs, tuple(passage for run in runs for passage in run.passages), question)
        return window.build(messages, ground=ground, **options), ground

    def close(self) -> None:
        """Remove what was written to search in; the libraries that were given stay open. May be called twice."""
        if self._finder is not None:
            self._finder.close()
            self._finder = None

    def _whole(
        self, window: ContextWindow, messages: Sequence[Message], **options: Any
    ) -> tuple[Prompt, Ground] | None:
        """The prompt with all documents in it; None where they leave no room for an answer."""
        if self._n_chars > window.n_ctx * _MAX_CHARS_A_TOKEN:
            return None
        if self._passages is None:
            self._passages = tuple(passage for document in self._documents for passage in passages(document))
        ground = Ground(self._documents, (), self._passages, _last_question(messages))
        try:
            prompt = window.build(messages, ground=ground, **options)
        except ContextOverflowError:
            return None
        n_free = window.n_ctx - len(prompt.tokens)
        return (prompt, ground) if n_free >= window.reserve(options.get("max_tokens")) else None

    def _found(self, question: str) -> list[Any]:
        if self._finder is None:
            from edgeai.documents.finder import Finder

            self._finder = Finder(self._documents, self._libraries)
        return self._finder.search(question)


def _last_question(messages: Sequence[Message]) -> str:
    """The user's last message."""
    return next((message.content for message in reversed(messages) if message.role == "user"), "")


def _search_text(messages: Sequence[Message]) -> str:
    """What to search for: the last question, behind the one before where it says little alone (`And why?`)."""
    questions = [message.content for message in messages if message.role == "user"][-2:]
    return " ".join(questions) if len(set(content_words(questions[-1]))) < _MIN_QUESTION_WORDS else questions[-1]
