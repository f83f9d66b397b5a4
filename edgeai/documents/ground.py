"""What one answer stands on."""

from __future__ import annotations

from dataclasses import dataclass

from edgeai.documents.passages import Passage
from edgeai.documents.search import PassageRun
from edgeai.documents.types import Document


@dataclass(frozen=True, slots=True)
class Ground:
    """What of the documents stands in one prompt.

    Attributes:
        documents: those that stand whole before the conversation.
        runs: passages that were found, before the question.
        passages: all that the answer may cite.
        question: what was asked.
        is_silent: nothing was found that could answer the question.
        has_sources: there are documents, whatever of them is used; answers may hold citations.
    """

    documents: tuple[Document, ...] = ()
    runs: tuple[PassageRun, ...] = ()
    passages: tuple[Passage, ...] = ()
    question: str = ""
    is_silent: bool = False
    has_sources: bool = False
