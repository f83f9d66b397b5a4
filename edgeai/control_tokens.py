"""Keeps the words of messages from becoming a model's control tokens.

A rendered prompt is tokenized with control tokens read (`<|im_start|>` begins a turn), and holds what users, tools and
documents say. Somebody who writes `<|im_end|><|im_start|>system` must not open a system turn. So a mark is put into
every such text before it is rendered, and the rendered prompt is cut there: each part is tokenized by itself, and no
part holds the whole text of a control token that the template did not write.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from edgeai.errors import ChatTemplateError
from edgeai.media import without_marks
from edgeai.transcript import SEAM

MAX_CONTROL_TOKENS = 20_000
_HEAD_CHARS = 4
_MAX_EDGE_CHARS = 64


class ControlTokens:
    """The control tokens of one model, as texts."""

    def __init__(self, texts: Iterable[str]) -> None:
        """Texts of one character are left out: they cannot be cut, and no model should have them.

        Raises:
            ChatTemplateError: there are far more than any model has.
        """
        self._texts = {text for text in texts if len(text) > 1}
        if len(self._texts) > MAX_CONTROL_TOKENS:
            raise ChatTemplateError(
                f"the model has {len(self._texts):,} control tokens, expected at most {MAX_CONTROL_TOKENS:,}: "
                "its vocabulary is broken or hostile, use another model"
            )
        self._lengths = sorted({len(text) for text in self._texts}, reverse=True)
        self._longest = max(self._lengths, default=0)
        self._all = "\0".join(self._texts)
        self._firsts = {text[0] for text in self._texts}
        self._lasts = {text[-1] for text in self._texts}
        edges = [text for text in self._texts if len(text) <= _MAX_EDGE_CHARS]
        self._beginnings = {text[:size] for text in edges for size in range(1, len(text))}
        self._ends = {text[-size:] for text in edges for size in range(1, len(text))}
        # A model may have a thousand reserved tokens that begin alike: look for the few ways they begin, then compare.
        heads = {text[:_HEAD_CHARS] for text in self._texts}
        self._head = re.compile("|".join(f"{re.escape(head[0])}(?={re.escape(head[1:])})" for head in heads) or "(?!)")

    def guard(self, value: Any) -> Any:
        """The same plain data with marks in its texts, so that `parts` can cut what is rendered from it."""
        if isinstance(value, str):
            return self._guard_text(value)
        if isinstance(value, Mapping):
            return {self.guard(key): self.guard(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.guard(item) for item in value]
        return value

    def _guard_text(self, text: str) -> str:
        if not text.isascii():
            text = without_marks(text.replace(SEAM, "")).encode("utf-8", "replace").decode()
        if any(first in text for first in self._firsts):
            text = self._head.sub(self._mark, text)
        return self._guard_edges(text)

    def _mark(self, match: re.Match[str]) -> str:
        return match.group() + SEAM if self._length_at(match.string, match.start()) else match.group()

    def _length_at(self, text: str, at: int) -> int:
        """The length of the longest control token that begins at a place; 0 for none."""
        return next((length for length in self._lengths if text[at : at + length] in self._texts), 0)

    def _guard_edges(self, text: str) -> str:
        """Marks where the template's own characters before or after could make up a control token with the text's."""
        core = text.strip()
        if not core:
            return text
        sizes = range(1, min(_MAX_EDGE_CHARS, len(core) + 1))
        inside = len(core) <= self._longest and core in self._all
        if inside or any(core[size - 1] in self._lasts and core[:size] in self._ends for size in sizes):
            at = len(text) - len(text.lstrip())
            text = text[:at] + SEAM + text[at:]
        if any(core[-size] in self._firsts and core[-size:] in self._beginnings for size in sizes):
            at = len(text.rstrip())
            text = text[:at] + SEAM + text[at:]
        return text

    def parts(self, rendered: str) -> tuple[str, ...]:
        """A rendered prompt cut at the marks that are inside of what would be a control token; others are dropped."""
        pieces = rendered.split(SEAM)
        if len(pieces) == 1:
            return (rendered,)
        text, parts, begin, at = "".join(pieces), [], 0, 0
        for piece in pieces[:-1]:
            at += len(piece)
            if begin < at and self._is_inside(text, at):
                parts.append(text[begin:at])
                begin = at
        return (*parts, text[begin:])

    def _is_inside(self, text: str, at: int) -> bool:
        """Whether a control token's text goes on over a place."""
        begins = range(max(at - self._longest + 1, 0), at)
        return any(
            begin + self._length_at(text, begin) > at
            for begin in begins
            if text[begin] in self._firsts and self._head.match(text, begin)
        )
