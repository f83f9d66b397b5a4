"""The config.json and the tensors of tiny checkpoints, family by family, as the real ones have them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tests.quantize.tiny_weights import Weights, bias, matrix, norm

Config = dict[str, Any]
Tensors = dict[str, Weights]

LLAMA_ROPE: Mapping[str, Any] = {
    "none": None,
    "linear": {"type": "linear", "factor": 2.0},  # `type` is the older name of `rope_type`
    "llama3": {
        "factor": 32.0,
        "high_freq_factor": 4.0,
        "low_freq_factor": 1.0,
        "original_max_position_embeddings": 64,
        "rope_type": "llama3",
    },
    "yarn": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 128},
}


def llama_config(rope: str, **changes: Any) -> Config:
    """A LlamaForCausalLM's config.json.

    Args:
        rope: a key of LLAMA_ROPE.
        changes: keys that differ.
    """
    return {
        "architectures": ["LlamaForCausalLM"],
        "attention_bias": False,
        "attention_dropout": 0.0,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "hidden_act": "silu",
        "hidden_size": 64,
        "initializer_range": 0.02,
        "intermediate_size": 256,
        "max_position_embeddings": 512,
        "mlp_bias": False,
        "model_type": "llama",
        "num_attention_heads": 4,
        "num_hidden_layers": 2,
        "num_key_value_heads": 2,
        "pretraining_tp": 1,
        "rms_norm_eps": 1e-05,
        "rope_scaling": LLAMA_ROPE[rope],
        "rope_theta": 10000.0,
        "tie_word_embeddings": False,
        "transformers_version": "4.46.0",
        "use_cache": True,
        "vocab_size": 512,
    } | changes


def mistral_config() -> Config:
    """Mistral: heads wider than hidden_size / num_attention_heads, no window."""
    config = llama_config("none", architectures=["MistralForCausalLM"], model_type="mistral", head_dim=32)
    for key in ("attention_bias", "mlp_bias", "pretraining_tp", "rope_scaling"):
        del config[key]
    return config | {"rope_theta": 1000000.0, "sliding_window": None, "num_hidden_layers": 3}


def qwen_config(model_type: str, **changes: Any) -> Config:
    """A Qwen2ForCausalLM's or Qwen3ForCausalLM's config.json."""
    architecture = {"qwen2": "Qwen2ForCausalLM", "qwen3": "Qwen3ForCausalLM"}[model_type]
    config = llama_config("none", architectures=[architecture], model_type=model_type, rms_norm_eps=1e-06)
    for key in ("attention_bias", "mlp_bias", "pretraining_tp"):
        del config[key]
    window = {"max_window_layers": 2, "sliding_window": 512, "use_sliding_window": False}
    return config | window | {"bos_token_id": 256, "eos_token_id": 257, "rope_theta": 1000000.0} | changes


def decoder_tensors(config: Config) -> Tensors:
    """Tensors of the Llama kind: also Mistral's, Qwen's and Gemma's."""
    tensors = _embeddings(config)
    n_embd, n_ff = config["hidden_size"], config["intermediate_size"]
    head_dim = config.get("head_dim") or n_embd // config["num_attention_heads"]
    n_q, n_kv = head_dim * config["num_attention_heads"], head_dim * config["num_key_value_heads"]
    gemma = config["model_type"].startswith("gemma")
    norms = ["input_layernorm", "post_attention_layernorm"]
    if gemma:
        norms += ["pre_feedforward_layernorm", "post_feedforward_layernorm"]
    for layer in _layers(config):
        tensors |= {f"{layer}.{name}.weight": norm(n_embd, mean=0.0 if gemma else 1.0) for name in norms}
        tensors |= _attention(config, f"{layer}.self_attn", n_q, n_kv)
        if config["model_type"] in ("qwen3", "gemma3_text"):
            for name in ("q_norm", "k_norm"):
                tensors[f"{layer}.self_attn.{name}.weight"] = norm(head_dim, mean=0.0 if gemma else 1.0)
        tensors[f"{layer}.mlp.gate_proj.weight"] = matrix(n_ff, n_embd, 2.0)
        tensors[f"{layer}.mlp.up_proj.weight"] = matrix(n_ff, n_embd, 2.0)
        tensors[f"{layer}.mlp.down_proj.weight"] = matrix(n_embd, n_ff)
    tensors["model.norm.weight"] = norm(n_embd, mean=0.0 if gemma else 1.0)
    return tensors


def phi2_config() -> Config:
    """Phi-2: LayerNorm, biases everywhere, part of each head rotated."""
    return {
        "architectures": ["PhiForCausalLM"],
        "attention_dropout": 0.0,
        "bos_token_id": 256,
        "embd_pdrop": 0.0,
        "eos_token_id": 256,
        "hidden_act": "gelu_new",
        "hidden_size": 64,
        "initializer_range": 0.02,
        "intermediate_size": 256,
        "layer_norm_eps": 1e-05,
        "max_position_embeddings": 512,
        "model_type": "phi",
        "num_attention_heads": 2,
        "num_hidden_layers": 2,
        "num_key_value_heads": 2,
        "partial_rotary_factor": 0.5,
        "qk_layernorm": False,
        "resid_pdrop": 0.1,
        "rope_scaling": None,
        "rope_theta": 10000.0,
        "tie_word_embeddings": False,
        "transformers_version": "4.37.0",
        "use_cache": True,
        "vocab_size": 512,
    }


def phi2_tensors(config: Config) -> Tensors:
    """Tensors of Phi-2."""
    tensors = _embeddings(config)
    n_embd, n_ff = config["hidden_size"], config["intermediate_size"]
    tensors["lm_head.bias"] = bias(config["vocab_size"])
    for layer in _layers(config):
        for name in ("q_proj", "k_proj", "v_proj", "dense"):
            tensors |= _linear(f"{layer}.self_attn.{name}", matrix(n_embd, n_embd, 1.5))
        tensors |= _linear(f"{layer}.mlp.fc1", matrix(n_ff, n_embd, 1.5)) | _linear(
            f"{layer}.mlp.fc2", matrix(n_embd, n_ff)
        )
        tensors |= _layer_norm(f"{layer}.input_layernorm", n_embd)
    return tensors | _layer_norm("model.final_layernorm", n_embd)


def phi3_config(**changes: Any) -> Config:
    """Phi-3's config.json; `changes` are keys that differ."""
    return {
        "_name_or_path": "Phi-3-mini-4k-instruct",
        "architectures": ["Phi3ForCausalLM"],
        "attention_dropout": 0.0,
        "auto_map": {
            "AutoConfig": "configuration_phi3.Phi3Config",
            "AutoModelForCausalLM": "modeling_phi3.Phi3ForCausalLM",
        },
        "bos_token_id": 1,
        "embd_pdrop": 0.0,
        "eos_token_id": 512,
        "hidden_act": "silu",
        "hidden_size": 64,
        "initializer_range": 0.02,
        "intermediate_size": 256,
        "max_position_embeddings": 512,
        "model_type": "phi3",
        "num_attention_heads": 2,
        "num_hidden_layers": 2,
        "num_key_value_heads": 2,
        "original_max_position_embeddings": 512,
        "pad_token_id": 512,
        "resid_pdrop": 0.0,
        "rms_norm_eps": 1e-05,
        "rope_scaling": None,
        "rope_theta": 10000.0,
        "sliding_window": 511,
        "tie_word_embeddings": False,
        "transformers_version": "4.40.2",
        "use_cache": True,
        "vocab_size": 544,
    } | changes


def longrope(n: int, kind: str = "longrope") -> Config:
    """What Phi-3 has for long contexts: factors of `n` rotated pairs, and a window that starts as short as
    llama.cpp's smallest context (256 tokens), so that both lists can be tried."""
    return {
        "max_position_embeddings": 2048,
        "original_max_position_embeddings": 256,
        "sliding_window": 2048,
        "rope_scaling": {
            "long_factor": [1.0 + pair * 1.25 for pair in range(n)],
            "short_factor": [1.0 + pair * 0.0625 for pair in range(n)],
            "type": kind,
        },
    }


def phi3_tensors(config: Config) -> Tensors:
    """Tensors of Phi-3: q, k and v in one matrix, gate and up in another."""
    tensors = _embeddings(config)
    n_embd, n_ff = config["hidden_size"], config["intermediate_size"]
    head_dim = n_embd // config["num_attention_heads"]
    n_q, n_kv = head_dim * config["num_attention_heads"], head_dim * config["num_key_value_heads"]
    for layer in _layers(config):
        tensors |= {
            f"{layer}.input_layernorm.weight": norm(n_embd),
            f"{layer}.post_attention_layernorm.weight": norm(n_embd),
            f"{layer}.self_attn.qkv_proj.weight": matrix(n_q + 2 * n_kv, n_embd, 1.5),
            f"{layer}.self_attn.o_proj.weight": matrix(n_embd, n_q, 2.0),
            f"{layer}.mlp.gate_up_proj.weight": matrix(2 * n_ff, n_embd, 2.0),
            f"{layer}.mlp.down_proj.weight": matrix(n_embd, n_ff),
        }
    return tensors | {"model.norm.weight": norm(n_embd)}


def gemma_config(model_type: str, **changes: Any) -> Config:
    """Gemma 2's or the text-only Gemma 3's config.json."""
    architecture = {"gemma2": "Gemma2ForCausalLM", "gemma3_text": "Gemma3ForCausalLM"}[model_type]
    return {
        "architectures": [architecture],
        "attention_bias": False,
        "attention_dropout": 0.0,
        "attn_logit_softcapping": None,
        "bos_token_id": 2,
        "eos_token_id": 1,
        "final_logit_softcapping": None,
        "head_dim": 32,
        "hidden_activation": "gelu_pytorch_tanh",
        "hidden_size": 64,
        "initializer_range": 0.02,
        "intermediate_size": 256,
        "max_position_embeddings": 512,
        "model_type": model_type,
        "num_attention_heads": 4,
        "num_hidden_layers": 2,
        "num_key_value_heads": 2,
        "pad_token_id": 0,
        "query_pre_attn_scalar": 32,
        "rms_norm_eps": 1e-06,
        "rope_theta": 10000.0,
        "sliding_window": 16,
        "transformers_version": "4.50.0.dev0",
        "use_cache": True,
        "vocab_size": 512,
    } | changes


def _embeddings(config: Config) -> Tensors:
    shape = (config["vocab_size"], config["hidden_size"])
    tied = config.get("tie_word_embeddings", config["model_type"].startswith("gemma"))
    # a tied embedding is the output matrix too: its logits must be of a usual size
    tensors = {"model.embed_tokens.weight": Weights(shape, 3.0 * shape[1] ** -0.5 if tied else 0.5)}
    if not tied:
        tensors["lm_head.weight"] = matrix(*shape, 3.0)
    return tensors


def _layers(config: Config) -> list[str]:
    return [f"model.layers.{layer}" for layer in range(config["num_hidden_layers"])]


def _attention(config: Config, prefix: str, n_q: int, n_kv: int) -> Tensors:
    n_embd = config["hidden_size"]
    biased = config["model_type"] == "qwen2" or config.get("attention_bias", False)
    make: Callable[[str, Weights], Tensors] = _linear if biased else lambda name, weights: {f"{name}.weight": weights}
    tensors = make(f"{prefix}.q_proj", matrix(n_q, n_embd, 1.5)) | make(f"{prefix}.k_proj", matrix(n_kv, n_embd, 1.5))
    return (
        tensors | make(f"{prefix}.v_proj", matrix(n_kv, n_embd)) | {f"{prefix}.o_proj.weight": matrix(n_embd, n_q, 2.0)}
    )


def _linear(name: str, weights: Weights) -> Tensors:
    return {f"{name}.weight": weights, f"{name}.bias": bias(weights.shape[0])}


def _layer_norm(name: str, n: int) -> Tensors:
    return {f"{name}.weight": norm(n), f"{name}.bias": bias(n)}
