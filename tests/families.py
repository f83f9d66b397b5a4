"""Tiny models of more architectures than `tests.tiny` has, with weights that are all zero or one.

They answer nothing, but llama.cpp loads and evaluates them: enough to test headers and memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from gguf import GGUFWriter
from numpy.typing import NDArray

from tests.tiny import HEAD_DIM, N_EMBD, N_FF, N_HEAD, N_HEAD_KV, N_LAYER, _add_vocabulary, vocabulary

FAMILIES = ("qwen2", "qwen3", "qwen3moe", "smollm3", "phi3", "gemma2", "lfm2", "mamba2")

N_EXPERT, N_FF_EXPERT = 4, 64
CONV, STATE, INNER, GROUPS, SSM_HEADS = 4, 16, 256, 2, 8
KV_WIDTH = N_HEAD_KV * HEAD_DIM

Tensors = Iterator[tuple[str, NDArray[np.float32]]]


def family_model(path: Path, family: str) -> Path:
    """Write a model of about a megabyte."""
    writer = GGUFWriter(path, family)
    writer.add_name("tiny")
    writer.add_context_length(512)
    writer.add_embedding_length(N_EMBD)
    writer.add_block_count(N_LAYER)
    writer.add_layer_norm_rms_eps(1e-6)
    _add_keys(writer, family)
    _add_vocabulary(writer, None)
    for name, values in _tensors(family):
        writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _add_keys(writer: GGUFWriter, family: str) -> None:
    if family == "mamba2":
        writer.add_feed_forward_length(0)
        writer.add_head_count(0)
        writer.add_ssm_conv_kernel(CONV)
        writer.add_ssm_state_size(STATE)
        writer.add_ssm_inner_size(INNER)
        writer.add_ssm_time_step_rank(SSM_HEADS)
        writer.add_ssm_group_count(GROUPS)
        return
    writer.add_feed_forward_length(N_FF)
    writer.add_head_count(N_HEAD)
    writer.add_head_count_kv([0, N_HEAD_KV] * (N_LAYER // 2) if family == "lfm2" else N_HEAD_KV)
    if family not in ("phi3", "lfm2"):  # there the width of a head follows from n_embd
        writer.add_key_length(HEAD_DIM)
        writer.add_value_length(HEAD_DIM)
    writer.add_rope_dimension_count(HEAD_DIM)
    if family == "lfm2":
        writer.add_shortconv_l_cache(CONV)
    if family == "gemma2":
        writer.add_sliding_window(32)
    if family == "phi3":
        writer.add_rope_scaling_orig_ctx_len(512)
    if family == "qwen3moe":
        writer.add_expert_count(N_EXPERT)
        writer.add_expert_used_count(2)
        writer.add_expert_feed_forward_length(N_FF_EXPERT)


def _tensors(family: str) -> Tensors:
    yield "token_embd.weight", _zeros(len(vocabulary()), N_EMBD)
    yield ("token_embd_norm.weight" if family == "lfm2" else "output_norm.weight"), _ones(N_EMBD)
    for layer in range(N_LAYER):
        for name, values in _layer(family, layer):
            yield f"blk.{layer}.{name}", values


def _layer(family: str, layer: int) -> Tensors:
    yield "attn_norm.weight", _ones(N_EMBD)
    if family == "mamba2":
        yield from _mamba2()
        return
    if family == "lfm2" and layer % 2 == 0:
        yield "shortconv.conv.weight", _zeros(N_EMBD, CONV)
        yield "shortconv.in_proj.weight", _zeros(3 * N_EMBD, N_EMBD)
        yield "shortconv.out_proj.weight", _zeros(N_EMBD, N_EMBD)
    else:
        yield from _attention(family)
    yield "ffn_norm.weight", _ones(N_EMBD)
    yield from _feed_forward(family)
    if family == "gemma2":
        yield "post_attention_norm.weight", _ones(N_EMBD)
        yield "post_ffw_norm.weight", _ones(N_EMBD)


def _attention(family: str) -> Tensors:
    n_q = N_HEAD * HEAD_DIM
    if family == "phi3":
        yield "attn_qkv.weight", _zeros(n_q + 2 * KV_WIDTH, N_EMBD)
    else:
        for name, n_rows in (("q", n_q), ("k", KV_WIDTH), ("v", KV_WIDTH)):
            yield f"attn_{name}.weight", _zeros(n_rows, N_EMBD)
            if family == "qwen2":
                yield f"attn_{name}.bias", _zeros(n_rows)
    if family in ("qwen3", "qwen3moe", "lfm2"):
        yield "attn_q_norm.weight", _ones(HEAD_DIM)
        yield "attn_k_norm.weight", _ones(HEAD_DIM)
    yield "attn_output.weight", _zeros(N_EMBD, n_q)


def _feed_forward(family: str) -> Tensors:
    if family == "qwen3moe":
        yield "ffn_gate_inp.weight", _zeros(N_EXPERT, N_EMBD)
        yield "ffn_gate_exps.weight", _zeros(N_EXPERT, N_FF_EXPERT, N_EMBD)
        yield "ffn_up_exps.weight", _zeros(N_EXPERT, N_FF_EXPERT, N_EMBD)
        yield "ffn_down_exps.weight", _zeros(N_EXPERT, N_EMBD, N_FF_EXPERT)
        return
    if family == "phi3":
        yield "ffn_up.weight", _zeros(2 * N_FF, N_EMBD)
    else:
        yield "ffn_gate.weight", _zeros(N_FF, N_EMBD)
        yield "ffn_up.weight", _zeros(N_FF, N_EMBD)
    yield "ffn_down.weight", _zeros(N_EMBD, N_FF)


def _mamba2() -> Tensors:
    n_conv = INNER + 2 * GROUPS * STATE
    yield "ssm_in.weight", _zeros(INNER + n_conv + SSM_HEADS, N_EMBD)
    yield "ssm_conv1d.weight", _zeros(n_conv, CONV)
    yield "ssm_conv1d.bias", _zeros(n_conv)
    yield "ssm_dt.bias", _zeros(SSM_HEADS)
    yield "ssm_a", -_ones(SSM_HEADS, 1)
    yield "ssm_d", _ones(SSM_HEADS, 1)
    yield "ssm_norm.weight", _ones(GROUPS, INNER // GROUPS)
    yield "ssm_out.weight", _zeros(N_EMBD, INNER)


def _zeros(*shape: int) -> NDArray[np.float32]:
    return np.zeros(shape, dtype=np.float32)


def _ones(*shape: int) -> NDArray[np.float32]:
    return np.ones(shape, dtype=np.float32)
