"""Float graphs compute what transformers and PLaMo's own models do, at once, in pieces and token by token."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf import GGUFValueType

from quantize.base import Meta
from quantize.families import family_of
from quantize.pipeline import Model, open_model
from tests.quantize.onnx.running import Runner, apart, at_all_positions, difference, written
from tests.quantize.oracles import N_LONG, N_SHORT, logits, text
from tests.quantize.plamo_memory import PLAMO, PLAMO3, checkpoint
from tests.quantize.reference_plamo import logits as plamo_logits
from tests.quantize.tiny_checkpoints import case_checkpoint

CASES = (
    *("llama", "llama-linear", "llama-llama3", "llama-yarn", "llama-biased", "llama-f32-tied", "llama-transformers5"),
    *("mistral", "smollm2", "tinyllama", "qwen2", "qwen2.5", "qwen3", "qwen3-vl", "qwen2.5-vl", "idefics3"),
    *("phi2", "phi3", "phi3.5", "phi4-mini", "gemma2", "gemma3", "gemma3-vision", "gemma3-transformers5"),
)
LONG = ("phi3.5", "phi4-mini")
ROUNDING = 1e-5  # of float32, in another order of sums


@pytest.mark.parametrize("case", CASES)
def test_logits_are_those_of_transformers(case: str, tmp_path: Path) -> None:
    tokens, expected = text(N_SHORT), logits(case)
    runner = Runner(written(open_model(case_checkpoint(tmp_path, case)), tmp_path / "out", bits=32), N_SHORT + 8)
    assert difference(runner.rows(tokens, len(expected)), expected) < 1e-3
    whole = runner.in_pieces(tokens, N_SHORT)
    for size in (1, 7, 16, 47):
        assert difference(runner.in_pieces(tokens, size), whole) < ROUNDING, size
    assert difference(apart(runner.session, tokens, 20), whole) < ROUNDING


@pytest.mark.parametrize("case", LONG)
def test_long_factors_count_for_all_of_a_text_that_may_become_long(case: str, tmp_path: Path) -> None:
    """The original length is 256 tokens. Pieces that end before it have long factors too."""
    tokens, expected = text(N_LONG), logits(f"{case}-long")
    folder = written(open_model(case_checkpoint(tmp_path, case)), tmp_path / "out", bits=32)
    runner = Runner(folder, N_LONG)
    assert difference(runner.rows(tokens, len(expected)), expected) < 1e-3
    whole = runner.in_pieces(tokens, N_LONG)
    for size in (64, 256, 299):
        assert difference(runner.in_pieces(tokens, size), whole) < ROUNDING, size
    short = tokens[:N_SHORT]
    of_short = Runner(folder, 256).in_pieces(short, N_SHORT)
    assert difference(of_short, logits(case)[-1]) < 1e-3
    assert difference(runner.in_pieces(short, N_SHORT), of_short) > 1e-2


@pytest.mark.parametrize(
    ("config", "changes"),
    [
        (PLAMO, {}),
        (PLAMO, {"n_shared_head": 2}),
        (PLAMO3, {"head_dim": 32}),
        (PLAMO3, {"head_dim": 32, "window_size": None, "rope_local_theta": None, "tie_word_embeddings": False}),
        (PLAMO3, {"head_dim": 16, "sliding_window_pattern": 4, "window_size": 5}),
        (PLAMO3, {"head_dim": 32, "rope_scaling_factor": 4, "initial_context_length": 128, "rope_theta": 500}),
    ],
)
def test_logits_are_those_of_plamo(config: dict[str, Any], changes: dict[str, Any], tmp_path: Path) -> None:
    memory = checkpoint(config, "bf16", **changes)
    family = family_of(memory.config)
    architecture = Meta("general.architecture", family.arch, GGUFValueType.STRING)
    model = Model([architecture, *family.metadata(memory)], family.tensors(memory))
    tokens = [int(token) for token in np.random.default_rng(0).integers(5, 300, 40)]  # five windows of PLaMo 3
    weights = {name: tensor.read().astype(np.float64) for name, tensor in memory.tensors.items()}
    expected = plamo_logits(memory.config, weights, tokens)[-3:]
    runner = Runner(written(model, tmp_path / "out", bits=32), 40)
    assert difference(runner.rows(tokens, 3), expected) < 1e-3
    assert difference(runner.in_pieces(tokens, 9), runner.in_pieces(tokens, 40)) < ROUNDING


@pytest.mark.parametrize("case", ["llama", "phi2", "gemma3"])
def test_without_the_nodes_of_the_last_position_there_are_logits_for_all(case: str, tmp_path: Path) -> None:
    tokens, expected = text(N_SHORT), logits(case)
    folder = written(open_model(case_checkpoint(tmp_path, case)), tmp_path / "out", bits=32)
    found = Runner(folder, N_SHORT, at_all_positions(folder)).logits(tokens)
    assert len(found) == N_SHORT
    assert difference(found[-len(expected) :], expected) < 1e-3
