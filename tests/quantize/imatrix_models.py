"""The models that importance is collected on, and the same sums computed with numpy alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from gguf import GGUFReader, GGUFWriter

from quantize.base import F32
from quantize.scores import F64
from tests import tiny

N_CTX, N_CHUNKS = 128, 3
N_EXPERTS, N_USED = 4, 2


def experts_model(path: Path) -> Path:
    """A tiny llama whose feed-forward is a mixture of experts."""
    plain = tiny.tiny_model(path.with_suffix(".plain"))
    rng = np.random.default_rng(5)
    writer = GGUFWriter(path, "llama")
    for field in GGUFReader(plain).fields.values():
        if field.name.startswith("GGUF.") or field.name == "general.architecture":
            continue
        item_type = field.types[-1] if len(field.types) > 1 else None
        writer.add_key_value(field.name, field.contents(), field.types[0], item_type)
    writer.add_expert_count(N_EXPERTS)
    writer.add_expert_used_count(N_USED)
    for name, values in weights(plain).items():
        if ".ffn_" not in name or "norm" in name:
            writer.add_tensor(name, values)
            continue
        stack = np.stack([values * rng.uniform(0.5, 1.5) for _ in range(N_EXPERTS)]).astype(np.float32)
        writer.add_tensor(name.replace(".weight", "_exps.weight"), stack)
    for layer in range(tiny.N_LAYER):
        router = rng.normal(0, 0.2, (N_EXPERTS, tiny.N_EMBD)).astype(np.float32)
        writer.add_tensor(f"blk.{layer}.ffn_gate_inp.weight", router)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def weights(path: Path) -> dict[str, F32]:
    """All tensors of a float32 file."""
    return {str(tensor.name): np.array(tensor.data, dtype=np.float32) for tensor in GGUFReader(path).tensors}


def squared_inputs(path: Path, windows: np.ndarray) -> Mapping[str, F64]:
    """The sums that should be collected on a tiny llama, from its forward pass in numpy.

    Args:
        path: a tiny model of the kind `llama`.
        windows: token ids. [n_windows, n_ctx]
    Returns:
        By the weight's name. [n_inputs]
    """
    tensors, sums = weights(path), defaultdict[str, F64](lambda: np.zeros(1))
    for window in windows:
        x = tensors["token_embd.weight"][window].astype(np.float64)  # [n_ctx, n_embd]
        for layer in range(tiny.N_LAYER):
            part = {
                name.split(".")[2]: values.astype(np.float64)
                for name, values in tensors.items()
                if name.startswith(f"blk.{layer}.")
            }
            for name, inputs in _layer(x, part):
                sums[f"blk.{layer}.{name}.weight"] = sums[f"blk.{layer}.{name}.weight"] + (inputs**2).sum(axis=0)
    return sums


def _layer(x: F64, part: Mapping[str, F64]) -> list[tuple[str, F64]]:
    """One layer, in place on `x`; the inputs of its matrices."""
    attended = _norm(x, part["attn_norm"])
    mixed = _attention(*(attended @ part[name].T for name in ("attn_q", "attn_k", "attn_v")))
    x += mixed @ part["attn_output"].T
    fed = _norm(x, part["ffn_norm"])
    gate = fed @ part["ffn_gate"].T
    hidden = gate / (1 + np.exp(-gate)) * (fed @ part["ffn_up"].T)
    x += hidden @ part["ffn_down"].T
    return [
        *((name, attended) for name in ("attn_q", "attn_k", "attn_v")),
        ("attn_output", mixed),
        *((name, fed) for name in ("ffn_gate", "ffn_up")),
        ("ffn_down", hidden),
    ]


def _norm(x: F64, weight: F64) -> F64:
    result: F64 = x / np.sqrt((x**2).mean(axis=1, keepdims=True) + 1e-6) * weight
    return result


def _attention(q: F64, k: F64, v: F64) -> F64:
    n_tokens, n_groups = len(q), tiny.N_HEAD // tiny.N_HEAD_KV
    heads = [matrix.reshape(n_tokens, -1, tiny.HEAD_DIM).transpose(1, 0, 2) for matrix in (q, k, v)]
    queries, keys = _rotate(heads[0]), np.repeat(_rotate(heads[1]), n_groups, axis=0)  # [n_head, n_tokens, head_dim]
    scores = queries @ keys.transpose(0, 2, 1) / np.sqrt(tiny.HEAD_DIM)
    scores = np.where(np.tri(n_tokens, dtype=bool), scores, -np.inf)
    shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
    shares /= shares.sum(axis=-1, keepdims=True)
    mixed: F64 = (shares @ np.repeat(heads[2], n_groups, axis=0)).transpose(1, 0, 2).reshape(n_tokens, -1)
    return mixed


def _rotate(heads: F64) -> F64:
    """Rotary positions on neighbouring pairs, as llama.cpp has them for `llama`. [n_head, n_tokens, head_dim]"""
    rates = 10_000.0 ** (-np.arange(0, tiny.HEAD_DIM, 2) / tiny.HEAD_DIM)
    angles = np.arange(heads.shape[1])[:, None] * rates  # [n_tokens, head_dim / 2]
    even, odd = heads[..., 0::2], heads[..., 1::2]
    turned = np.stack(
        [even * np.cos(angles) - odd * np.sin(angles), even * np.sin(angles) + odd * np.cos(angles)], axis=-1
    )
    return turned.reshape(heads.shape)
