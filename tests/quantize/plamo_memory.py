"""Tiny PLaMo checkpoints in memory: names and shapes as pfnet's modelling files have them, random weights.

Unlike the folders of `tiny_checkpoints`, they take any change of their config. `CASES` are those that the official
converter was run on (`make_plamo_oracle`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from quantize.base import F32, Checkpoint, Tensor
from tests.quantize.tiny_weights import Dtype, Weights, draw, encode, matrix, norm

NAMES = {"bf16": "BF16", "f16": "F16", "f32": "F32"}

PLAMO = {
    "architectures": ["PlamoForCausalLM"],
    "hidden_size": 96,
    "intermediate_size": 80,
    "n_shared_head": 3,
    "num_attention_heads": 6,
    "num_hidden_layers": 2,
    "num_key_value_heads": 6,
    "rms_norm_eps": 1e-6,
    "vocab_size": 300,
}
PLAMO2 = {
    "architectures": ["Plamo2ForCausalLM"],
    "hidden_size": 64,
    "hidden_size_per_head": 16,
    "intermediate_size": 96,
    "mamba_d_conv": 4,
    "mamba_d_state": 8,
    "mamba_num_heads": 6,
    "mamba_step": 2,
    "max_position_embeddings": 512,
    "num_attention_heads": 4,
    "num_hidden_layers": 4,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-6,
    "vocab_size": 300,
}
PLAMO3 = {
    "architectures": ["Plamo3ForCausalLM"],
    "head_dim": 24,
    "hidden_size": 64,
    "intermediate_size": 96,
    "max_position_embeddings": 512,
    "num_attention_heads": 4,
    "num_hidden_layers": 4,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-6,
    "rope_local_theta": 10000,
    "rope_theta": 1000000,
    "sliding_window_pattern": 2,
    "vocab_size": 300,
    "window_size": 8,
}
PLAMO_13B = PLAMO | {  # all that the official converter takes: it has PLaMo 13B's sizes written into it
    "hidden_size": 5120,
    "intermediate_size": 32,
    "n_shared_head": 8,
    "num_attention_heads": 40,
    "num_hidden_layers": 1,
}
_TRANSFORMERS_5 = {
    "rope_parameters": {
        "full_attention": {"rope_theta": 500000.0, "rope_type": "default"},
        "sliding_attention": {"rope_theta": 20000.0, "rope_type": "default"},
    },
    "rope_theta": None,
    "rope_local_theta": None,
}
CASES: dict[str, tuple[dict[str, Any], Dtype, dict[str, Any]]] = {
    "plamo-13b": (PLAMO_13B, "f32", {}),
    "plamo2-bf16": (PLAMO2, "bf16", {}),
    "plamo2-f16-untied": (PLAMO2, "f16", {"tie_word_embeddings": False}),
    "plamo2-f32-step-3": (PLAMO2, "f32", {"mamba_step": 3, "mamba_num_heads": 9, "rope_theta": 50000}),
    "plamo3-bf16": (PLAMO3, "bf16", {}),
    "plamo3-f16-yarn": (PLAMO3, "f16", {"rope_scaling_factor": 4, "initial_context_length": 128}),
    "plamo3-f32-no-window": (PLAMO3, "f32", {"window_size": None, "tie_word_embeddings": False}),
    "plamo3-transformers-5": (PLAMO3, "bf16", _TRANSFORMERS_5),
}
ROWS: list[list[Any]] = [
    ["<|plamo:unk|>", 0.0, "UNKNOWN"],
    *([f"<|plamo:{name}|>", 0.0, "CONTROL"] for name in ("bos", "eos", "pad", "op")),
    *([f"<0x{byte:02X}>", 0.0, "BYTE"] for byte in range(256)),
    ["<|plamo:msg|>", 0, "NORMAL"],  # made a control token by its name
    ["the", -5.25, "NORMAL", 3, 0],
    *(
        [text, -7.0 - index / 8]
        for index, text in enumerate(["t", "h", "e", " the", "日本", "日", "本", "語", "日本語", "🙂"])
    ),
]
TOKENIZER_CONFIG: dict[str, Any] = {
    "add_bos_token": True,
    "bos_token": "<|plamo:bos|>",
    "chat_template": "{{ messages }}",
    "eos_token": "<|plamo:eos|>",
    "pad_token": "<|plamo:pad|>",
    "unk_token": "<|plamo:unk|>",
}


@dataclass
class MemoryCheckpoint:
    """A checkpoint that is no folder. See `quantize.base.Checkpoint`."""

    config: Mapping[str, Any]
    tensors: Mapping[str, Tensor]
    path: Path = Path("plamo")
    files: Mapping[str, Path] = field(default_factory=dict)
    generation_config: Mapping[str, Any] = field(default_factory=dict)

    def but(self, config: Mapping[str, Any] | None = None, tensors: Mapping[str, Tensor] | None = None) -> Checkpoint:
        """The same with some values or tensors added or replaced."""
        return MemoryCheckpoint({**self.config, **(config or {})}, {**self.tensors, **(tensors or {})})

    def file(self, name: str) -> Path | None:
        """See `quantize.base.Checkpoint`."""
        return self.files.get(name)

    def json(self, name: str) -> Any:
        """See `quantize.base.Checkpoint`."""
        path = self.files.get(name)
        return None if path is None else json.loads(path.read_bytes())


def checkpoint(config: Mapping[str, Any], dtype: Dtype = "bf16", **changes: Any) -> MemoryCheckpoint:
    """A checkpoint of a family's config, with some of its values changed; `None` leaves a value out."""
    merged = {key: value for key, value in {**config, **changes}.items() if value is not None}
    layer = {"PlamoForCausalLM": plamo_layer, "Plamo2ForCausalLM": plamo2_layer, "Plamo3ForCausalLM": plamo3_layer}
    of_family = layer[merged["architectures"][0]]
    n_embd = merged["hidden_size"]
    offset_norms = of_family is not plamo_layer
    weights = {
        "model.embed_tokens.weight": Weights((merged["vocab_size"], n_embd), 1.0),
        "model.norm.weight": norm(n_embd, mean=0.0 if offset_norms else 1.0),
    }
    if not offset_norms or not merged.get("tie_word_embeddings", True):
        weights["lm_head.weight"] = matrix(merged["vocab_size"], n_embd)
    for index in range(merged["num_hidden_layers"]):
        for name, values in of_family(merged, index).items():
            weights[f"model.layers.layers.{index}.{name}"] = values
    return MemoryCheckpoint(merged, {name: _tensor(name, weights[name], dtype) for name in sorted(weights)})


def tokenizer_files(folder: Path, rows: list[list[Any]] = ROWS, **changes: Any) -> dict[str, Path]:
    """Write PLaMo's tokenizer files, tokenizer_config.json with `changes`, and return them by name."""
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "tokenizer.jsonl").write_text(lines, encoding="utf-8")
    config = {key: value for key, value in {**TOKENIZER_CONFIG, **changes}.items() if value is not None}
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    return {path.name: path for path in folder.iterdir()}


def plamo_layer(config: Mapping[str, Any], index: int) -> dict[str, Weights]:
    """A layer of PLaMo."""
    n_embd, n_ff = config["hidden_size"], config["intermediate_size"]
    n_kv = n_embd // config["n_shared_head"]
    return {
        "norm.weight": norm(n_embd),
        "self_attn.q_proj.weight": matrix(n_embd, n_embd, 2.0),
        "self_attn.k_proj.weight": matrix(n_kv, n_embd, 2.0),
        "self_attn.v_proj.weight": matrix(n_kv, n_embd),
        "self_attn.o_proj.weight": matrix(n_embd, n_embd),
        "mlp.gate_proj.weight": matrix(n_ff, n_embd),
        "mlp.up_proj.weight": matrix(n_ff, n_embd),
        "mlp.down_proj.weight": matrix(n_embd, n_ff),
    }


def plamo2_layer(config: Mapping[str, Any], index: int) -> dict[str, Weights]:
    """A layer of PLaMo 2: Mamba, or attention in the layers that the config's `mamba_step` leaves."""
    n_embd, n_per_head = config["hidden_size"], config["hidden_size_per_head"]
    n_head, n_kv = config["num_attention_heads"], config["num_key_value_heads"]
    n_ssm, n_state = config["mamba_num_heads"], config["mamba_d_state"]
    n_dt, n_inner = max(64, n_embd // 16), n_ssm * n_per_head
    mamba = {
        "mixer.in_proj.weight": matrix(2 * n_inner, n_embd),
        "mixer.conv1d.weight": Weights((n_inner, 1, config["mamba_d_conv"]), 0.5),
        "mixer.bcdt_proj.weight": matrix(n_dt + 2 * n_state, n_inner),
        "mixer.dt_proj.weight": matrix(n_ssm, n_dt),
        "mixer.dt_bias": Weights((n_ssm,), 1.0, -1.0),
        "mixer.A_log": Weights((n_ssm,), 0.5),
        "mixer.D": norm(n_ssm),
        "mixer.dt_norm_weight": norm(n_dt),
        "mixer.B_norm_weight": norm(n_state),
        "mixer.C_norm_weight": norm(n_state),
        "mixer.out_proj.weight": matrix(n_embd, n_inner),
    }
    attention = {
        "mixer.qkv_proj.weight": matrix((n_head + 2 * n_kv) * n_per_head, n_embd),
        "mixer.q_weight": norm(n_head, n_per_head, mean=1.5),
        "mixer.k_weight": norm(n_kv, n_per_head, mean=1.5),
        "mixer.o_proj.weight": matrix(n_embd, n_head * n_per_head),
    }
    step = config["mamba_step"]
    return (attention if index % step == step // 2 else mamba) | _around_mixer(config)


def plamo3_layer(config: Mapping[str, Any], index: int) -> dict[str, Weights]:
    """A layer of PLaMo 3."""
    n_embd, n_per_head = config["hidden_size"], config["head_dim"]
    n_head, n_kv = config["num_attention_heads"], config["num_key_value_heads"]
    return {
        "mixer.qkv_proj.weight": matrix((n_head + 2 * n_kv) * n_per_head, n_embd),
        "mixer.q_norm.weight": norm(n_per_head, mean=0.5),
        "mixer.k_norm.weight": norm(n_per_head, mean=0.5),
        "mixer.o_proj.weight": matrix(n_embd, n_head * n_per_head),
    } | _around_mixer(config)


def _around_mixer(config: Mapping[str, Any]) -> dict[str, Weights]:
    n_embd, n_ff = config["hidden_size"], config["intermediate_size"]
    norms = ("pre_mixer_norm", "post_mixer_norm", "pre_mlp_norm", "post_mlp_norm")
    return {
        "mlp.gate_up_proj.weight": matrix(2 * n_ff, n_embd),
        "mlp.down_proj.weight": matrix(n_embd, n_ff),
        **{f"{name}.weight": norm(n_embd, mean=0.0) for name in norms},
    }


def _tensor(name: str, weights: Weights, dtype: Dtype) -> Tensor:
    def read() -> F32:
        if np.prod(weights.shape) < 2**20:
            return rounded(draw(name, weights, 0), dtype)
        numbers = np.roll(np.arange(65521, dtype=np.float32), len(name))  # a prime's worth: all rows differ
        return np.resize(numbers, weights.shape)

    return Tensor(name, weights.shape, NAMES[dtype], read)


def rounded(values: F32, dtype: Dtype) -> F32:
    """The values as a checkpoint of this type holds them."""
    raw = encode(values, dtype)
    if dtype == "bf16":
        wide = np.frombuffer(raw, "<u2").astype("<u4") << np.uint32(16)
        widened: F32 = wide.view("<f4").reshape(values.shape)
        return widened
    return np.frombuffer(raw, {"f16": "<f2", "f32": "<f4"}[dtype]).astype(np.float32).reshape(values.shape)
