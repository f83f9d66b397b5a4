"""What a session answers from: documents and libraries."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Union

from edgeai.context_window import ContextWindow, Prompt
from edgeai.documents.ground import Ground
from edgeai.documents.types import Document
from edgeai.errors import OptionError
from edgeai.messages import Message

if TYPE_CHECKING:
    from edgeai.documents.library import Library
    from edgeai.grounding import Grounding

Source = Union[Document, "Library"]


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
        self._grounding: Grounding | None = None

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
        if not self.all:
            return window.build(messages, **options), Ground()
        return self._opened().prompt(window, messages, count_tokens, **options)

    def close(self) -> None:
        """Remove what was written to search in; the libraries that were given stay open. May be called twice."""
        if self._grounding is not None:
            self._grounding.close()

    def _opened(self) -> Grounding:
        if self._grounding is None:
            from edgeai.grounding import Grounding  # conversations without documents do without it

            documents = [source for source in self.all if isinstance(source, Document)]
            libraries = [source for source in self.all if not isinstance(source, Document)]
            self._grounding = Grounding(documents, libraries)
        return self._grounding
