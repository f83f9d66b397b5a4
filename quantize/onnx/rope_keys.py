"""What a GGUF's keys say of how positions turn."""

from __future__ import annotations

import math

from edgeai.errors import CheckpointError, UnsupportedArchitectureError
from edgeai.safe_text import one_line
from quantize.onnx.rope import Rope, plain, yarn
from quantize.onnx.source import Source

_DEFAULT_BASE = 10_000.0
_BASES_OF_WINDOWS = {"gemma3": 10_000.0}  # llama.cpp's defaults, where no key tells
_MOST_FACTOR = 1e6


def rope_of(source: Source, n_rot: int, head_dim: int, n_ctx: int) -> Rope:
    """The turns of layers that see all.

    Raises:
        CheckpointError: a key makes no sense.
        UnsupportedArchitectureError: a kind of stretching that is not known.
    """
    base, kind = _base(source, "rope.freq_base", _DEFAULT_BASE), source.value("rope.scaling.type", "none")
    long = source.factors("rope_factors_long.weight", n_rot // 2)
    short = source.factors("rope_factors_short.weight", n_rot // 2)
    size = source.number("rope.scaling.attn_factor", 1.0)
    if (long is None) != (short is None):
        raise CheckpointError(
            "only one of rope_factors_long and rope_factors_short is there: fetch the checkpoint again"
        )
    if long is not None and short is not None:
        n_short = min(source.whole("rope.scaling.original_context_length"), n_ctx)
        return Rope(plain(base, n_rot, long), head_dim // 2, n_ctx, size, plain(base, n_rot, short), n_short)
    if kind == "yarn":
        return _yarn(source, base, n_rot, head_dim, n_ctx)
    if kind not in ("none", "linear", "longrope"):  # of the last, models with a short context have no factors
        raise UnsupportedArchitectureError(
            f"rope.scaling.type = {one_line(str(kind))[:40]}, expected none, linear, yarn or longrope: "
            "make a GGUF of it with --format gguf"
        )
    factor = _factor(source) if kind == "linear" else 1.0
    factors = source.factors("rope_freqs.weight", n_rot // 2)
    return Rope(plain(base, n_rot, factor if factors is None else factors * factor), head_dim // 2, n_ctx, size)


def window_rope_of(source: Source, n_rot: int, head_dim: int, n_ctx: int) -> Rope | None:
    """The turns of layers with a window, which are never stretched; None where the architecture has none of its own."""
    default = _BASES_OF_WINDOWS.get(source.arch, 0.0)
    if not default and source.value("rope.freq_base_swa") is None:
        return None
    return Rope(plain(_base(source, "rope.freq_base_swa", default), n_rot), head_dim // 2, n_ctx)


def _yarn(source: Source, base: float, n_rot: int, head_dim: int, n_ctx: int) -> Rope:
    factor = _factor(source)
    frequencies = yarn(
        base,
        n_rot,
        factor,
        source.whole("rope.scaling.original_context_length"),
        source.number("rope.scaling.yarn_beta_fast", 32.0),
        source.number("rope.scaling.yarn_beta_slow", 1.0),
        min(source.number("rope.scaling.yarn_ext_factor", 1.0), 1.0),
    )
    size = source.number("rope.scaling.yarn_attn_factor", 1 + 0.1 * math.log(factor) if factor > 1 else 1.0)
    return Rope(frequencies, head_dim // 2, n_ctx, size)


def _base(source: Source, key: str, default: float) -> float:
    base = source.number(key, default)
    if base <= 1:
        raise CheckpointError(f"{source.arch}.{key} = {base:g}, expected more than 1: fetch the checkpoint again")
    return base


def _factor(source: Source) -> float:
    factor = source.number("rope.scaling.factor")
    if not 1 / _MOST_FACTOR <= factor <= _MOST_FACTOR:
        raise CheckpointError(
            f"{source.arch}.rope.scaling.factor = {factor:g}, expected a usual number: fetch the checkpoint again"
        )
    return factor
