"""Rendered text to tokens, so that a growing conversation keeps the tokens it has."""

from __future__ import annotations

import re
from collections.abc import Callable

from edgeai.common_prefix import n_common
from edgeai.errors import ContextOverflowError
from edgeai.media import MARKER

SEAM = "\ufdd0"
"""Stands in a rendered prompt where a message's own text would otherwise have formed a control token."""
_MARKER = re.compile(MARKER)


class Transcript:
    """Remembers which tokens the last prompt and its answer were made of.

    A model's answer is seldom the token sequence that its text would be tokenized to, so tokenizing the whole
    conversation again would lose the evaluated tokens of every answer. Instead, where the new text begins with text
    that is known, the known tokens are kept and only the rest is tokenized.
    """

    def __init__(
        self, tokenize: Callable[[str], list[int]], media_tokens: Callable[[str], list[int]] = lambda _sha256: []
    ) -> None:
        """
        Args:
            tokenize: reads control tokens; it is never given text that stretches over a seam or a medium.
            media_tokens: what stands for a medium, by its `sha256`; nothing for one that is not known.
        """
        self._tokenize = tokenize
        self._media_tokens = media_tokens
        self._text = ""
        self._tokens: list[int] = []
        self._boundaries: list[tuple[int, int]] = []  # (characters, tokens), growing

    def tokens(self, text: str, n_ctx: int) -> list[int]:
        """The tokens of a rendered prompt, and from now on the known ones.

        Raises:
            ContextOverflowError: they leave no room for one more in a window of n_ctx; the known ones stay.
        """
        n_chars, n_tokens = self._known(text)
        tokens = self._tokens[:n_tokens] + self.tokenize(text[n_chars:])
        if len(tokens) >= n_ctx:
            raise ContextOverflowError(len(tokens), n_ctx)
        self._boundaries = [mark for mark in self._boundaries if mark[0] <= n_chars]
        self._text, self._tokens = text, tokens
        self._mark()
        return list(self._tokens)

    def count(self, text: str) -> int:
        """How many tokens `tokens` would give; remembers nothing."""
        n_chars, n_tokens = self._known(text)
        return n_tokens + len(self.tokenize(text[n_chars:]))

    def add_answer(self, text: str, tokens: tuple[int, ...]) -> None:
        """Tokens generated after the last prompt; `text` must be exactly theirs."""
        self._text += text
        self._tokens += tokens
        self._mark()

    def tokenize(self, text: str) -> list[int]:
        """The tokens of a text by itself."""
        tokens: list[int] = []
        for index, piece in enumerate(_MARKER.split(text)):
            if index % 2:
                tokens += self._media_tokens(piece)
            else:
                tokens += [token for part in piece.split(SEAM) if part for token in self._tokenize(part)]
        return tokens

    def _known(self, text: str) -> tuple[int, int]:
        """How much of a text is known already: characters, tokens."""
        n_same = n_common(self._text, text)
        return max((mark for mark in self._boundaries if mark[0] <= n_same), default=(0, 0))

    def _mark(self) -> None:
        mark = (len(self._text), len(self._tokens))
        if not self._boundaries or self._boundaries[-1] != mark:
            self._boundaries.append(mark)
