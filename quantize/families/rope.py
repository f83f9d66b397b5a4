"""Rotary position embedding: what config.json says about it, in all its layouts, as GGUF keys and tensors."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from gguf import GGUFValueType

from edgeai.errors import CheckpointError
from edgeai.safe_text import one_line
from quantize.base import F32, Meta
from quantize.families.parts import f32, number, u32, whole

_LONG = ("llama3", "yarn", "longrope")  # those that know the length before the context was stretched
_ONE = np.float32(1.0)
_KINDS = ("full_attention", "sliding_attention")
_YARN_OPTIONS = {
    "yarn_ext_factor": ("extrapolation_factor",),
    "yarn_attn_factor": ("attention_factor", "attn_factor"),
    "yarn_beta_fast": ("beta_fast",),
    "yarn_beta_slow": ("beta_slow",),
}


def rope_parameters(config: Mapping[str, Any], theta: float = 10_000.0) -> tuple[dict[str, Any], dict[str, Any]]:
    """The rotary embedding of the full layers, and that of the layers with a window (empty where it is the same).

    Saved by transformers 4 as `rope_theta` and `rope_scaling`, by transformers 5 as one `rope_parameters`, for some
    models one for each kind of layer.

    Args:
        config: config.json, complete.
        theta: the base where none is saved.
    Returns:
        The first has `rope_type`, `rope_theta`, and `original_max_position_embeddings` where the type needs it.
    Raises:
        CheckpointError: they are no JSON objects.
    """
    saved = _mapping("rope_parameters", config.get("rope_scaling") or config.get("rope_parameters"))
    if any(kind in saved for kind in _KINDS):
        full, local = (_mapping(f"rope_parameters.{kind}", saved.get(kind)) for kind in _KINDS)
    else:
        full, local = saved, {}
    full.setdefault("rope_type", full.get("type", "default"))
    full.setdefault("rope_theta", config.get("rope_theta", theta))
    if full["rope_type"] in _LONG:
        full.setdefault("original_max_position_embeddings", config.get("max_position_embeddings"))
    return full, local


def _mapping(name: str, value: Any) -> dict[str, Any]:
    if value is not None and not isinstance(value, Mapping):
        raise CheckpointError(
            f"config.json: {name} = {one_line(str(value))[:40]}, expected a JSON object: "
            "correct the file or fetch the checkpoint again"
        )
    return dict(value or {})


def require_kind(rope: Mapping[str, Any], kinds: Collection[str]) -> str:
    """The type of scaling.

    Raises:
        CheckpointError: llama.cpp does not compute it for this family.
    """
    kind = rope["rope_type"]
    if not isinstance(kind, str) or kind not in kinds:
        raise CheckpointError(
            f"config.json: rope_type = {one_line(str(kind))[:40]}, expected {' or '.join(sorted(kinds))}: "
            "choose another checkpoint of this family"
        )
    return kind


def require_plain(rope: Mapping[str, Any]) -> None:
    """Refuse scaling for a family whose GGUF has no key for it: the model would silently compute something else.

    Raises:
        CheckpointError: there is scaling, or the base is not 10,000.
    """
    require_kind(rope, ("default",))
    if number(rope, "rope_theta") != 10_000.0:
        raise CheckpointError(
            f"config.json: rope_theta = {rope['rope_theta']}, expected 10000, the only one that llama.cpp "
            "computes for this family: choose another checkpoint"
        )


def rope_metadata(arch: str, rope: Mapping[str, Any], local: Mapping[str, Any], kinds: Collection[str]) -> list[Meta]:
    """The keys of scaling and base, as the official converter writes them for any decoder.

    Args:
        arch: llama.cpp's name.
        rope: of the full layers.
        local: of the layers with a window.
        kinds: types of scaling that this family may have.
    Raises:
        CheckpointError: the type is another, or a value is missing or makes no sense.
    """
    kind = require_kind(rope, kinds)
    keys: list[Meta] = []
    if kind in ("linear", "yarn"):
        keys.append(Meta(f"{arch}.rope.scaling.type", kind, GGUFValueType.STRING))
        keys.append(f32(f"{arch}.rope.scaling.factor", number(rope, "factor")))
    if kind == "yarn":
        original = whole(rope, "original_max_position_embeddings")
        keys.append(u32(f"{arch}.rope.scaling.original_context_length", original))
        for key, names in _YARN_OPTIONS.items():
            name = next((name for name in names if rope.get(name) is not None), None)
            if name is not None:
                keys.append(f32(f"{arch}.rope.scaling.{key}", number(rope, name)))
    if "mrope_section" in rope:
        keys.append(_sections(arch, rope))
    keys.append(f32(f"{arch}.rope.freq_base", number(rope, "rope_theta")))
    if local.get("rope_theta") is not None:
        keys.append(f32(f"{arch}.rope.freq_base_swa", number(local, "rope_theta")))
    return keys


def _sections(arch: str, rope: Mapping[str, Any]) -> Meta:
    """How many pairs of a head turn by time, by row and by column, in a model that sees.

    Raises:
        CheckpointError: they are no numbers.
    """
    found = rope["mrope_section"]
    if not isinstance(found, list) or len(found) != 3:
        found = [found]
    sections = [*(whole({"mrope_section": item}, "mrope_section") for item in found), 0]  # the last is for nothing
    return Meta(f"{arch}.rope.dimension_sections", sections, GGUFValueType.ARRAY, GGUFValueType.INT32)


def llama3_factors(rope: Mapping[str, Any], n_rot: int) -> F32:
    """What each rotation's frequency is divided by. float32 [n_rot / 2]

    Low frequencies are stretched by `factor`, high ones stay, and between them lies a ramp. Every step is rounded to
    float32 as the official converter's are. Its power is off by one unit in the last place for some bases, depending
    on the processor; ours is rounded once from float64.

    Raises:
        CheckpointError: a value makes no sense.
    Source: transformers, modeling_rope_utils.py, the type "llama3".
    """
    factor = number(rope, "factor", 8.0)
    low, high = number(rope, "low_freq_factor", 1.0), number(rope, "high_freq_factor", 4.0)
    if high <= low:
        raise CheckpointError(
            f"config.json: high_freq_factor = {high}, expected more than low_freq_factor = {low}: "
            "correct the file or fetch the checkpoint again"
        )
    n_ctx = number(rope, "original_max_position_embeddings", 8192)
    with np.errstate(all="ignore"):
        factors = _llama3_ramp(_wavelengths(number(rope, "rope_theta", 10_000.0), n_rot), factor, low, high, n_ctx)
    if not (np.isfinite(factors) & (factors > 0)).all():
        raise CheckpointError(
            "config.json: rope_scaling: its numbers give frequencies of zero or infinity: "
            "correct the file or fetch the checkpoint again"
        )
    return factors


def _wavelengths(base: float, n_rot: int) -> F32:
    exponents = (np.arange(0, n_rot, 2, dtype=np.float32) / np.float32(n_rot)).astype(np.float64)
    freqs = _ONE / np.power(np.float64(np.float32(base)), exponents).astype(np.float32)
    wavelengths: F32 = _ONE / freqs * np.float32(2 * math.pi)
    return wavelengths


def _llama3_ramp(wavelengths: F32, factor: float, low: float, high: float, n_ctx: float) -> F32:
    smooth = (_ONE / wavelengths * np.float32(n_ctx) - np.float32(low)) / np.float32(high - low)
    ramp = _ONE / ((_ONE - smooth) / np.float32(factor) + smooth)
    stretched = np.where(wavelengths > np.float32(n_ctx / low), np.float32(factor), ramp)
    factors: F32 = np.where(wavelengths < np.float32(n_ctx / high), _ONE, stretched).astype(np.float32)
    return factors
