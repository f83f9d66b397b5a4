"""Whether what was found can answer a question at all, so that nothing is guessed where it cannot."""

from __future__ import annotations

import re
from collections.abc import Sequence

from edgeai.documents.content_words import content_words
from edgeai.documents.library_types import Hit
from edgeai.documents.passages import Passage, index_text
from edgeai.text_search import fold

N_BEST = 5
"""So many of the passages that words found best are looked at."""

MIN_SHARE = 0.6
"""This share of the question's words must stand in those passages together.

benchmarks.retrieval, on the half of the questions kept aside from fitting (97 with an answer, 24 without; half of these
ask about things that the texts do treat): by words alone 7.2 % of those with an answer are refused, 33.3 % of
those without one are recognised (2.1 % and 50.0 % of those that it was fitted to); with vectors 2.1 % and 29.2 %
(1.0 % and 46.2 %).
"""

MIN_COSINE = 0.85
"""A passage as near as this to the question can answer it in quite other words. Fitted to e5, whose cosines are high;
with an embedder whose cosines are lower, words alone decide."""

MIN_SHARE_OF_WHOLE = 0.2
"""The same of a document that stands whole before the question.

On the same held questions with 4,000 and 12,000 characters of the text that answers them (a third of it in Japanese)
4.1 % and 2.1 % are refused; with as much of another text 56 % and 33 % are recognised.
"""

# What is said to an assistant about the conversation itself.
_ABOUT_THE_CONVERSATION = re.compile(
    r"\b(?:hello|hi|hey|thanks?|thank you|a lot|very much|ok|okay|great|good (?:morning|evening|night)|bye|goodbye|"
    r"go on|continue|more|again|shorter|longer|simpler|simply|briefly|in short|summari[sz]e|summary|translate|rephrase|"
    r"rewrite|repeat|english|japanese|german|french|sentences?|words?|bullet points?|lists?|file|text|main|points?|key|"
    r"contents?|overview|outline|gist|topics?|tl;?dr|elaborate|examples?|please|really|yes|no|give|bullets?|\d+)\b|"
    "こんにちは|ありがとう|続けて|要約|翻訳|日本語|英語|短く|詳しく|簡単に|簡潔に|文書|資料|内容|何|教えて|説明|"
    "ファイル|ドキュメント|マニュアル|書[いか]|要点|概要|主な|全体|[一二三四五六七八九十]つ",
)
_GREETING = re.compile(
    r"\b(?:hello|hi|hey|thanks?|thank you|ok|okay|great|good (?:morning|evening|night)|bye|goodbye|yes|no)\b|"
    "こんにちは|こんばんは|おはよう|ありがとう|はい|いいえ",
)
_HAN = re.compile("[\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_HAN_OR_HIRAGANA = re.compile(f"{_HAN.pattern[:-1]}\u3041-\u309f]")


def is_relevant(question: str, hits: Sequence[Hit]) -> bool:
    """Whether any of the best passages can answer the question.

    Args:
        question: what a person typed.
        hits: what was found for it, by words alone or by words and vectors; so many that the best ones by words are
            among them (some 20).
    Returns:
        False where there are no hits, or where all are too far from the question.
    """
    nearest = max((hit.cosine for hit in hits if hit.cosine is not None), default=-1.0)
    return bool(hits) and (word_share(question, hits) >= MIN_SHARE or nearest >= MIN_COSINE)


def is_covered(question: str, passages: Sequence[Passage]) -> bool:
    """Whether a document that the model reads whole has anything about the question.

    The model may find what no word says: it is refused only where next to none of several words stand anywhere, and
    they are of the document's script.

    Args:
        question: what a person typed.
        passages: all of the document.
    """
    asked = _words(question)
    found = {word for passage in passages for word in _words(index_text(passage))}
    is_same_script = _is_han(asked) == _is_han(found)
    return len(asked) < 2 or not is_same_script or len(asked & found) / len(asked) >= MIN_SHARE_OF_WHOLE


def is_search(text: str) -> bool:
    """Whether a message asks for something that a document may say; not `Thanks!`, `Summarize it.`, `続けて`."""
    without = _ABOUT_THE_CONVERSATION.sub(" ", fold(text))
    return bool(content_words(without) or _HAN.search(without))


def is_follow_up(text: str) -> bool:
    """Whether a message asks on without a word of its own to search by: `And why?`, `How so?`."""
    return bool(text.strip()) and not content_words(text) and not _ABOUT_THE_CONVERSATION.search(fold(text))


def is_greeting(text: str) -> bool:
    """Whether a message is said to be polite."""
    return not is_search(text) and bool(_GREETING.search(fold(text)))


def word_share(question: str, hits: Sequence[Hit]) -> float:
    """The share of the question's content words that stands in any of the passages that words found best, 0 … 1.

    1 for a question without content words ("What is this?"), as nothing speaks against any passage.
    """
    asked = _words(question)
    if not asked:
        return 1.0
    by_words = sorted((hit for hit in hits if "words" in hit.ranks), key=lambda hit: hit.ranks["words"])
    found = {word for hit in by_words[:N_BEST] for word in _words(index_text(hit.passage))}
    return len(asked & found) / len(asked)


def _is_han(words: set[str]) -> bool:
    return any(_HAN_OR_HIRAGANA.search(word) for word in words)


def _words(text: str) -> set[str]:
    """Content words; of Japanese each Chinese character and what is in katakana.

    A pair of characters that a question and a passage do not share says little: the question puts things in other
    words. A character that none of the best passages has says much.
    """
    words = {word for word in content_words(text) if not _HAN_OR_HIRAGANA.search(word)}
    return words | set(_HAN.findall(fold(text)))
