"""A tiny DeepSeek MoE model, whose first layers are dense: llama.cpp knows them by their number alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from gguf import GGUFWriter

from tests.tiny import vocabulary

N_EMBD, N_FF, N_FF_EXPERT, N_EXPERTS = 64, 128, 32, 4


def deepseek(path: Path, n_layer: int, n_dense: int) -> Path:
    """Write a model in F32, of which `n_dense` layers have no experts."""
    writer, rng = GGUFWriter(path, "deepseek"), np.random.default_rng(0)
    writer.add_name("tiny-deepseek")
    writer.add_context_length(512)
    writer.add_embedding_length(N_EMBD)
    writer.add_block_count(n_layer)
    writer.add_feed_forward_length(N_FF)
    writer.add_head_count(2)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_leading_dense_block_count(n_dense)
    writer.add_expert_count(N_EXPERTS)
    writer.add_expert_used_count(2)
    writer.add_expert_shared_count(1)
    writer.add_expert_feed_forward_length(N_FF_EXPERT)
    writer.add_expert_weights_scale(1.0)
    tokens = vocabulary()
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_merges(["t h"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)
    for name, shape in _shapes(len(tokens), n_layer, n_dense):
        writer.add_tensor(name, rng.normal(size=shape).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _shapes(n_vocab: int, n_layer: int, n_dense: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield "token_embd.weight", (n_vocab, N_EMBD)
    yield "output.weight", (n_vocab, N_EMBD)
    yield "output_norm.weight", (N_EMBD,)
    common = dict.fromkeys(("attn_q", "attn_k", "attn_v", "attn_output"), (N_EMBD, N_EMBD))
    norms = dict.fromkeys(("attn_norm", "ffn_norm"), (N_EMBD,))
    dense = {"ffn_gate": (N_FF, N_EMBD), "ffn_up": (N_FF, N_EMBD), "ffn_down": (N_EMBD, N_FF)}
    experts = {
        "ffn_gate_inp": (N_EXPERTS, N_EMBD),
        "ffn_gate_exps": (N_EXPERTS, N_FF_EXPERT, N_EMBD),
        "ffn_up_exps": (N_EXPERTS, N_FF_EXPERT, N_EMBD),
        "ffn_down_exps": (N_EXPERTS, N_EMBD, N_FF_EXPERT),
        "ffn_gate_shexp": (N_FF_EXPERT, N_EMBD),
        "ffn_up_shexp": (N_FF_EXPERT, N_EMBD),
        "ffn_down_shexp": (N_EMBD, N_FF_EXPERT),
    }
    for layer in range(n_layer):
        for name, shape in {**norms, **common, **(dense if layer < n_dense else experts)}.items():
            yield f"blk.{layer}.{name}.weight", shape
