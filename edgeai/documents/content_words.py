"""The words of a text that carry its meaning: without those that any sentence has."""

from __future__ import annotations

import re

from edgeai.documents.words import words

# The function words of English, and what only asks or answers.
_STOP_WORDS = frozenset(
    words(
        "a about above after again all also am an and any are as at be because been before being below between both "
        "but by can could did do does doing down during each few for from further had has have having he her here hers "
        "him his how i if in into is it its itself just me more most must my no nor not of off on once only or other "
        "our out over own please same shall she should so some such than that the their them then there these they "
        "this those through to too under until up us very was we were what when where which while who whom whose why "
        "will with would yes you your s t d ll re ve m don doesn didn isn aren wasn weren hasn haven won according "
        "else much many answer document documents passage passages question tell explain describe say says said"
    )
)
_DOUBLE_END = re.compile(r"..([bdglmnprt])\1\Z")
_HIRAGANA = re.compile("[\u3041-\u309f\u30fc]+")


def content_words(text: str) -> list[str]:
    """The words as the index holds them, in their stems, without stop words; without pairs of hiragana alone.

    Most of the grammar of Japanese is written in hiragana, most of the meaning in kanji and katakana.
    """
    return [
        _stem(word)
        for word in words(text)
        if word not in _STOP_WORDS and not _HIRAGANA.fullmatch(word) and (len(word) > 1 or word.isdigit())
    ]


def _stem(word: str) -> str:
    """Without the commonest endings of English, so that `charges`, `charged` and `charging` are one word.

    Of a double letter at the end one stays, as for `controls` and `controlled`.
    """
    if not word.isascii() or not word.isalpha():
        return word
    for ending in ("ing", "ed", "es", "s", "e"):
        if word.endswith(ending) and not word.endswith("ss") and len(word) - len(ending) >= 3:
            word = word[: -len(ending)]
            break
    return word[:-1] if _DOUBLE_END.search(word) else word
