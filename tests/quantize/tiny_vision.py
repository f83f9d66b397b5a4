"""The config.json, tensors and preprocessor_config.json of tiny checkpoints that see, as the real ones have them.

What the shapes are for: rows of whole and of broken blocks of Q8_0; squares of patches that become one token by
averaging (Gemma 3), by stacking (the others), with windows (Qwen 2.5) and with layers that reach into the text model
(Qwen 3).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.quantize.tiny_families import Config, Tensors, decoder_tensors, gemma_config, llama_config, qwen_config
from tests.quantize.tiny_weights import Weights, bias, matrix, norm

HALF = [0.5, 0.5, 0.5]
CLIP_MEAN, CLIP_STD = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
_NOT_OF_TEXT = ("architectures", "bos_token_id", "eos_token_id", "pad_token_id", "transformers_version")

PREPROCESSORS: Mapping[str, Mapping[str, Any]] = {
    "gemma3": {
        "do_normalize": True,
        "image_mean": HALF,
        "image_processor_type": "Gemma3ImageProcessor",
        "image_seq_length": 4,
        "image_std": HALF,
        "processor_class": "Gemma3Processor",
        "resample": 2,
        "size": {"height": 48, "width": 48},
    },
    "idefics3": {
        "do_image_splitting": True,
        "image_mean": HALF,
        "image_processor_type": "Idefics3ImageProcessor",
        "image_std": HALF,
        "max_image_size": {"longest_edge": 64},
        "processor_class": "Idefics3Processor",
        "size": {"longest_edge": 128},
    },
    "qwen2.5": {
        "image_mean": CLIP_MEAN,
        "image_processor_type": "Qwen2VLImageProcessor",
        "image_std": CLIP_STD,
        "max_pixels": 12845056,
        "merge_size": 2,
        "min_pixels": 3136,
        "patch_size": 14,
        "temporal_patch_size": 2,
    },
    "qwen3": {
        "image_mean": HALF,
        "image_processor_type": "Qwen2VLImageProcessorFast",
        "image_std": HALF,
        "merge_size": 2,
        "patch_size": 16,
        "size": {"longest_edge": 16777216, "shortest_edge": 65536},
        "temporal_patch_size": 2,
    },
}


def gemma3_config(**text: Any) -> Config:
    """A Gemma 3's that sees; of its encoder, what is transformers' default is left out, as in the real ones."""
    root, inner = _split(gemma_config("gemma3_text", **text))
    return {
        **root,
        "architectures": ["Gemma3ForConditionalGeneration"],
        "boi_token_index": 5,
        "eoi_token_index": 6,
        "image_token_index": 575,
        "mm_tokens_per_image": 4,
        "model_type": "gemma3",
        "text_config": inner,
        "vision_config": {
            "hidden_size": 96,
            "image_size": 48,
            "intermediate_size": 80,
            "model_type": "siglip_vision_model",
            "num_attention_heads": 4,
            "num_hidden_layers": 2,
            "patch_size": 12,
            "vision_use_head": False,
        },
    }


def gemma3_tensors(config: Config) -> Tensors:
    """Of Gemma 3, as transformers 4 names them."""
    text = {f"language_model.{name}": each for name, each in decoder_tensors(config["text_config"]).items()}
    width, n_embd = config["vision_config"]["hidden_size"], config["text_config"]["hidden_size"]
    return {
        **text,
        **siglip_tensors("vision_tower.vision_model", config["vision_config"]),
        "multi_modal_projector.mm_input_projection_weight": matrix(width, n_embd),
        "multi_modal_projector.mm_soft_emb_norm.weight": norm(width, mean=0.0),
    }


def idefics3_config(model_type: str, **text: Any) -> Config:
    """A SmolVLM's, or with "smolvlm" a SmolVLM2's, which leaves much to the defaults."""
    architecture = {"idefics3": "Idefics3ForConditionalGeneration", "smolvlm": "SmolVLMForConditionalGeneration"}
    root, inner = _split(llama_config("none", **text))
    return {
        **root,
        "architectures": [architecture[model_type]],
        "image_token_id": 483,
        "model_type": model_type,
        "scale_factor": 2,
        "text_config": {**inner, "architectures": ["VLlama3ForCausalLM"], "tie_word_embeddings": False},
        "tie_word_embeddings": False,
        "vision_config": {
            "hidden_size": 64,
            "image_size": 64,
            "intermediate_size": 160,
            "max_image_size": {"longest_edge": 64},
            "model_type": {"idefics3": "idefics3_vision", "smolvlm": "smolvlm_vision"}[model_type],
            "num_attention_heads": 2,
            "num_hidden_layers": 2,
            "patch_size": 16,
            "tie_word_embeddings": False,
        },
        "vocab_size": inner["vocab_size"],
    }


def idefics3_tensors(config: Config) -> Tensors:
    """Of SmolVLM and Idefics 3."""
    text = decoder_tensors(config["text_config"])
    n_in = config["vision_config"]["hidden_size"] * config["scale_factor"] ** 2
    return {
        **{name.replace("model.", "model.text_model.", 1): each for name, each in text.items()},
        **siglip_tensors("model.vision_model", config["vision_config"]),
        "model.connector.modality_projection.proj.weight": matrix(config["text_config"]["hidden_size"], n_in),
    }


def qwen25_config(**text: Any) -> Config:
    """A Qwen 2.5 VL's: its text model's values stand beside `vision_config`."""
    config = qwen_config("qwen2", **text) | {
        "architectures": ["Qwen2_5_VLForConditionalGeneration"],
        "image_token_id": 483,
        "model_type": "qwen2_5_vl",
        "rope_scaling": {"mrope_section": [2, 3, 3], "type": "mrope"},
        "vision_end_token_id": 484,
        "vision_start_token_id": 483,
        "vision_config": {
            "depth": 4,
            "fullatt_block_indexes": [1, 3],
            "hidden_act": "silu",
            "hidden_size": 64,
            "in_chans": 3,
            "intermediate_size": 80,
            "model_type": "qwen2_5_vl",
            "num_heads": 2,
            "out_hidden_size": 64,
            "patch_size": 14,
            "spatial_merge_size": 2,
            "spatial_patch_size": 14,
            "temporal_patch_size": 2,
            "tokens_per_second": 2,
            "window_size": 112,
        },
    }
    return dict(sorted(config.items()))


def qwen25_tensors(config: Config) -> Tensors:
    """Of Qwen 2.5 VL."""
    vision, tensors = config["vision_config"], decoder_tensors(config | {"model_type": "qwen2"})
    width, n_ff, n_out = vision["hidden_size"], vision["intermediate_size"], vision["out_hidden_size"]
    patch = vision["patch_size"]
    tensors["visual.patch_embed.proj.weight"] = Weights((width, 3, 2, patch, patch), 0.1)
    for layer in (f"visual.blocks.{index}" for index in range(vision["depth"])):
        tensors |= {f"{layer}.{name}.weight": norm(width) for name in ("norm1", "norm2")}
        tensors |= _linear(f"{layer}.attn.qkv", 3 * width, width) | _linear(f"{layer}.attn.proj", width, width)
        tensors |= _linear(f"{layer}.mlp.gate_proj", n_ff, width) | _linear(f"{layer}.mlp.up_proj", n_ff, width)
        tensors |= _linear(f"{layer}.mlp.down_proj", width, n_ff)
    tensors["visual.merger.ln_q.weight"] = norm(width)
    return (
        tensors
        | _linear("visual.merger.mlp.0", 4 * width, 4 * width)
        | _linear("visual.merger.mlp.2", n_out, 4 * width)
    )


def qwen3_config(**text: Any) -> Config:
    """A Qwen 3 VL's."""
    root, inner = _split(qwen_config("qwen3", **text))
    inner |= {
        "dtype": "bfloat16",
        "model_type": "qwen3_vl_text",
        "rope_scaling": {"mrope_interleaved": True, "mrope_section": [6, 5, 5], "rope_type": "default"},
        "rope_theta": 5000000,
    }
    return {
        **root,
        "architectures": ["Qwen3VLForConditionalGeneration"],
        "image_token_id": 483,
        "model_type": "qwen3_vl",
        "text_config": inner,
        "tie_word_embeddings": True,
        "vision_config": {
            "deepstack_visual_indexes": [0, 2],
            "depth": 3,
            "hidden_act": "gelu_pytorch_tanh",
            "hidden_size": 64,
            "in_channels": 3,
            "intermediate_size": 80,
            "model_type": "qwen3_vl",
            "num_heads": 2,
            "num_position_embeddings": 16,
            "out_hidden_size": 64,
            "patch_size": 16,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
        },
    }


def qwen3_tensors(config: Config) -> Tensors:
    """Of Qwen 3 VL."""
    vision = config["vision_config"]
    text = decoder_tensors(config["text_config"] | {"model_type": "qwen3", "tie_word_embeddings": True})
    width, n_ff, n_out = vision["hidden_size"], vision["intermediate_size"], vision["out_hidden_size"]
    patch = vision["patch_size"]
    tensors: Tensors = {name.replace("model.", "model.language_model.", 1): each for name, each in text.items()}
    visual = "model.visual"
    tensors |= {
        f"{visual}.patch_embed.proj.weight": Weights((width, 3, 2, patch, patch), 0.1),
        f"{visual}.patch_embed.proj.bias": bias(width),
        f"{visual}.pos_embed.weight": Weights((vision["num_position_embeddings"], width), 0.3),
    }
    for layer in (f"{visual}.blocks.{index}" for index in range(vision["depth"])):
        tensors |= _layer_norm(f"{layer}.norm1", width) | _layer_norm(f"{layer}.norm2", width)
        tensors |= _linear(f"{layer}.attn.qkv", 3 * width, width) | _linear(f"{layer}.attn.proj", width, width)
        tensors |= _linear(f"{layer}.mlp.linear_fc1", n_ff, width) | _linear(f"{layer}.mlp.linear_fc2", width, n_ff)
    mergers = [f"{visual}.deepstack_merger_list.{index}" for index in range(len(vision["deepstack_visual_indexes"]))]
    for merger in (f"{visual}.merger", *mergers):
        tensors |= _layer_norm(f"{merger}.norm", width if merger.endswith(".merger") else 4 * width)
        tensors |= _linear(f"{merger}.linear_fc1", 4 * width, 4 * width) | _linear(
            f"{merger}.linear_fc2", n_out, 4 * width
        )
    return tensors


def siglip_tensors(prefix: str, vision: Config) -> Tensors:
    """Of SigLIP's encoder."""
    width, n_ff, patch = vision["hidden_size"], vision["intermediate_size"], vision["patch_size"]
    tensors: Tensors = {
        f"{prefix}.embeddings.patch_embedding.weight": Weights((width, 3, patch, patch), 0.1),
        f"{prefix}.embeddings.patch_embedding.bias": bias(width),
        f"{prefix}.embeddings.position_embedding.weight": Weights(((vision["image_size"] // patch) ** 2, width), 0.3),
    }
    for layer in (f"{prefix}.encoder.layers.{index}" for index in range(vision["num_hidden_layers"])):
        tensors |= _layer_norm(f"{layer}.layer_norm1", width) | _layer_norm(f"{layer}.layer_norm2", width)
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            tensors |= _linear(f"{layer}.self_attn.{name}", width, width)
        tensors |= _linear(f"{layer}.mlp.fc1", n_ff, width) | _linear(f"{layer}.mlp.fc2", width, n_ff)
    return tensors | _layer_norm(f"{prefix}.post_layernorm", width)


def _split(config: Config) -> tuple[Config, Config]:
    """What stands at the top of a config.json, and what under `text_config`."""
    return (
        {key: value for key, value in config.items() if key in _NOT_OF_TEXT},
        {key: value for key, value in config.items() if key not in _NOT_OF_TEXT},
    )


def _linear(name: str, n_out: int, n_in: int) -> Tensors:
    return {f"{name}.weight": matrix(n_out, n_in), f"{name}.bias": bias(n_out)}


def _layer_norm(name: str, n: int) -> Tensors:
    return {f"{name}.weight": norm(n), f"{name}.bias": bias(n)}
