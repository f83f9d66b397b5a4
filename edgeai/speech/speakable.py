"""What of a sentence is read out, and in which words."""

from __future__ import annotations

import re
from collections.abc import Callable

from edgeai.speech import sentence_blocks
from edgeai.speech.markup import without_markup
from edgeai.speech.speakable_en import english_words
from edgeai.speech.speakable_ja import japanese_words

_ANNOUNCED = {
    "code": {"en": "A code block.", "ja": "コード。"},
    "table": {"en": "A table.", "ja": "表。"},
    "formula": {"en": "A formula.", "ja": "数式。"},
}
_WORDS = {"en": english_words, "ja": japanese_words}

MAX_WORD_LETTERS = 60
"""A longer word (a key, Base64, noise) is left out: spelling it would take minutes."""
_LONG_WORD = re.compile(rf"[A-Za-z0-9À-ɏ_+/='’-]{{{MAX_WORD_LETTERS + 1},}}")
_REPEATED = re.compile(r"([^\w\s])\1{3,}|([^\W\da-zA-Z])\2{5,}")
_SAYS_SOMETHING = re.compile(r"[^\W_]")


class Reader:
    """Turns the sentences of one text into words that can be read out; blocks are announced, each kind once."""

    def __init__(self, on_skipped: Callable[[str], None] | None = None) -> None:
        self._on_skipped = on_skipped
        self._announced: set[str] = set()

    def spoken(self, sentence: str, language: str) -> str:
        """The words of a sentence (or block), with the marks that tell how to say it; "" where there is nothing."""
        kind = sentence_blocks.kind(sentence)
        if kind:
            return self._announce(kind, language)
        words = _WORDS[language](self.prose(sentence, language))
        return words if _SAYS_SOMETHING.search(words) else ""

    def prose(self, sentence: str, language: str = "en") -> str:
        """A sentence without markup and without what cannot be said, numbers as they are written; "" for a block."""
        if sentence_blocks.kind(sentence):
            return ""
        text = without_markup(sentence, language)
        kept = _LONG_WORD.sub(" ", text)
        if kept != text and self._on_skipped is not None:
            self._on_skipped(f"a word of more than {MAX_WORD_LETTERS} letters is left out")
        return _REPEATED.sub(lambda match: match.group()[:3], kept).strip()

    def _announce(self, kind: str, language: str) -> str:
        if kind in self._announced:
            return ""
        self._announced.add(kind)
        return _ANNOUNCED[kind][language]
