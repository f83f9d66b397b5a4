"""Prompts cut into a shared prefix, items and continuations: together always the tokens of the whole text."""

from __future__ import annotations

from collections.abc import Sequence

from edgeai.backends.base import ScoreItem
from edgeai.evaluation.tokens import Tokenize, item_of, n_tokens, passage_item, split_prefix
from tests.fakes import FakeBackend


class Merger(FakeBackend):
    """Some strings are one token, the longest first; 1 stands before each text."""

    def __init__(self, *merges: str, bos: bool = True) -> None:
        super().__init__()
        self._merges = sorted(merges, key=len, reverse=True)
        self._bos = bos

    def tokenize(self, text: str, *, add_special: bool = False, parse_special: bool = False) -> list[int]:
        tokens, at = [1] if add_special and self._bos else [], 0
        while at < len(text):
            merge = next((number for number, each in enumerate(self._merges) if text.startswith(each, at)), None)
            tokens.append(ord(text[at]) if merge is None else 0x10000 + merge)
            at += 1 if merge is None else len(self._merges[merge])
        return tokens


def whole(item: ScoreItem, prefix: Sequence[int] = ()) -> list[list[int]]:
    return [[*prefix, *item.tokens, *continuation] for continuation in item.continuations]


def tokenizer(backend: Merger) -> Tokenize:
    return lambda text: backend.tokenize(text, add_special=True)


def test_answers_are_what_follows_the_prompt() -> None:
    backend = Merger(" A", " B")
    item = item_of(tokenizer(backend), "Answer:", [" A", " B", " not"])
    assert item.tokens == backend.tokenize("Answer:", add_special=True)
    assert item.continuations == [[0x10000], [0x10001], [32, 110, 111, 116]]
    assert n_tokens(item) == 8 + 4


def test_a_token_across_the_seam_belongs_to_all_answers() -> None:
    backend = Merger(": A")
    item = item_of(tokenizer(backend), "Answer:", [" A", " B"])
    assert item.tokens == backend.tokenize("Answer", add_special=True)
    assert item.continuations == [[0x10000], [58, 32, 66]]
    assert whole(item) == [backend.tokenize(f"Answer:{answer}", add_special=True) for answer in (" A", " B")]


def test_an_answer_that_the_prompt_swallows_keeps_a_token() -> None:
    backend = Merger("an")
    item = item_of(tokenizer(backend), "banana", [""])  # no reader lets that through
    assert item.continuations == [[97]]


def test_the_prefix_is_shared_and_nothing_is_lost() -> None:
    backend = Merger("\n\nQ", " A")
    beginning = "Head.\n\nQ: 1 A\n\n"
    prompts = [f"{beginning}Q: {number}" for number in (2, 3)]
    items = [item_of(tokenizer(backend), prompt, [" A", " B"]) for prompt in prompts]
    prefix, rest = split_prefix(tokenizer(backend), beginning, items)
    assert prefix == backend.tokenize("Head.\n\nQ: 1 A", add_special=True)  # its end is another token in the prompts
    for prompt, item in zip(prompts, rest, strict=True):
        assert whole(item, prefix) == [backend.tokenize(prompt + answer, add_special=True) for answer in (" A", " B")]
    assert split_prefix(tokenizer(backend), "", items) == ([], items)


def test_every_item_keeps_a_token() -> None:
    backend = Merger()
    prefix, rest = split_prefix(
        tokenizer(backend),
        "abc",
        [item_of(tokenizer(backend), "abc", ["d"]), item_of(tokenizer(backend), "abcx", ["d"])],
    )
    assert prefix == [1, 97, 98]
    assert [item.tokens for item in rest] == [[99], [99, 120]]


def test_a_passage_is_scored_from_its_first_token() -> None:
    item = passage_item(FakeBackend(), "abc")  # it has no token that begins texts, but one that ends them
    assert item.tokens == [ord("<")]
    assert item.continuations == [[97, 98, 99]]
