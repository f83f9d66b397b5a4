"""The tiny models are what the KV cache tests take them for: loadable, of their kind, and mindful of every token."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from llama_cpp import llama_cpp

from tests.tiny import CONTROL_TOKENS, F32, KINDS, RECURRENT, SLIDING, Kind, tiny_model, vocabulary

N_PROMPT = 150  # several windows of 32 tokens


class Native:
    """One model and one context on llama.cpp's own functions."""

    def __init__(self, path: Path) -> None:
        model_params = llama_cpp.llama_model_default_params()
        self.model: Any = llama_cpp.llama_model_load_from_file(str(path).encode(), model_params)
        assert self.model
        params = llama_cpp.llama_context_default_params()
        params.n_ctx, params.n_batch, params.n_ubatch = 256, 256, 64
        params.n_threads = params.n_threads_batch = 1
        self.context: Any = llama_cpp.llama_init_from_model(self.model, params)
        assert self.context
        self.vocab: Any = llama_cpp.llama_model_get_vocab(self.model)
        self.n_vocab: int = llama_cpp.llama_vocab_n_tokens(self.vocab)

    def close(self) -> None:
        llama_cpp.llama_free(self.context)
        llama_cpp.llama_model_free(self.model)

    def clear(self) -> None:
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self.context), True)

    def logits(self, tokens: Sequence[int]) -> F32:
        """The last token's logits, after what was decoded before. [n_vocab]"""
        ids = (llama_cpp.llama_token * len(tokens))(*tokens)
        assert llama_cpp.llama_decode(self.context, llama_cpp.llama_batch_get_one(ids, len(tokens))) == 0
        return np.array(np.ctypeslib.as_array(llama_cpp.llama_get_logits_ith(self.context, -1), (self.n_vocab,)))

    def tokenize(self, text: str, *, parse_special: bool = False) -> list[int]:
        data = text.encode()
        ids = (llama_cpp.llama_token * (len(data) + 8))()
        n = llama_cpp.llama_tokenize(self.vocab, data, len(data), ids, len(ids), True, parse_special)
        return list(ids[:n])


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def native(kind: Kind, tmp_path: Path) -> Iterator[Native]:
    native = Native(tiny_model(tmp_path / "tiny.gguf", kind))
    yield native
    native.close()


def prompt() -> list[int]:
    return [int(token) for token in np.random.default_rng(1).integers(97, 123, N_PROMPT)]


def test_memory_is_of_its_kind(native: Native, kind: Kind) -> None:
    assert llama_cpp.llama_model_n_swa(native.model) == (32 if kind in SLIDING else 0)
    assert llama_cpp.llama_model_is_recurrent(native.model) == (kind == "mamba")
    assert llama_cpp.llama_model_is_hybrid(native.model) == (kind == "plamo2")
    memory = llama_cpp.llama_get_memory(native.context)
    native.logits(prompt())
    assert llama_cpp.llama_memory_seq_rm(memory, 0, N_PROMPT - 1, -1) == (kind not in RECURRENT)


def test_every_token_of_the_context_counts(native: Native) -> None:
    tokens = prompt()
    logits = native.logits(tokens)
    assert np.isfinite(logits).all()
    for position in (0, N_PROMPT // 2, N_PROMPT - 2):
        changed = [*tokens]
        changed[position] = 97 if tokens[position] != 97 else 98
        native.clear()
        difference = np.abs(native.logits(changed) - logits).max() / logits.std()
        assert difference > 0.02, f"token {position} hardly matters"


def test_greedy_answer_is_varied_and_needs_max_tokens_to_end(native: Native) -> None:
    n_plain = native.n_vocab - len(CONTROL_TOKENS)
    token, answer = int(native.logits(prompt()).argmax()), []
    for _ in range(32):
        answer.append(token)
        token = int(native.logits([token]).argmax())
    assert len(set(answer)) > 8
    assert max(answer) < n_plain


def test_same_seed_same_bytes(kind: Kind, tmp_path: Path) -> None:
    first = tiny_model(tmp_path / "first.gguf", kind).read_bytes()
    assert tiny_model(tmp_path / "second.gguf", kind).read_bytes() == first
    assert tiny_model(tmp_path / "third.gguf", kind, seed=1).read_bytes() != first
    assert len(first) < 5_000_000


def test_vocabulary_reads_any_text_and_its_control_tokens(tmp_path: Path) -> None:
    native = Native(tiny_model(tmp_path / "tiny.gguf", n_ctx_train=128))
    tokens = vocabulary()
    try:
        assert llama_cpp.llama_model_n_ctx_train(native.model) == 128
        assert native.n_vocab == len(tokens)
        assert native.tokenize(" the") == [tokens.index("Ġthe")]
        assert len(native.tokenize("日本 🙂\n\x00")) == len("日本 🙂\n\x00".encode())
        end = tokens.index("<|im_end|>")
        assert native.tokenize("<|im_end|>", parse_special=True) == [end]
        assert end not in native.tokenize("<|im_end|>")
        assert llama_cpp.llama_vocab_is_eog(native.vocab, end)
    finally:
        native.close()


@pytest.mark.parametrize("template", ["{{ messages[0].content }}", None])
def test_chat_template(tmp_path: Path, template: str | None) -> None:
    native = Native(tiny_model(tmp_path / "tiny.gguf", chat_template=template))
    found = llama_cpp.llama_model_chat_template(native.model, None)
    native.close()
    assert (found.decode() if found else None) == template
