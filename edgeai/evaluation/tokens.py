"""From texts to tokens that are scored: those of the whole prompt, however it is cut."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from edgeai.backends.base import ModelInfo, ScoreItem
from edgeai.common_prefix import n_common

Tokenize = Callable[[str], list[int]]


class Tokenizes(Protocol):
    """What is needed of a backend here."""

    @property
    def info(self) -> ModelInfo:
        """What is known of the model."""
        ...

    def tokenize(self, text: str, *, add_special: bool = False, parse_special: bool = False) -> list[int]:
        """Token ids of a text; see `edgeai.backends.base.Backend`."""
        ...


def item_of(tokenize: Tokenize, prompt: str, answers: Sequence[str]) -> ScoreItem:
    """A prompt and what may follow it, in the tokens of prompt and answer written as one text.

    Where the first letters of an answer make one token with the last ones of the prompt, that token belongs to the
    answers, and to all of them: each is scored from the same place on.

    Args:
        tokenize: a whole prompt.
        prompt: begins with what all prompts of a request begin with.
        answers: each at least one token.
    """
    alone = tokenize(prompt)
    whole = [tokenize(prompt + answer) for answer in answers]
    n_shared = min(n_common(alone, tokens) for tokens in whole)
    n_shared = min(n_shared, *(len(tokens) - 1 for tokens in whole))
    return ScoreItem(alone[:n_shared], [tokens[n_shared:] for tokens in whole])


def passage_item(backend: Tokenizes, text: str) -> ScoreItem:
    """A text that is scored from its first token on, after the one that begins texts.

    Models without such a token get the one that ends them, as in lm-evaluation-harness (its prefix_token_id).
    """
    info = backend.info
    begin = backend.tokenize(info.bos_token or info.eos_token, parse_special=True)[:1]
    tokens = backend.tokenize(text)
    return ScoreItem(begin, [tokens]) if begin else ScoreItem(tokens[:1], [tokens[1:]])


def split_prefix(tokenize: Tokenize, beginning: str, items: Sequence[ScoreItem]) -> tuple[list[int], list[ScoreItem]]:
    """What all items begin with, and the items without it.

    Args:
        tokenize: a whole prompt.
        beginning: the text that all prompts begin with. Its last token may be another before a question, and stays
            with the items then.
        items: with their whole prompts.
    Returns:
        The prefix, and items that have at least one token each.
    """
    prefix = tokenize(beginning) if beginning else []
    n_prefix = min([n_common(prefix, item.tokens) for item in items] or [0])
    n_prefix = max(0, min([n_prefix, *(len(item.tokens) - 1 for item in items)]))
    return prefix[:n_prefix], [ScoreItem(item.tokens[n_prefix:], item.continuations) for item in items]


def n_tokens(item: ScoreItem) -> int:
    """Tokens of an item with the longest of its continuations."""
    return len(item.tokens) + max(map(len, item.continuations))
