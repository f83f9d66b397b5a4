"""ONNX folders run by ONNX Runtime: the answers are the oracle's and llama.cpp's, however they are evaluated."""

from __future__ import annotations

import ctypes
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto

from edgeai.backends.base import Event, Finished, GenerateRequest, Piece, PrefillProgress
from edgeai.backends.llama import LlamaBackend
from edgeai.backends.onnx import OnnxBackend
from edgeai.errors import GenerationError, OptionError
from edgeai.onnx_folder import read_folder
from edgeai.options import LoadOptions, SamplingOptions
from edgeai.structured import OutputFormat
from tests.tiny import tiny_model
from tests.tiny_onnx import EOS, N_VOCAB, oracle_greedy, oracle_logits, tiny_onnx

N_BATCH = 64
GREEDY = SamplingOptions(temperature=0, max_tokens=12)
PROMPT = [7 + (i * 37) % 200 for i in range(150)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_onnx(tmp_path_factory.mktemp("tiny") / "tiny")


def opened(folder: Path, n_ctx: int = 512, n_batch: int = N_BATCH, **more: Any) -> OnnxBackend:
    options = LoadOptions(n_batch=n_batch, provider="cpu")
    return OnnxBackend(read_folder(folder), options, n_ctx=n_ctx, max_threads=1, **more)


@pytest.fixture
def backend(folder: Path) -> Iterator[OnnxBackend]:
    backend = opened(folder)
    yield backend
    backend.close()


def answer(backend: OnnxBackend | LlamaBackend, tokens: Sequence[int], **sampling: Any) -> Finished:
    options = SamplingOptions(**{"temperature": 0, "max_tokens": 12, **sampling})
    *_, last = backend.generate(GenerateRequest(tokens, options))
    assert isinstance(last, Finished)
    return last


# --- what it answers


def test_greedy_answers_are_the_oracles(backend: OnnxBackend) -> None:
    assert list(answer(backend, PROMPT).tokens) == oracle_greedy(PROMPT, 12)


@pytest.mark.parametrize("n_batch", [1, 7, 64, 150, 512])
def test_logits_are_the_oracles_in_pieces_of_any_size(folder: Path, n_batch: int) -> None:
    backend = opened(folder, n_batch=n_batch)
    answer(backend, PROMPT, max_tokens=1)
    expected = oracle_logits(PROMPT)
    assert np.abs(backend._session.logits - expected).max() < 1e-3 * np.abs(expected).max()
    backend.close()


@pytest.mark.parametrize("kind", [TensorProto.FLOAT, TensorProto.FLOAT16])
@pytest.mark.parametrize("last_only", [True, False])
def test_graphs_with_all_logits_and_with_half_floats_answer_too(tmp_path: Path, kind: int, last_only: bool) -> None:
    backend = opened(tiny_onnx(tmp_path / "tiny", last_only=last_only, kind=kind, ours=False))
    n_tokens = 12 if kind == TensorProto.FLOAT else 3
    assert list(answer(backend, PROMPT, max_tokens=n_tokens).tokens) == oracle_greedy(PROMPT, n_tokens)
    backend.close()


def test_the_same_weights_answer_as_in_llama_cpp(backend: OnnxBackend, tmp_path: Path) -> None:
    options = LoadOptions(n_batch=N_BATCH, type_k="f32", type_v="f32")
    llama = LlamaBackend(tiny_model(tmp_path / "tiny.gguf"), options, n_ctx=512, max_threads=1)
    text = "Hello, world! 日本語"
    for special in (False, True):
        tokens = llama.tokenize(text + "<|im_end|>", parse_special=special)
        assert backend.tokenize(text + "<|im_end|>", parse_special=special) == tokens
    assert backend.detokenize(tokens) == llama.detokenize(tokens)
    assert answer(backend, tokens).tokens == answer(llama, tokens).tokens
    for name in ("bos_token", "eos_token", "add_bos", "special_tokens", "chat_template", "n_vocab", "architecture"):
        assert getattr(backend.info, name) == getattr(llama.info, name), name
    assert backend.info.provider == "cpu"
    llama.close()


def test_sampling_has_the_distribution_of_llama_cpp(backend: OnnxBackend, tmp_path: Path) -> None:
    """The same settings and seeds draw the same tokens, wherever logits come from."""
    options = LoadOptions(n_batch=N_BATCH, type_k="f32", type_v="f32")
    llama = LlamaBackend(tiny_model(tmp_path / "tiny.gguf"), options, n_ctx=512, max_threads=1)
    for settings in (
        {"temperature": 0.8},
        {"temperature": 1.5, "top_k": 0, "top_p": 0.9, "min_p": 0},
        {"temperature": 1.0, "repeat_penalty": 1.3, "logit_bias": {65: 4.0}},
    ):
        drawn = [
            [answer(each, PROMPT[:20], seed=seed, max_tokens=1, **settings).tokens for seed in range(120)]
            for each in (backend, llama)
        ]
        same = sum(ours == theirs for ours, theirs in zip(*drawn, strict=True))
        assert same >= 118, settings  # a logit's last bits may tip a draw
    llama.close()


def test_draws_have_the_probabilities_of_the_logits(backend: OnnxBackend) -> None:
    logits = oracle_logits(PROMPT[:20])
    n_draws, top_k = 600, 4
    drawn = Counter(
        answer(backend, PROMPT[:20], temperature=1.0, top_k=top_k, top_p=1.0, min_p=0, seed=seed, max_tokens=1).tokens[
            0
        ]
        for seed in range(n_draws)
    )
    best = np.argsort(-logits)[:top_k]
    shares = np.exp(logits[best] - logits[best[0]])
    shares /= shares.sum()
    assert set(drawn) <= {int(token) for token in best}
    for token, share in zip(best, shares, strict=True):
        assert abs(drawn[int(token)] - n_draws * share) < 4.5 * (n_draws * share * (1 - share)) ** 0.5 + 1


def test_text_streams_in_whole_characters_until_a_stop(backend: OnnxBackend) -> None:
    events = list(backend.generate(GenerateRequest(PROMPT, SamplingOptions(temperature=0, max_tokens=40))))
    pieces = [event for event in events if isinstance(event, Piece)]
    text = "".join(piece.text for piece in pieces)
    tokens = list(answer(backend, PROMPT, max_tokens=40).tokens)
    assert [event.n_done for event in events if isinstance(event, PrefillProgress)] == [0, 64, 128, 150]
    assert text == backend.detokenize(tokens).rstrip("\ufffd") or len(text) > 5
    stop = text[8:11]
    events = list(
        backend.generate(GenerateRequest(PROMPT, SamplingOptions(temperature=0, max_tokens=40, stop=(stop,))))
    )
    assert "".join(event.text for event in events if isinstance(event, Piece)) == text[: text.index(stop)]
    assert isinstance(events[-1], Finished)
    assert events[-1].reason == "stop"


def test_an_end_token_ends_an_answer(backend: OnnxBackend) -> None:
    last = answer(backend, PROMPT, logit_bias={EOS: 1e4})
    assert (last.reason, last.tokens) == ("stop", ())


def test_a_grammar_is_followed(backend: OnnxBackend) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer", "maximum": 99}}, "required": ["n"]}
    request = GenerateRequest(PROMPT, SamplingOptions(temperature=0, max_tokens=60), OutputFormat(schema).grammar)
    text = "".join(event.text for event in backend.generate(request) if isinstance(event, Piece))
    value = OutputFormat(schema).parse(text)
    assert isinstance(value["n"], int)


# --- what stands evaluated


def test_only_what_is_new_is_evaluated(backend: OnnxBackend) -> None:
    first = answer(backend, PROMPT)
    longer = [*PROMPT, *first.tokens, 11, 12, 13]
    second = answer(backend, longer)
    assert second.usage.cached_tokens == len(PROMPT) + 11
    assert list(second.tokens) == oracle_greedy(longer, 12)
    edited = [*PROMPT[:40], *range(9, 30)]
    third = answer(backend, edited)
    assert third.usage.cached_tokens == 40
    assert list(third.tokens) == oracle_greedy(edited, 12)
    assert answer(backend, edited).usage.cached_tokens == len(edited) - 1


def test_a_full_window_ends_an_answer(folder: Path) -> None:
    backend = opened(folder, n_ctx=32)
    last = answer(backend, PROMPT[:20], max_tokens=100)
    assert (last.reason, len(last.tokens)) == ("context_full", 13)
    assert list(last.tokens) == oracle_greedy(PROMPT[:20], 13)
    for n_tokens in (0, 32):
        with pytest.raises(GenerationError, match="expected 1 to 31"):
            list(backend.generate(GenerateRequest(PROMPT[:n_tokens], GREEDY)))
    backend.close()


def test_cancelling_between_pieces_leaves_the_cache_true(backend: OnnxBackend) -> None:
    event: Event | None = None
    for event in backend.generate(GenerateRequest(PROMPT, SamplingOptions(temperature=0))):
        if isinstance(event, PrefillProgress) and event.n_done >= N_BATCH:
            backend.cancel()
    assert isinstance(event, Finished)
    assert (event.reason, backend.n_evaluated) == ("cancelled", N_BATCH)
    assert list(answer(backend, PROMPT).tokens) == oracle_greedy(PROMPT, 12)


def test_cancelling_within_a_piece_ends_it(tmp_path: Path) -> None:
    """The piece would take seconds; it is ended before its next operator, and what was there still counts."""
    backend = opened(tiny_onnx(tmp_path / "tiny", n_positions=8192, n_ctx_train=8192), n_ctx=8192, n_batch=8000)
    tokens = [7 + (i * 37) % 200 for i in range(8000)]
    answer(backend, tokens[:50])
    timer = threading.Timer(0.05, backend.cancel)
    timer.start()
    started = time.perf_counter()
    last = answer(backend, tokens)
    ended_s = time.perf_counter() - started
    timer.join()
    assert last.reason == "cancelled"
    assert backend.n_evaluated == 50
    assert list(answer(backend, tokens[:50]).tokens) == oracle_greedy(tokens[:50], 12)
    assert ended_s < 60


def test_states_come_back_token_for_token(folder: Path, tmp_path: Path) -> None:
    first = opened(folder, states_dir=tmp_path)
    fresh = answer(first, [*PROMPT, 5, 6])
    first._cache.reuse([*PROMPT, 9])
    assert first.n_evaluated == len(PROMPT)
    assert first.save_state("a.state") == len(PROMPT)
    first.close()
    second = opened(folder, states_dir=tmp_path)
    n = len(PROMPT)
    assert second._cache.load(tmp_path / "a.state", [*PROMPT, 5, 6], n, n) == n
    last = answer(second, [*PROMPT, 5, 6])
    assert (last.usage.cached_tokens, last.tokens) == (n, fresh.tokens)
    changed = [*PROMPT[:100], *range(9, 30)]
    assert second._cache.load(tmp_path / "a.state", changed, n, 100) == N_BATCH, "whole pieces only"
    assert list(answer(second, changed).tokens) == oracle_greedy(changed, 12)
    second.close()


@pytest.mark.parametrize("damage", ["magic", "cut", "longer", "tokens", "gone"])
def test_a_state_that_is_another_one_is_not_used(folder: Path, tmp_path: Path, damage: str) -> None:
    backend, n, path = opened(folder, states_dir=tmp_path), len(PROMPT), tmp_path / "a.state"
    answer(backend, [*PROMPT, 5], max_tokens=1)
    backend._cache.reuse([*PROMPT, 9])
    assert backend.save_state("a.state") == n
    data = path.read_bytes()
    prompt = list(PROMPT)
    if damage == "magic":
        path.write_bytes(b"X" + data[1:])
    elif damage == "cut":
        path.write_bytes(data[:-1])
    elif damage == "longer":
        path.write_bytes(data + b"\0")
    elif damage == "gone":
        path.unlink()
    else:
        prompt[3] += 1
    assert backend._cache.load(path, [*prompt, 5], n, n) == 0
    assert backend.n_evaluated == 0
    assert list(answer(backend, [*PROMPT, 5]).tokens) == oracle_greedy([*PROMPT, 5], 12)
    backend.close()


def test_a_provider_that_is_not_there_names_those_that_are(folder: Path) -> None:
    with pytest.raises(OptionError, match=r"provider = 'qnn': the installed onnxruntime [\d.]+ has .*cpu"):
        OnnxBackend(read_folder(folder), LoadOptions(provider="qnn"), n_ctx=64, max_threads=1)


def test_candidates_are_laid_out_as_llama_cpp_lays_them_out() -> None:
    from edgeai.backends.llama_native import bindings

    assert ctypes.sizeof(bindings().llama_token_data) == 12
    assert N_VOCAB < 2**16
