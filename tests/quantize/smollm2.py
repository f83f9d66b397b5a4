"""A real Hugging Face folder of SmolLM2-135M-Instruct, out of the GGUF that `edgeai` runs by default, without torch.

The weights are those of the Q4_1 file, dequantized and rounded to bfloat16 (269 MB): a real checkpoint in shape and
use, whose quality is that of 4 bits, so that what is measured on it is what quantizing *again* loses. They are the
same bits as in the folder that transformers makes of the file (`make_smollm2` compares them); config.json and the
tokenizer's files are like those the model was published with.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGUFReader, dequantize

from tests.quantize.tiny_families import llama_config
from tests.quantize.tiny_weights import F32, write_safetensors
from tests.quantize.tokenizer_parts import (
    bpe_model,
    byte_level,
    numbered,
    pre_tokenizer,
    token,
    write_json,
    write_tokenizer_config,
    write_tokenizer_json,
)

SPECIAL = {"bos": "<|im_start|>", "eos": "<|im_end|>", "unk": "<|endoftext|>", "pad": "<|im_end|>"}
WEIGHTS_SHA256 = (
    "7ef915c9bf9d94d8d70211970476878352a5b95855c589ae987916d7a455242b"  # of model.safetensors as transformers writes it
)
N_HEADS = {"attn_q": 9, "attn_k": 3}
N_SPECIAL = 17
SMOLLM2_CASE = "smollm2-135m"  # its name in `oracle/`
SMOLLM2_FOLDER = "SmolLM2-135M-Instruct"  # the folder's, from which the converter takes the model's
_NAMES = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


def smollm2_checkpoint(gguf: Path, folder: Path) -> Path:
    """Write config.json, generation_config.json, the tokenizer's files and model.safetensors.

    Args:
        gguf: SmolLM2-135M-Instruct.
        folder: is made.
    Returns:
        folder.
    """
    reader = GGUFReader(gguf)
    folder.mkdir(parents=True, exist_ok=True)
    sources = {_hugging_face_name(tensor.name): tensor for tensor in reader.tensors}
    shapes = {name: tuple(int(size) for size in reversed(tensor.shape)) for name, tensor in sources.items()}
    write_safetensors(folder / "model.safetensors", shapes, lambda name: _values(sources[name]), "bf16")
    ids = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2}
    write_json(folder / "config.json", _config() | ids)
    write_json(folder / "generation_config.json", {"_from_model_config": True, **ids, "transformers_version": "4.42.3"})
    _write_tokenizer(reader, folder)
    return folder


def _config() -> dict[str, Any]:
    return llama_config(
        "none",
        hidden_size=576,
        initializer_range=0.041666666666666664,
        intermediate_size=1536,
        is_llama_config=True,
        max_position_embeddings=8192,
        num_attention_heads=9,
        num_hidden_layers=30,
        num_key_value_heads=3,
        rope_interleaved=False,
        rope_theta=100000,
        tie_word_embeddings=True,
        torch_dtype="bfloat16",
        transformers_version="4.42.3",
        vocab_size=49152,
    )


def _hugging_face_name(name: str) -> str:
    if name.startswith("blk."):
        _, layer, part, suffix = name.split(".")
        return f"model.layers.{layer}.{_NAMES[part]}.{suffix}"
    return {"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight"}[name]


def _values(tensor: Any) -> F32:
    """A tensor's values as they were before conversion: with the halves of each rotated head side by side again."""
    values = np.asarray(dequantize(tensor.data, tensor.tensor_type), dtype=np.float32)
    n_head = N_HEADS.get(tensor.name.split(".")[-2])
    if n_head is None:
        return values
    pairs = values.reshape(n_head, values.shape[0] // n_head // 2, 2, values.shape[1])
    return np.ascontiguousarray(pairs.swapaxes(1, 2)).reshape(values.shape)


def _write_tokenizer(reader: GGUFReader, folder: Path) -> None:
    tokens, merges, chat_template = (
        reader.fields[key].contents()
        for key in ("tokenizer.ggml.tokens", "tokenizer.ggml.merges", "tokenizer.chat_template")
    )
    added = [token(text) for text in tokens[:N_SPECIAL]]
    write_tokenizer_json(
        folder,
        added_tokens=numbered(added, range(N_SPECIAL)),
        normalizer=None,
        pre_tokenizer=pre_tokenizer("smollm"),
        post_processor=None,
        decoder=byte_level(use_regex=True),
        model=bpe_model(tokens, merges),
    )
    flags = {"add_bos_token": False, "add_prefix_space": False}
    write_tokenizer_config(folder, "GPT2Tokenizer", added, range(N_SPECIAL), SPECIAL, chat_template, **flags)
