from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from edgeai.backends.grammar import TokenMaskFactory
from edgeai.errors import GenerationError, SchemaError
from edgeai.structured import OutputFormat
from tests.random_writer import END, START, TOKENS, factory, tokenize

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 12}, "age": {"type": "integer", "minimum": 0}},
    "required": ["name", "age"],
}


def allowed(mask_factory: TokenMaskFactory, grammar: str, *before: int) -> set[int]:
    """The tokens that may come after some."""
    mask = mask_factory.mask(grammar)
    for token in before:
        mask.accept(token)
    logits = np.zeros(len(TOKENS), dtype=np.float32)
    mask.apply(logits)
    return set(np.flatnonzero(np.isfinite(logits)).tolist())


def test_only_what_the_grammar_allows_keeps_its_logit() -> None:
    grammar = OutputFormat({"enum": [True, "a"]}).grammar
    assert {TOKENS[token] for token in allowed(factory(), grammar)} == {b"t", b"true", b'"'}
    mask = factory().mask(grammar)
    logits = np.arange(len(TOKENS), dtype=np.float32)
    mask.apply(logits)
    assert logits[ord("t")] == ord("t")
    assert logits[ord("u")] == -np.inf


def test_the_end_is_allowed_where_the_grammar_is_complete() -> None:
    grammar = OutputFormat({"type": "integer"}).grammar
    assert END not in allowed(factory(), grammar)
    assert END in allowed(factory(), grammar, ord("7"))


def test_it_is_finished_when_nothing_may_follow() -> None:
    mask = factory().mask(OutputFormat({"const": {"a": 1}}).grammar)
    for token in tokenize(b'{"a": 1}'):
        assert not mask.is_finished
        mask.accept(token)
    assert mask.is_finished


def test_control_tokens_are_never_allowed_even_where_their_text_is() -> None:
    grammar = OutputFormat({"const": "<|im_end|>"}).grammar
    text_token = TOKENS.index(b"<|im_end|>")
    assert text_token < END
    assert allowed(factory(), grammar, ord('"')) <= set(range(END))
    grammar = OutputFormat({"type": "string"}).grammar
    assert START not in allowed(factory(), grammar, ord('"'))


def test_a_token_that_is_not_allowed_is_an_error() -> None:
    mask = factory().mask(OutputFormat({"type": "null"}).grammar)
    with pytest.raises(GenerationError, match="the grammar cannot go on"):
        mask.accept(ord("x"))


def test_a_grammar_that_is_none_is_an_error() -> None:
    with pytest.raises(SchemaError, match="the grammar cannot be used"):
        factory().mask("what is this?")


def test_a_tokenizer_that_adds_a_space_does_no_harm() -> None:
    """SentencePiece puts one in front of every text."""
    spaced = TokenMaskFactory(
        TOKENS, special_ids=[END, START], end_ids=[END], tokenize=lambda data: tokenize(b" " + data)
    )
    grammar = OutputFormat(PERSON).grammar
    assert {TOKENS[token] for token in allowed(spaced, grammar)} == {TOKENS[tokenize(b'{"name": "')[0]]}
    mask = spaced.mask(grammar)
    for token in tokenize(b'{"name": "x", "age": 1}'):
        mask.accept(token)
    assert mask.is_finished


@pytest.mark.parametrize(
    ("tokens", "end"), [([b"a", b"b"], 1), (TOKENS, len(TOKENS)), (TOKENS, -1), ([b""] * len(TOKENS), END), ([], 0)]
)
def test_a_broken_vocabulary_is_an_error(tokens: list[bytes], end: int) -> None:
    with pytest.raises(GenerationError, match="vocabulary"):
        TokenMaskFactory(tokens, special_ids=[], end_ids=[end], tokenize=lambda _data: [])


@pytest.mark.weights
def test_a_real_vocabulary_writes_valid_json(real_model: Path) -> None:
    from edgeai.backends.llama_model import LlamaModel
    from edgeai.backends.llama_native import bindings
    from edgeai.options import LoadOptions

    llama = LlamaModel(bindings(), real_model, LoadOptions(), None)
    tokens = [llama.token_bytes(token, special=True) for token in range(llama.n_vocab)]
    masks = TokenMaskFactory(
        tokens,
        special_ids=llama.control_ids,
        end_ids=[llama.end_id],
        tokenize=lambda data: llama.tokenize(data, add_special=False, parse_special=False),
    )
    grammar = OutputFormat(PERSON).grammar
    for seed in range(20):
        mask, random, written = masks.mask(grammar), np.random.default_rng(seed), b""
        while not mask.is_finished:
            logits = random.gumbel(size=llama.n_vocab).astype(np.float32)
            logits[:300] += 6  # short tokens, the quote among them
            mask.apply(logits)
            token = int(logits.argmax())
            assert token not in llama.control_ids
            mask.accept(token)
            written += tokens[token]
        jsonschema.validate(json.loads(written), PERSON)
    llama.close()
