"""Whether what was found can answer a question at all, so that nothing is guessed where it cannot."""

from __future__ import annotations

from collections.abc import Sequence

from edgeai.documents.content_words import content_words
from edgeai.documents.library_types import Hit
from edgeai.documents.passages import index_text

N_BEST = 5
"""So many of the best passages are looked at."""

MIN_SHARE = 0.3
"""A passage that can answer holds this share of the question's content words."""


def is_relevant(question: str, hits: Sequence[Hit]) -> bool:
    """Whether any of the best passages can answer the question.

    Args:
        question: what a person typed.
        hits: what was found for it, best first, by words alone or by words and vectors.
    Returns:
        False where there are no hits, or where all are too far from the question.
    """
    return word_share(question, hits) >= MIN_SHARE if hits else False


def word_share(question: str, hits: Sequence[Hit]) -> float:
    """The largest share of the question's content words that stands in one of the best passages, 0 … 1.

    1 for a question without content words ("What is this?"), as nothing speaks against any passage.
    """
    asked = set(content_words(question))
    if not asked:
        return 1.0
    found = [asked.intersection(content_words(index_text(hit.passage))) for hit in hits[:N_BEST]]
    return max((len(words) / len(asked) for words in found), default=0.0)
