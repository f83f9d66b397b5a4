"""The config.json and the tensors of tiny PLaMo checkpoints, as the real ones have them."""

from __future__ import annotations

from tests.quantize.tiny_families import Config, Tensors
from tests.quantize.tiny_weights import Weights, matrix, norm

N_DT = 64  # inner width of the time step: max(64, hidden_size // 16) in modeling_plamo.py


def plamo_config() -> Config:
    """PLaMo 13B's config.json, with one layer.

    Its width cannot be less: the official converter takes nothing but 40 heads of 128, in groups of 8.
    """
    return {
        "architectures": ["PlamoForCausalLM"],
        "auto_map": {
            "AutoConfig": "modeling_plamo.PlamoConfig",
            "AutoModelForCausalLM": "modeling_plamo.PlamoForCausalLM",
        },
        "bos_token_id": 1,
        "eos_token_id": 2,
        "hidden_size": 5120,
        "intermediate_size": 64,
        "max_position_embeddings": 4096,
        "model_type": "plamo",
        "n_shared_head": 8,
        "num_attention_heads": 40,
        "num_hidden_layers": 1,
        "pad_token_id": 3,
        "rms_norm_eps": 1e-06,
        "tie_word_embeddings": False,
        "tokenizer_class": "PlamoTokenizer",
        "transformers_version": "4.30.2",
        "use_cache": True,
        "vocab_size": 576,
    }


def plamo_tensors(config: Config) -> Tensors:
    """Tensors of PLaMo 13B: attention and feed-forward side by side behind one norm."""
    n_embd, n_ff, n_vocab = config["hidden_size"], config["intermediate_size"], config["vocab_size"]
    n_kv = n_embd // config["n_shared_head"]
    tensors = {
        "model.embed_tokens.weight": Weights((n_vocab, n_embd), 0.5),
        "model.norm.weight": norm(n_embd),
        "lm_head.weight": matrix(n_vocab, n_embd, 3.0),
    }
    for layer in (f"model.layers.layers.{index}" for index in range(config["num_hidden_layers"])):
        tensors |= {
            f"{layer}.norm.weight": norm(n_embd),
            f"{layer}.self_attn.q_proj.weight": matrix(n_embd, n_embd),
            f"{layer}.self_attn.k_proj.weight": matrix(n_kv, n_embd),
            f"{layer}.self_attn.v_proj.weight": matrix(n_kv, n_embd),
            f"{layer}.self_attn.o_proj.weight": matrix(n_embd, n_embd),
            f"{layer}.mlp.gate_proj.weight": matrix(n_ff, n_embd, 2.0),
            f"{layer}.mlp.up_proj.weight": matrix(n_ff, n_embd, 2.0),
            f"{layer}.mlp.down_proj.weight": matrix(n_embd, n_ff),
        }
    return tensors


def plamo2_config() -> Config:
    """PLaMo 2: Mamba layers and attention layers in turn."""
    return {
        "architectures": ["Plamo2ForCausalLM"],
        "attention_window_size": 2048,
        "auto_map": {
            "AutoConfig": "modeling_plamo.Plamo2Config",
            "AutoModelForCausalLM": "modeling_plamo.Plamo2ForCausalLM",
        },
        "bos_token_id": 1,
        "eos_token_id": 2,
        "eval_attention_n_bit": None,
        "eval_mlp_n_bit": None,
        "fp8_accum_dtype": "bfloat16",
        "full_attention_idx": [],
        "hidden_size": 64,
        "hidden_size_per_head": 32,
        "image_feature_size": None,
        "intermediate_size": 192,
        "mamba_chunk_size": 256,
        "mamba_d_conv": 4,
        "mamba_d_state": 16,
        "mamba_enabled": True,
        "mamba_num_heads": 8,
        "mamba_step": 2,
        "max_position_embeddings": 512,
        "model_type": "plamo2",
        "num_attention_heads": 4,
        "num_hidden_layers": 4,
        "num_key_value_heads": 2,
        "pad_token_id": 3,
        "rms_norm_eps": 1e-06,
        "sparse_intermediate_size": None,
        "sparse_step": None,
        "tie_word_embeddings": True,
        "tokenizer_class": "Plamo2Tokenizer",
        "transformers_version": "4.46.2",
        "use_cache": True,
        "vocab_size": 640,
    }


def plamo2_tensors(config: Config) -> Tensors:
    """Tensors of PLaMo 2."""
    tensors = _embeddings(config)
    for index in range(config["num_hidden_layers"]):
        layer = f"model.layers.layers.{index}"
        attention = index % config["mamba_step"] == config["mamba_step"] // 2
        mixer = _plamo2_attention(config) if attention else _plamo2_mamba(config)
        tensors |= _block(layer, config) | {f"{layer}.mixer.{name}": weights for name, weights in mixer.items()}
    return tensors


def plamo3_config(**changes: object) -> Config:
    """PLaMo 3: attention layers, all but every fourth with a window; `changes` are keys that differ."""
    return {
        "architectures": ["Plamo3ForCausalLM"],
        "attention_window_size": 16,
        "auto_map": {
            "AutoConfig": "modeling_plamo.Plamo3Config",
            "AutoModelForCausalLM": "modeling_plamo.Plamo3ForCausalLM",
        },
        "bos_token_id": 1,
        "eos_token_id": 2,
        "head_dim": 32,
        "hidden_size": 64,
        "intermediate_size": 192,
        "max_position_embeddings": 512,
        "model_type": "plamo3",
        "num_attention_heads": 4,
        "num_hidden_layers": 4,
        "num_key_value_heads": 2,
        "pad_token_id": 3,
        "rms_norm_eps": 1e-06,
        "rope_local_theta": 10000,
        "rope_theta": 1000000,
        "sliding_window_pattern": 4,
        "tie_word_embeddings": False,
        "tokenizer_class": "Plamo2Tokenizer",
        "transformers_version": "4.57.1",
        "use_cache": True,
        "vocab_size": 640,
        "window_size": 16,
    } | changes


def plamo3_tensors(config: Config) -> Tensors:
    """Tensors of PLaMo 3."""
    tensors = _embeddings(config)
    n_embd, width = config["hidden_size"], config["head_dim"]
    n_head, n_kv = config["num_attention_heads"], config["num_key_value_heads"]
    for layer in (f"model.layers.layers.{index}" for index in range(config["num_hidden_layers"])):
        tensors |= _block(layer, config)
        tensors |= {
            f"{layer}.mixer.qkv_proj.weight": matrix((n_head + 2 * n_kv) * width, n_embd, 1.5),
            f"{layer}.mixer.o_proj.weight": matrix(n_embd, n_head * width, 2.0),
            f"{layer}.mixer.q_norm.weight": norm(width, mean=0.0),
            f"{layer}.mixer.k_norm.weight": norm(width, mean=0.0),
        }
    return tensors


def _embeddings(config: Config) -> Tensors:
    shape = (config["vocab_size"], config["hidden_size"])
    tensors = {"model.embed_tokens.weight": Weights(shape, 0.5), "model.norm.weight": norm(shape[1], mean=0.0)}
    return tensors if config["tie_word_embeddings"] else tensors | {"lm_head.weight": matrix(*shape, 3.0)}


def _block(layer: str, config: Config) -> Tensors:
    """What surrounds a mixer. Norms are stored as differences from an offset."""
    n_embd, n_ff = config["hidden_size"], config["intermediate_size"]
    names = ("pre_mixer_norm", "post_mixer_norm", "pre_mlp_norm", "post_mlp_norm")
    return {f"{layer}.{name}.weight": norm(n_embd, mean=0.0) for name in names} | {
        f"{layer}.mlp.gate_up_proj.weight": matrix(2 * n_ff, n_embd, 2.0),
        f"{layer}.mlp.down_proj.weight": matrix(n_embd, n_ff),
    }


def _plamo2_attention(config: Config) -> Tensors:
    n_embd, width = config["hidden_size"], config["hidden_size_per_head"]
    n_head, n_kv = config["num_attention_heads"], config["num_key_value_heads"]
    return {
        "qkv_proj.weight": matrix((n_head + 2 * n_kv) * width, n_embd, 1.5),
        "q_weight": norm(n_head, width),
        "k_weight": norm(n_kv, width),
        "o_proj.weight": matrix(n_embd, n_head * width, 2.0),
    }


def _plamo2_mamba(config: Config) -> Tensors:
    n_embd, n_head, n_state = config["hidden_size"], config["mamba_num_heads"], config["mamba_d_state"]
    n_inner = n_head * config["hidden_size_per_head"]
    return {
        "in_proj.weight": matrix(2 * n_inner, n_embd, 2.0),
        "conv1d.weight": Weights((n_inner, 1, config["mamba_d_conv"]), 0.5),
        "bcdt_proj.weight": matrix(N_DT + 2 * n_state, n_inner),
        "dt_proj.weight": matrix(n_head, N_DT, 0.3),
        "dt_bias": Weights((n_head,), 0.5, -2.0),  # softplus(-2) = 0.13: the state outlives some tokens
        "A_log": Weights((n_head,), 0.5, -1.0),
        "D": Weights((n_head,), 0.1, 1.0),
        "dt_norm_weight": norm(N_DT),
        "B_norm_weight": norm(n_state),
        "C_norm_weight": norm(n_state),
        "out_proj.weight": matrix(n_embd, n_inner, 2.0),
    }
