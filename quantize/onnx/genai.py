"""genai_config.json: what ONNX Runtime GenAI wants to know of a decoder, and our own Session too.

Source: src/python/py/models/builders/base.py and src/models/model_type.h of microsoft/onnxruntime-genai for the file's
layout and the names of the kinds; src/llama-vocab.cpp of ggml-org/llama.cpp for the tokens that end a turn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gguf import TokenType

from edgeai.errors import CheckpointError
from quantize.base import Meta
from quantize.checkpoint import Checkpoint
from quantize.onnx.parts import Decoder
from quantize.onnx.writer import MODEL_FILE

_KINDS = {  # GenAI's names of llama.cpp's architectures
    **{name: name for name in ("llama", "phi3", "qwen2", "qwen3", "gemma2")},
    **{"phi2": "phi", "gemma3": "gemma3_text", "qwen2vl": "qwen2", "qwen3vl": "qwen3"},
}
_OTHER_KIND = "decoder"
_INPUTS = {
    "input_ids": "input_ids",
    "attention_mask": "attention_mask",
    "past_key_names": "past_key_values.%d.key",
    "past_value_names": "past_key_values.%d.value",
}
_OUTPUTS = {"logits": "logits", "present_key_names": "present.%d.key", "present_value_names": "present.%d.value"}
_ENDS_OF_TURNS = (
    *("<|eot_id|>", "<|eom_id|>", "<|im_end|>", "<|end|>", "<|return|>", "<|call|>", "<end_of_turn>", "<|endoftext|>"),
    *("<|end_of_text|>", "<EOT>", "_<EOT>", "[EOT]", "[EOS]", "<|END_OF_TURN_TOKEN|>", "<end_of_utterance>"),
)


def genai_config(decoder: Decoder, metadata: Sequence[Meta], ends: Sequence[int]) -> dict[str, Any]:
    """The file's content.

    Args:
        decoder: what the graph computes.
        metadata: the model's.
        ends: tokens that end a text or a turn, the first one first; see `end_tokens`.
    """
    found = {meta.key: meta.value for meta in metadata}
    return {
        "model": {
            "bos_token_id": found.get("tokenizer.ggml.bos_token_id", ends[0]),
            "context_length": decoder.n_ctx_train,
            "decoder": {
                "session_options": {"log_id": "onnxruntime-genai", "provider_options": []},
                "filename": MODEL_FILE,
                "head_size": decoder.head_dim,
                "hidden_size": decoder.n_embd,
                "inputs": _INPUTS,
                "outputs": _OUTPUTS,
                "num_attention_heads": decoder.n_heads,
                "num_hidden_layers": decoder.n_layers,
                "num_key_value_heads": decoder.n_heads_kv,
            },
            "eos_token_id": list(ends) if len(ends) > 1 else ends[0],
            "pad_token_id": found.get("tokenizer.ggml.padding_token_id", ends[0]),
            "type": _KINDS.get(decoder.arch, _OTHER_KIND),
            "vocab_size": decoder.n_vocab,
        },
        "search": _search(found, decoder.n_ctx_train),
    }


def end_tokens(metadata: Sequence[Meta], checkpoint: Checkpoint | None) -> list[int]:
    """The tokens that end a text or a turn, without repetition.

    Args:
        metadata: the model's.
        checkpoint: the folder it comes from, whose generation_config.json may name more; None for a GGUF file.
    """
    found = {meta.key: meta.value for meta in metadata}
    named = [found.get(f"tokenizer.ggml.{name}_token_id") for name in ("eos", "eot", "eom")]
    saved = checkpoint.generation_config.get("eos_token_id") if checkpoint is not None else None
    named += saved if isinstance(saved, list) else [saved]
    tokens, kinds = found.get("tokenizer.ggml.tokens", ()), found.get("tokenizer.ggml.token_type", ())
    named += [
        index
        for index, (token, kind) in enumerate(zip(tokens, kinds, strict=False))
        if kind == TokenType.CONTROL and token in _ENDS_OF_TURNS
    ]
    n_tokens = len(tokens)
    known = [int(item) for item in named if isinstance(item, int) and 0 <= item < n_tokens]
    if not known:
        raise CheckpointError(
            "no token ends a text: expected eos_token in tokenizer_config.json, or eos_token_id in config.json; "
            "fetch the checkpoint's tokenizer files again"
        )
    return list(dict.fromkeys(known))


def _search(found: Mapping[str, Any], n_ctx: int) -> dict[str, Any]:
    """How GenAI samples where it is told nothing else; what the checkpoint's makers recommend counts."""
    sampling = {key.removeprefix("general.sampling."): value for key, value in found.items() if "sampling." in key}
    return {
        "diversity_penalty": 0.0,
        "do_sample": False,
        "early_stopping": True,
        "length_penalty": 1.0,
        "max_length": n_ctx,
        "min_length": 0,
        "no_repeat_ngram_size": 0,
        "num_beams": 1,
        "num_return_sequences": 1,
        "past_present_share_buffer": True,
        "repetition_penalty": sampling.get("penalty_repeat", 1.0),
        "temperature": sampling.get("temp", 1.0),
        "top_k": sampling.get("top_k", 50),
        "top_p": sampling.get("top_p", 1.0),
    }
