"""What one answer stands on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgeai.documents.search import PassageRun
    from edgeai.documents.support import Support
    from edgeai.documents.types import Document


@dataclass(frozen=True, slots=True)
class Ground:
    """What of the documents stands in one prompt.

    Attributes:
        documents: those that stand whole before the conversation.
        runs: passages that were found, before the question.
        support: what the answer may cite; None where there is nothing.
        question: what was asked.
        is_silent: nothing was found that could answer the question.
        has_sources: there are documents, whatever of them is used; answers may hold citations.
    """

    documents: tuple[Document, ...] = ()
    runs: tuple[PassageRun, ...] = ()
    support: Support | None = None
    question: str = ""
    is_silent: bool = False
    has_sources: bool = False
