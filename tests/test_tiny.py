"""The tiny models are what the KV cache tests take them for: loadable, of their kind, and mindful of every token."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from llama_cpp import llama_cpp

from benchmarks.bare import Bare
from tests.tiny import CONTROL_TOKENS, KINDS, RECURRENT, SLIDING, Kind, tiny_model, vocabulary

N_PROMPT = 150  # several windows of 32 tokens


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def bare(kind: Kind, tmp_path: Path) -> Iterator[Bare]:
    bare = Bare(tiny_model(tmp_path / "tiny.gguf", kind))
    yield bare
    bare.close()


def prompt() -> list[int]:
    return [int(token) for token in np.random.default_rng(1).integers(97, 123, N_PROMPT)]


def test_memory_is_of_its_kind(bare: Bare, kind: Kind) -> None:
    assert llama_cpp.llama_model_n_swa(bare.model) == (32 if kind in SLIDING else 0)
    assert llama_cpp.llama_model_is_recurrent(bare.model) == (kind == "mamba")
    assert llama_cpp.llama_model_is_hybrid(bare.model) == (kind == "plamo2")
    memory = llama_cpp.llama_get_memory(bare.context)
    bare.logits(prompt())
    assert llama_cpp.llama_memory_seq_rm(memory, 0, N_PROMPT - 1, -1) == (kind not in RECURRENT)


def test_every_token_of_the_context_counts(bare: Bare) -> None:
    tokens = prompt()
    logits = bare.logits(tokens)
    assert np.isfinite(logits).all()
    for position in (0, N_PROMPT // 2, N_PROMPT - 2):
        changed = [*tokens]
        changed[position] = 97 if tokens[position] != 97 else 98
        bare.clear()
        difference = np.abs(bare.logits(changed) - logits).max() / logits.std()
        assert difference > 0.02, f"token {position} hardly matters"


def test_greedy_answer_is_varied_and_needs_max_tokens_to_end(bare: Bare) -> None:
    n_plain = bare.n_vocab - len(CONTROL_TOKENS)
    token, answer = int(bare.logits(prompt()).argmax()), []
    for _ in range(32):
        answer.append(token)
        token = int(bare.logits([token]).argmax())
    assert len(set(answer)) > 8
    assert max(answer) < n_plain


def test_same_seed_same_bytes(kind: Kind, tmp_path: Path) -> None:
    first = tiny_model(tmp_path / "first.gguf", kind).read_bytes()
    assert tiny_model(tmp_path / "second.gguf", kind).read_bytes() == first
    assert tiny_model(tmp_path / "third.gguf", kind, seed=1).read_bytes() != first
    assert len(first) < 5_000_000


def test_vocabulary_reads_any_text_and_its_control_tokens(tmp_path: Path) -> None:
    bare = Bare(tiny_model(tmp_path / "tiny.gguf", n_ctx_train=128))
    tokens = vocabulary()
    try:
        assert llama_cpp.llama_model_n_ctx_train(bare.model) == 128
        assert bare.n_vocab == len(tokens)
        assert bare.tokenize(" the") == [tokens.index("Ġthe")]
        assert len(bare.tokenize("日本 🙂\n\x00")) == len("日本 🙂\n\x00".encode())
        end = tokens.index("<|im_end|>")
        assert bare.tokenize("<|im_end|>", parse_special=True) == [end]
        assert end not in bare.tokenize("<|im_end|>")
        assert llama_cpp.llama_vocab_is_eog(bare.vocab, end)
    finally:
        bare.close()


@pytest.mark.parametrize("template", ["{{ messages[0].content }}", None])
def test_chat_template(tmp_path: Path, template: str | None) -> None:
    bare = Bare(tiny_model(tmp_path / "tiny.gguf", chat_template=template))
    found = llama_cpp.llama_model_chat_template(bare.model, None)
    bare.close()
    assert (found.decode() if found else None) == template
