"""Perplexity and divergence against what llama-perplexity gives for the same files; see make_perplexity_oracle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edgeai.backends.llama_native import bindings
from edgeai.errors import ModelError, QuantizeError
from quantize.perplexity import Divergence, divergence, perplexity
from quantize.texts import evaluation_text
from tests.quantize.make_perplexity_oracle import ORACLE
from tests.quantize.perplexity_models import CASES, quantized, tiny_reference
from tests.tiny import tiny_model

TINY = [name for name, case in CASES.items() if "kind" in case]
REAL = [name for name, case in CASES.items() if "kind" not in case]


def recorded(name: str) -> tuple[dict[str, Any], float]:
    """What the tool gave, and how far we may be from it: other processors have other kernels and round differently."""
    oracle = json.loads(ORACLE.read_text(encoding="utf-8"))
    same_kernels = oracle["system"] == bindings().llama_print_system_info().decode()
    return oracle["cases"][name], 1e-3 if same_kernels else 0.05


def check(measured: Divergence, theirs: dict[str, Any], tolerance: float) -> None:
    for name in ("perplexity", "reference_perplexity", "kld_mean"):
        estimate = getattr(measured, name)
        assert [estimate.value, estimate.error] == pytest.approx(theirs[name], rel=tolerance, abs=1e-6), name
    for name in ("kld_median", "kld_99", "kld_max"):
        # single tokens of a tiny model: the kernels of another processor were seen to round 4e-5 otherwise
        assert [getattr(measured, name)] == pytest.approx(theirs[name], rel=tolerance, abs=5e-5), name
    same_top = [100 * measured.same_top.value, 100 * measured.same_top.error]
    assert same_top == pytest.approx(theirs["same_top"], rel=tolerance, abs=1e-3)


@pytest.mark.parametrize("name", TINY)
def test_a_tiny_model_scores_as_llama_perplexity_says(name: str, tmp_path: Path) -> None:
    case, (theirs, tolerance) = CASES[name], recorded(name)
    reference = tiny_reference(tmp_path / "reference.gguf", case["kind"], add_bos=case.get("add_bos", False))
    candidate = quantized(reference, tmp_path / "candidate.gguf", case["ftype"])
    size = {"n_ctx": case["n_ctx"], "n_chunks": case["n_chunks"]}
    alone = perplexity(reference, evaluation_text(), **size).perplexity
    assert [alone.value, alone.error] == pytest.approx(theirs["plain_perplexity"], rel=tolerance)
    measured = divergence(candidate, reference, evaluation_text(), **size)
    check(measured, theirs, tolerance)
    assert measured.n_windows == case["n_chunks"]
    assert measured.n_tokens == case["n_chunks"] * (case["n_ctx"] // 2 - 1)


@pytest.mark.weights
@pytest.mark.parametrize("name", REAL)
def test_the_real_model_scores_as_llama_perplexity_says(name: str, real_model: Path, tmp_path: Path) -> None:
    case, (theirs, tolerance) = CASES[name], recorded(name)
    candidate = quantized(real_model, tmp_path / "candidate.gguf", case["ftype"])
    check(
        divergence(candidate, real_model, evaluation_text(), n_ctx=case["n_ctx"], n_chunks=case["n_chunks"]),
        theirs,
        tolerance,
    )


def test_progress_is_told_after_every_window(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    perplexity(
        tiny_model(tmp_path / "a.gguf"),
        evaluation_text(),
        n_ctx=64,
        n_chunks=3,
        on_progress=lambda *done: told.append(done),
    )
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_a_model_does_not_diverge_from_itself(tmp_path: Path) -> None:
    path = tiny_model(tmp_path / "a.gguf")
    measured = divergence(path, path, evaluation_text(), n_ctx=64, n_chunks=3)
    assert abs(measured.kld_max) < 1e-4  # the reference's 16-bit code rounds
    assert measured.same_top.value == 1


def test_a_short_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(QuantizeError, match=r"the text has \d+ tokens: expected at least two windows of 64"):
        perplexity(tiny_model(tmp_path / "a.gguf"), "a few words", n_ctx=64)


@pytest.mark.parametrize("n_ctx", [0, -5, 8])
def test_a_window_too_small_is_refused(n_ctx: int, tmp_path: Path) -> None:
    with pytest.raises(QuantizeError, match=f"n_ctx = {n_ctx}: a window needs at least 16"):
        perplexity(tiny_model(tmp_path / "a.gguf"), evaluation_text(), n_ctx=n_ctx)


def test_other_vocabularies_are_not_compared(tmp_path: Path) -> None:
    plain = tiny_reference(tmp_path / "a.gguf", "llama")
    with_bos = tiny_reference(tmp_path / "b.gguf", "llama", add_bos=True)
    with pytest.raises(QuantizeError, match="as different tokens"):
        divergence(with_bos, plain, evaluation_text(), n_ctx=64)


def test_weights_that_are_no_numbers_are_named(tmp_path: Path) -> None:
    sound = tiny_model(tmp_path / "sound.gguf")
    data = bytearray(sound.read_bytes())
    data[-400_000:] = b"\xff" * 400_000  # the last tensors' weights: NaN as float32
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(data)
    with pytest.raises(QuantizeError, match=r"broken\.gguf: the model's logits are not numbers"):
        divergence(broken, sound, evaluation_text(), n_ctx=64, n_chunks=2)


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such file"):
        perplexity(tmp_path / "none.gguf", evaluation_text())
