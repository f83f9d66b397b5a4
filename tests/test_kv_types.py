"""The benchmark of KV-cache types: its scores are those of llama.cpp's logits, and its table has a line for each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.kv_types import CACHES, FIRST, measure, table
from edgeai.backends.llama_model import LlamaModel
from edgeai.backends.llama_native import bindings
from edgeai.options import LoadOptions
from quantize.scores import Scores
from quantize.texts import evaluation_text
from tests.quantize.official import llama_logits
from tests.tiny import tiny_model

N_CTX = 384


def test_scores_are_those_of_the_logits(tmp_path: Path) -> None:
    path = tiny_model(tmp_path / "tiny.gguf")
    text = evaluation_text()[:3000]
    figures = measure(path, text, n_ctx=N_CTX, n_windows=1, n_threads=1)
    found = {name: Scores.joined(cache.parts) for name, cache in figures.items()}

    model = LlamaModel(bindings(), path, LoadOptions(), None)
    tokens = model.tokenize(text.encode(), add_special=True, parse_special=False)[:N_CTX]
    model.close()
    logits = llama_logits(path, tokens)[FIRST:-1].astype(np.float64)  # [n_scored, n_vocab]
    log_sum = np.log(np.exp(logits).sum(axis=1))
    expected = log_sum - logits[np.arange(len(logits)), tokens[FIRST + 1 :]]
    assert found["f16"].nll == pytest.approx(expected, abs=0.15)  # the oracle's cache is F32
    assert found["f16"].nll.mean() == pytest.approx(expected.mean(), abs=0.01)

    kld = {name: scores.kld.mean() for name, scores in found.items()}
    assert abs(kld["f16"]) < 1e-5  # the reference is rounded to 16 bits, as llama-perplexity does
    assert kld["f16"] < kld["q8_0 / q8_0"] < kld["q4_0 / q4_0"]
    lines = table(path, figures, N_CTX)
    assert [line.split("  ")[0] for line in lines[1:]] == list(CACHES)
