"""What of documents and libraries one prompt gets: documents whole where they fit the window; else what is found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from edgeai.context_window import ContextWindow, Prompt
from edgeai.documents.content_words import content_words
from edgeai.documents.ground import Ground
from edgeai.documents.library_types import Hit
from edgeai.documents.passages import passages
from edgeai.documents.prompt_text import INSTRUCTION
from edgeai.documents.relevance import is_covered, is_follow_up, is_greeting, is_search
from edgeai.documents.search import context_for
from edgeai.documents.support import Support
from edgeai.documents.types import Document
from edgeai.errors import ContextOverflowError
from edgeai.messages import Message

if TYPE_CHECKING:
    from edgeai.documents.finder import Finder
    from edgeai.documents.library import Library

MAX_PASSAGE_TOKENS = 1536
"""More passages than these make a small device read for minutes, and a small model lose the thread."""
_MIN_PASSAGE_TOKENS = 128
_MAX_CHARS_A_TOKEN = 8
"""Documents with more characters than so many for each token of the window do not fit; they are not even tokenized."""
_MIN_QUESTION_WORDS = 2
_MIN_SCORE = 0.5
"""Found by words alone, passages with less than this share of the best one's score distract a small model.

Of the 210 questions of benchmarks.retrieval that have an answer the first 8 hits hold it for 128, with this and without
it; with 0.6 for 125, with 0.7 for 116.
"""
_N_BEGINNING = 12


class Grounding:
    """Documents and libraries of a conversation, cut and indexed as far as its questions needed it."""

    def __init__(self, documents: Sequence[Document], libraries: Sequence[Library]) -> None:
        self._documents, self._libraries = tuple(documents), tuple(libraries)
        self._n_chars = sum(len(block.text) for document in self._documents for block in document.blocks)
        self._support: Support | None = None
        self._finder: Finder | None = None

    def prompt(
        self, window: ContextWindow, messages: Sequence[Message], count_tokens: Callable[[str], int], **options: Any
    ) -> tuple[Prompt, Ground]:
        """See `Sources.prompt`."""
        if not self._libraries and (whole := self._whole(window, messages, **options)):
            return whole
        question = _last_question(messages)
        asks_on = is_follow_up(question) and any(message.role == "assistant" for message in messages)
        if not is_search(question) and not asks_on:
            return self._beginning(window, messages, count_tokens, **options)
        hits = self._found(messages)
        if not hits:
            ground = Ground(question=question, is_silent=True, has_sources=True)
            return window.build(messages, ground=ground, **options), ground
        return _with_hits(hits, window, messages, count_tokens, **options)

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
        if self._support is None:
            self._support = Support([passage for document in self._documents for passage in passages(document)])
        question = _last_question(messages)
        is_silent = is_search(question) and not is_covered(question, self._support.passages)
        ground = Ground(self._documents, (), self._support, question, is_silent, has_sources=True)
        try:
            prompt = window.build(messages, ground=ground, **options)
        except ContextOverflowError:
            return None
        n_free = window.n_ctx - len(prompt.tokens)
        return (prompt, ground) if n_free >= window.reserve(options.get("max_tokens")) else None

    def _beginning(
        self, window: ContextWindow, messages: Sequence[Message], count_tokens: Callable[[str], int], **options: Any
    ) -> tuple[Prompt, Ground]:
        """For a message that looks for nothing (`What is this about?`): how the documents begin, where it is the first.

        Later ones are about the conversation.
        """
        is_first = not any(message.role == "assistant" for message in messages)
        begins = [passages(document)[:_N_BEGINNING] for document in self._documents] if is_first else []
        hits = [Hit(passage, 0.0, {}, None, 0) for some in zip_longest(*begins) for passage in some if passage]
        if hits:
            return _with_hits(hits, window, messages, count_tokens, **options)
        question = _last_question(messages)
        is_silent = is_first and not is_greeting(question)  # of a library, no beginning stands for all
        ground = Ground(question=question, is_silent=is_silent, has_sources=True)
        return window.build(messages, ground=ground, **options), ground

    def _found(self, messages: Sequence[Message]) -> list[Hit]:
        """What the last question finds; behind the one before, where it finds nothing alone (`And why?`)."""
        if self._finder is None:
            from edgeai.documents.finder import Finder

            self._finder = Finder(self._documents, self._libraries)
        questions = [message.content for message in messages if message.role == "user"][-2:]
        n_words = len(set(content_words(questions[-1])))
        hits = self._finder.search(questions[-1]) if n_words else []
        if not hits and len(questions) == 2 and n_words < _MIN_QUESTION_WORDS:
            hits = self._finder.search(" ".join(questions))
        return _near_best(hits)


def _near_best(hits: list[Hit]) -> list[Hit]:
    """Without those that words alone found far behind the best of the same library."""
    if any(hit.cosine is not None for hit in hits):
        return hits
    best = {hit.source: max(other.score for other in hits if other.source == hit.source) for hit in hits}
    return [hit for hit in hits if hit.score >= _MIN_SCORE * best[hit.source]]


def _with_hits(
    hits: Sequence[Hit],
    window: ContextWindow,
    messages: Sequence[Message],
    count_tokens: Callable[[str], int],
    **options: Any,
) -> tuple[Prompt, Ground]:
    """The prompt with as many passages as there is room for, the best first.

    Raises:
        ContextOverflowError: there is room for none.
    """
    is_trimmed = options.get("overflow") == "trim"
    bare = window.build(messages, ground=Ground(has_sources=True), **options)
    room = window.n_ctx - len(bare.tokens) - window.reserve(options.get("max_tokens")) - count_tokens(INSTRUCTION)
    if is_trimmed:
        room = max(room, window.n_ctx // 2)  # old turns make room for them
    room = min(room, MAX_PASSAGE_TOKENS)
    while runs := tuple(context_for(hits, room, count_tokens)):
        found = Support([passage for run in runs for passage in run.passages])
        ground = Ground((), runs, found, _last_question(messages), has_sources=True)
        try:
            prompt = window.build(messages, ground=ground, **options)
            if window.n_ctx - len(prompt.tokens) >= window.reserve(options.get("max_tokens")):
                return prompt, ground
        except ContextOverflowError:
            pass
        room = room * 3 // 4  # the marks around the passages take some, too
    raise ContextOverflowError(len(bare.tokens) + _MIN_PASSAGE_TOKENS, window.n_ctx)


def _last_question(messages: Sequence[Message]) -> str:
    """The user's last message."""
    return next((message.content for message in reversed(messages) if message.role == "user"), "")
