"""What the three PLaMo generations compute, in plain numpy and double precision, from a checkpoint's own tensors.

Written after pfnet's models as vLLM (`plamo2.py`, `plamo3.py`) and mlx-lm (`plamo.py`, `plamo2.py`) run them, and
knowing nothing of GGUF: no tensor is renamed, shuffled or moved by an offset before it is used.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
Weights = Mapping[str, F64]
Config = Mapping[str, Any]


def logits(config: Config, weights: Weights, tokens: list[int]) -> F64:
    """Scores of the next token after each one: [n_tokens, n_vocab].

    Args:
        config: config.json.
        weights: the checkpoint's tensors by their names there.
        tokens: ids.
    """
    architecture = config["architectures"][0]
    layer = {"PlamoForCausalLM": _plamo, "Plamo2ForCausalLM": _plamo2, "Plamo3ForCausalLM": _plamo3}[architecture]
    x = weights["model.embed_tokens.weight"][tokens]  # [n_tokens, n_embd]
    for index in range(config["num_hidden_layers"]):
        prefix = f"model.layers.layers.{index}."
        names = {name.removeprefix(prefix): w for name, w in weights.items() if name.startswith(prefix)}
        x = layer(config, names, x, index)
    offset = 0.0 if architecture == "PlamoForCausalLM" else 1.0
    head = weights.get("lm_head.weight", weights["model.embed_tokens.weight"])
    return _linear(_rms(config, x) * (weights["model.norm.weight"] + offset), head)


def _plamo(config: Config, w: Weights, x: F64, _index: int) -> F64:
    """Attention and feed-forward side by side. Query head `i` reads key head `i % n_kv`: the keys are tiled."""
    n_head, n_shared = config["num_attention_heads"], config["n_shared_head"]
    normed = _rms(config, x) * w["norm.weight"]
    q = _rotated(
        _heads(_linear(normed, w["self_attn.q_proj.weight"]), n_head), _turns(len(x), x.shape[1] // n_head, 10000.0)
    )
    k = _heads(_linear(normed, w["self_attn.k_proj.weight"]), n_head // n_shared)
    k = _rotated(k, _turns(len(x), x.shape[1] // n_head, 10000.0))
    v = _heads(_linear(normed, w["self_attn.v_proj.weight"]), n_head // n_shared)
    mixed = _attended(q, np.tile(k, (n_shared, 1, 1)), np.tile(v, (n_shared, 1, 1)))
    hidden = _silu(_linear(normed, w["mlp.gate_proj.weight"])) * (_linear(normed, w["mlp.up_proj.weight"]))
    return x + _linear(mixed, w["self_attn.o_proj.weight"]) + _linear(hidden, w["mlp.down_proj.weight"])


def _plamo2(config: Config, w: Weights, x: F64, _index: int) -> F64:
    mixer = _mamba if "mixer.A_log" in w else _attention2
    return _around(config, w, x, mixer(config, w, _rms(config, x) * (1 + w["pre_mixer_norm.weight"])))


def _plamo3(config: Config, w: Weights, x: F64, index: int) -> F64:
    normed = _rms(config, x) * (1 + w["pre_mixer_norm.weight"])
    return _around(config, w, x, _attention3(config, w, normed, index))


def _around(config: Config, w: Weights, x: F64, mixed: F64) -> F64:
    x = x + _rms(config, mixed) * (1 / 5 + w["post_mixer_norm.weight"])
    normed = _rms(config, x) * (1 + w["pre_mlp_norm.weight"])
    gate, up = np.split(_linear(normed, w["mlp.gate_up_proj.weight"]), 2, axis=1)
    hidden = _linear(_silu(gate) * up, w["mlp.down_proj.weight"])
    return x + _rms(config, hidden) * (1 / 5**1.5 + w["post_mlp_norm.weight"])


def _mamba(config: Config, w: Weights, x: F64) -> F64:
    """A selective state space with one decay a head: state = exp(dt A) state + dt B x, and C state + D x comes out."""
    n_tokens, n_head, n_state = len(x), config["mamba_num_heads"], config["mamba_d_state"]
    pairs = (_linear(x, w["mixer.in_proj.weight"])).reshape(n_tokens, n_head, 2, -1)  # gate and input of each head
    z, x = pairs[:, :, 0], pairs[:, :, 1].reshape(n_tokens, -1)
    kernel = w["mixer.conv1d.weight"][:, 0]  # [n_inner, n_conv]
    padded = np.concatenate([np.zeros((kernel.shape[1] - 1, x.shape[1])), x])
    x = _silu(sum(padded[tap : tap + n_tokens] * kernel[:, tap] for tap in range(kernel.shape[1])))  # type: ignore[arg-type]
    b, c, dt = np.split(_linear(x, w["mixer.bcdt_proj.weight"]), [n_state, 2 * n_state], axis=1)
    b = _rms(config, b) * w["mixer.B_norm_weight"]
    c = _rms(config, c) * w["mixer.C_norm_weight"]
    dt = _linear(_rms(config, dt) * w["mixer.dt_norm_weight"], w["mixer.dt_proj.weight"]) + w["mixer.dt_bias"]
    dt = np.log1p(np.exp(dt))  # [n_tokens, n_head]
    x = x.reshape(n_tokens, n_head, -1)
    state = np.zeros((n_head, x.shape[2], n_state))
    out = np.empty_like(x)
    for t in range(n_tokens):
        state *= np.exp(-dt[t] * np.exp(w["mixer.A_log"]))[:, None, None]
        state += dt[t][:, None, None] * x[t][:, :, None] * b[t]
        out[t] = state @ c[t] + w["mixer.D"][:, None] * x[t]
    return _linear((out * _silu(z)).reshape(n_tokens, -1), w["mixer.out_proj.weight"])


def _attention2(config: Config, w: Weights, x: F64) -> F64:
    """Queries and keys are normed head by head, each head with weights of its own, then rotated."""
    n_head, n_kv = config["num_attention_heads"], config["num_key_value_heads"]
    heads = _heads(_linear(x, w["mixer.qkv_proj.weight"]), n_head + 2 * n_kv)
    q, k, v = np.split(heads, [n_head, n_head + n_kv])
    turns = _turns(len(x), config["hidden_size_per_head"], config.get("rope_theta", 10000.0))
    q = _rotated(_rms(config, q) * w["mixer.q_weight"][:, None], turns)
    k = _rotated(_rms(config, k) * w["mixer.k_weight"][:, None], turns)
    return _linear(_attended(q, _shared(k, n_head), _shared(v, n_head)), w["mixer.o_proj.weight"])


def _attention3(config: Config, w: Weights, x: F64, index: int) -> F64:
    """Every `sliding_window_pattern`-th layer sees all; the others their window, with a rotation base of their own."""
    n_head, n_kv = config["num_attention_heads"], config["num_key_value_heads"]
    heads = _heads(_linear(x, w["mixer.qkv_proj.weight"]), n_head + 2 * n_kv)
    q, k, v = np.split(heads, [n_head, n_head + n_kv])
    slides = config.get("window_size") is not None and (index + 1) % config["sliding_window_pattern"] != 0
    turns = _turns(len(x), config["head_dim"], config["rope_local_theta"] if slides else config["rope_theta"])
    factor = 1 if slides else config.get("rope_scaling_factor", 1)
    if factor != 1:
        turns = _stretched(turns, config["rope_theta"], factor, config["initial_context_length"])
    size = 1 + 0.1 * np.log(factor)
    q = _rotated(_rms(config, q) * (1 + w["mixer.q_norm.weight"]), turns) * size
    k = _rotated(_rms(config, k) * (1 + w["mixer.k_norm.weight"]), turns) * size
    window = config["window_size"] if slides else len(x)
    return _linear(_attended(q, _shared(k, n_head), _shared(v, n_head), window), w["mixer.o_proj.weight"])


def _linear(x: F64, matrix: F64) -> F64:
    mapped: F64 = x @ matrix.T
    return mapped


def _rms(config: Config, x: F64) -> F64:
    normed: F64 = x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + config["rms_norm_eps"])
    return normed


def _silu(x: F64) -> F64:
    activated: F64 = x / (1 + np.exp(-x))
    return activated


def _heads(x: F64, n_head: int) -> F64:
    """[n_tokens, n_head * width] to [n_head, n_tokens, width]."""
    heads: F64 = x.reshape(len(x), n_head, -1).transpose(1, 0, 2)
    return heads


def _shared(x: F64, n_head: int) -> F64:
    """Each key head for a run of neighbouring query heads."""
    return x.repeat(n_head // len(x), axis=0)


def _turns(n_tokens: int, width: int, theta: float) -> F64:
    """Angles by token and pair: [n_tokens, width / 2]."""
    turns: F64 = np.arange(n_tokens)[:, None] * theta ** (-np.arange(0, width, 2) / width)
    return turns


def _stretched(turns: F64, theta: float, factor: float, n_original: int) -> F64:
    """YaRN: pairs that turn less than once in the original context turn `factor` times slower, those that turn more
    than 32 times as before, and those between on a ramp. (PLaMo 3 has the ramp from 32.0 to 1.0 turns; llama.cpp has
    its ends at whole pairs, and so has this.)

    Source: Peng et al. 2023, section 3.2; llama.cpp, ggml_rope_yarn_corr_dims.
    """
    n_pairs = turns.shape[1]
    first, last = (n_pairs * np.log(n_original / (times * 2 * np.pi)) / np.log(theta) for times in (32, 1))
    first, last = max(np.floor(first), 0), min(np.ceil(last), 2 * n_pairs - 1)
    ramp = np.clip((np.arange(n_pairs) - first) / max(last - first, 1e-3), 0, 1)
    stretched: F64 = turns * (ramp / factor + 1 - ramp)
    return stretched


def _rotated(x: F64, turns: F64) -> F64:
    """Rotary embedding; a pair is one number of the first half and one of the second."""
    first, second = np.split(x, 2, axis=-1)
    cos, sin = np.cos(turns), np.sin(turns)
    return np.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)


def _attended(q: F64, k: F64, v: F64, window: int | None = None) -> F64:
    """Causal attention over the last `window` tokens, the present one with them: [n_tokens, n_head * width]."""
    n_tokens = q.shape[1]
    scores = q @ k.transpose(0, 2, 1) / np.sqrt(q.shape[-1])  # [n_head, n_tokens, n_tokens]
    ages = np.arange(n_tokens)[:, None] - np.arange(n_tokens)
    scores = np.where((ages >= 0) & (ages < (window or n_tokens)), scores, -np.inf)
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    mixed = weights / weights.sum(axis=-1, keepdims=True) @ v
    joined: F64 = mixed.transpose(1, 0, 2).reshape(n_tokens, -1)
    return joined
