"""Whole sentences out of text that streams in, each as soon as it is complete."""

from __future__ import annotations

import re

from edgeai.speech import sentence_blocks
from edgeai.speech.sentence_ends import clause_end, sentence_end

MAX_CHARS = 400
"""A sentence is not longer: what has no end is cut at a clause, a space, or in the middle of a word."""
_FIRST_CHARS, _FIRST_WIDE_CHARS = 100, 20
"""Where the first sentence does not end within these, it is cut at a clause: sound begins early. A kanji or kana takes
about as long to say as five letters, and as long to write."""

_SPACE = re.compile(r"\s*")


class SentenceStream:
    """Cuts text into sentences, and into blocks (code, tables, formulas) that are not read word for word.

    Nothing is lost: what comes out is what went in, without the white space between the pieces.
    """

    def __init__(self) -> None:
        self._text = ""
        self._is_first = True
        self._at_line_start = True

    def feed(self, piece: str) -> list[str]:
        """Take the next piece of the text; the sentences that are complete with it."""
        self._text += piece
        return self._cut(is_last=False)

    def finish(self) -> list[str]:
        """The text has ended; the sentences that are left."""
        return self._cut(is_last=True)

    def _cut(self, *, is_last: bool) -> list[str]:
        text, place, sentences = self._text, 0, []
        while True:
            start = self._skip_space(text, place)
            end = self._unit_end(text, start, is_last=is_last) if start < len(text) else None
            if end is None:
                break
            sentence = text[start:end].strip()
            if sentence:
                sentences.append(sentence)
                self._is_first = False
            place = end
            self._at_line_start = text[end - 1] == "\n"
        self._text = text[place:]
        return sentences

    def _skip_space(self, text: str, place: int) -> int:
        match = _SPACE.match(text, place)
        assert match is not None
        if "\n" in match.group():
            self._at_line_start = True
        return match.end()

    def _unit_end(self, text: str, start: int, *, is_last: bool) -> int | None:
        """Where the unit that begins here ends; None while that cannot be told."""
        if self._at_line_start:
            if sentence_blocks.may_begin_block(text, start) and not is_last:
                return None
            if sentence_blocks.is_block(text, start):
                return sentence_blocks.block_end(text, start, is_last=is_last)
        limit = start + MAX_CHARS
        end = sentence_end(text, start, limit, at_line_start=self._at_line_start, is_last=is_last)
        if self._is_first and (first := _first_limit(text, start)) < (end or len(text)):
            early = clause_end(text, start, first, must=False)
            if early is not None:
                return early
        if end is not None:
            return end
        if end is None and len(text) > limit:
            return clause_end(text, start, limit, must=True)
        if end is None and is_last:
            return len(text)
        return end


def _first_limit(text: str, start: int) -> int:
    """How far the first sentence may reach."""
    n_left = 1.0
    for place in range(start, min(len(text), start + _FIRST_CHARS)):
        n_left -= 1 / (_FIRST_WIDE_CHARS if text[place] >= "\u3040" else _FIRST_CHARS)
        if n_left < 0:
            return place
    return start + _FIRST_CHARS
