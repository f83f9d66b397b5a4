"""Text of any length boiled down: pieces that fit the window first, then their summaries, level by level."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgeai.documents.prompt_text import document_text, fenced
from edgeai.documents.types import Block, Document
from edgeai.errors import ContextOverflowError, OptionError
from edgeai.notes.fixed_words import ENGLISH, FixedWords
from edgeai.notes.parts import evenly, n_bytes_a_token, packed
from edgeai.notes.prompts import SYSTEM, merge_prompt, summarize_prompt
from edgeai.notes.steps import TEMPLATE_TOKENS, Ask, Step
from edgeai.notes.tidy import beginning, whole_sentences

if TYPE_CHECKING:
    from edgeai.session import Session

_MOST_OF_WINDOW = 5  # an answer takes a fifth of the window at most, and so little that two fit into the next prompt
_MOST_TOKENS = 2000  # of a piece: reading takes more than twice as long where it is twice as long, and is worse
_LEAST_TOKENS = 40  # of an answer
_FENCE_TOKENS = 40
_LABEL_TOKENS = 40  # of a summary among others: its heading and pages

_SUMMARIES = Path("summaries")  # how a text made of them is called

_Prompt = Callable[[str, int, str], str]


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a user asks for.

    Attributes:
        n_words: of the whole.
        text: what ends each prompt.
        max_tokens: of an answer, at most; None leaves it to the number of words.
        fixed: what the notes say by themselves.
    """

    n_words: int
    text: str
    max_tokens: int | None = None
    fixed: FixedWords = ENGLISH


@dataclass(frozen=True, slots=True)
class Summary:
    """A text about a part of something, with what names that part."""

    label: str
    text: str


class Condenser:
    """Writes summaries with one model, whatever its window."""

    def __init__(self, session: Session, ask: Ask, wishes: Wishes) -> None:
        """
        Raises:
            OptionError: the window is too small for any summary.
        """
        self._session, self._ask, self._wishes = session, ask, wishes
        n_told = session.count_tokens(SYSTEM) + session.count_tokens(merge_prompt("", 1000, wishes.text))
        self._n_free = session.n_ctx - n_told - TEMPLATE_TOKENS - _FENCE_TOKENS
        self._n_most = min(session.n_ctx // _MOST_OF_WINDOW, self._n_free // 3 - _LABEL_TOKENS)
        if self._n_most < _LEAST_TOKENS:
            least = session.n_ctx - self._n_free + 3 * (_LEAST_TOKENS + _LABEL_TOKENS)
            least = max(least, _LEAST_TOKENS * _MOST_OF_WINDOW)
            raise OptionError(f"n_ctx = {session.n_ctx}: expected at least {least}; choose a larger window (--n-ctx)")

    def max_tokens(self, n_words: int) -> int:
        """Of an answer with so many words; other languages than English take more of them for a word."""
        allowed = min(n_words * 2 + 40, self._n_most)
        return min(allowed, self._wishes.max_tokens or allowed)

    def room(self, n_words: int) -> int:
        """Tokens of text that a prompt can hold beside an answer of so many words."""
        return self._n_free - self.max_tokens(n_words)

    def summary(self, source: Document, what: str, n_words: int) -> str:
        """What a document says, in one step where it fits, else in many."""
        cut = self.pieces(source, n_words)
        if len(cut) == 1:
            return self._one(source, cut[0], what, n_words, summarize_prompt)
        texts = []
        for number, blocks in enumerate(cut, 1):
            text = self._one(source, blocks, f"{what} ({number}/{len(cut)})", n_words, summarize_prompt)
            texts.append(Summary(self._wishes.fixed.piece.format(number=number), text))
        return self.merged(texts, what, n_words)

    def pieces(self, source: Document, n_words: int) -> list[tuple[Block, ...]]:
        """Its blocks, in pieces that fit; those that are more tokens than they look like are cut again."""
        cut = packed(source.blocks, self.piece_bytes(source, n_words))
        return [small for blocks in cut for small in self._fitting(source, blocks, self._piece_room(n_words))]

    def piece_bytes(self, source: Document, n_words: int) -> int:
        """About so long is a piece."""
        return int(self._piece_room(n_words) * n_bytes_a_token(source, self._session.count_tokens) * 0.9)

    def _piece_room(self, n_words: int) -> int:
        return min(self.room(n_words), _MOST_TOKENS)

    def merged(self, parts: Sequence[Summary], what: str, n_words: int) -> str:
        """One summary of several, of neighbours first, until one is left."""
        n_at_once = max(2, self.room(n_words) // (self.max_tokens(n_words) + _LABEL_TOKENS))
        while len(parts) > 1:
            groups = _in_groups(parts, n_at_once)
            parts = [
                group[0] if len(group) == 1 else self._merge(group, what, n_words, len(groups) == 1) for group in groups
            ]
        return parts[0].text

    def _merge(self, group: Sequence[Summary], what: str, n_words: int, is_last: bool) -> Summary:
        blocks = [block for part in group for block in (Block(part.label, "heading"), Block(part.text))]
        source = Document(_SUMMARIES, "text", what, "", tuple(blocks))
        doing = f"{what}: {'together' if is_last else 'joining'}"
        text = self._one(source, source.blocks, doing, n_words, merge_prompt)
        return Summary(self._wishes.fixed.span.format(first=group[0].label, last=group[-1].label), text)

    def _one(self, source: Document, blocks: tuple[Block, ...], what: str, n_words: int, write: _Prompt) -> str:
        """One step; where its prompt does not fit after all, its halves are two, and a third joins them."""
        part, max_tokens = replace(source, blocks=blocks), self.max_tokens(n_words)
        prompt = write(fenced(part), n_words, self._wishes.text)
        instead = beginning(" ".join(block.text for block in blocks if block.kind != "heading"), max_tokens)
        try:
            return self._clipped(self._ask(Step(what, prompt, max_tokens, instead)), max_tokens)
        except ContextOverflowError:
            halves = evenly(blocks, 2)
            if len(halves) < 2:
                raise
        texts = [self._one(source, half, what, n_words, write) for half in halves]
        both = replace(source, path=_SUMMARIES)
        return self._one(both, tuple(map(Block, texts)), what, n_words, merge_prompt)

    def _clipped(self, text: str, n_tokens: int) -> str:
        """No longer than was asked for: some texts are more tokens when they are read than when they were written."""
        while (n := self._session.count_tokens(text)) > n_tokens + _LABEL_TOKENS // 2:
            text = whole_sentences(text[: min(len(text) - 1, len(text) * n_tokens // n)])
        return text

    def _fitting(self, source: Document, blocks: tuple[Block, ...], room: int) -> list[tuple[Block, ...]]:
        n_tokens = self._session.count_tokens(document_text(replace(source, blocks=blocks)))
        if n_tokens <= room:
            return [blocks]
        halves = evenly(blocks, max(2, -(-n_tokens * 10 // room // 9)))
        if len(halves) < 2:
            return [blocks]
        return [small for half in halves for small in self._fitting(source, half, room)]


def _in_groups(parts: Sequence[Summary], n_at_once: int) -> list[Sequence[Summary]]:
    """Neighbours in groups of at most so many, none much smaller than another."""
    n_groups = -(-len(parts) // n_at_once)
    ends = [len(parts) * number // n_groups for number in range(n_groups + 1)]
    return [parts[start:end] for start, end in itertools.pairwise(ends)]
