"""What has to hold between the values of a model's header, so that llama.cpp can neither crash nor hang on them.

llama.cpp checks much and reports it; but some values end the whole process (`GGML_ASSERT`, a C++ exception that
leaves its C API) or send it into an endless loop. Each check here and in the modules beside it stands for one of those,
found by reading its sources (the release that llama-cpp-python 0.3.36 carries) and by mutating headers.

What holds for every architecture is checked for every one, known or not; what only some of them assert, for those.
"""

from __future__ import annotations

import math

from edgeai.gguf_attention import check_attention
from edgeai.gguf_experts import check_experts
from edgeai.gguf_families import check_family
from edgeai.gguf_keys import MAX_COUNT, MAX_LAYERS, MAX_WIDTH, UNSET, Keys, shortened
from edgeai.gguf_reader import HeaderReader
from edgeai.gguf_recurrent import check_recurrent
from edgeai.gguf_tensors import check_tensors
from edgeai.gguf_types import GGUFHeader
from edgeai.gguf_vocab import check_vocabulary
from edgeai.gguf_windows import check_windows

_MAX_NAME = 64
_EPSILONS = ("attention.layer_norm_epsilon", "attention.layer_norm_rms_epsilon", "attention.group_norm_epsilon")
_WITHOUT_BOUND = ("kda.gate_lower_bound",)  # minus infinity, in headers that llama.cpp itself has written
_OTHER_KINDS = {
    "adapter": "a LoRA adapter, not a model: it needs the model it was made for",
    "imatrix": "an importance matrix for quantization, not a model",
    "vocab": "a vocabulary without weights, not a model",
}
_DRAFTS = ("eagle3", "dflash", "gemma4-assistant")
# Vectors' lengths: llama.cpp compares most with tensors, and multiplies some in 32 bits before it does.
_WIDTHS = """
    embedding_length_out embedding_length_per_layer_input expert_shared_feed_forward_length
    expert_chunk_feed_forward_length expert_latent_length moe_latent_size attention.q_lora_rank
    attention.indexer.head_count attention.indexer.key_length time_mix_extra_dim time_decay_extra_dim
    attention.decay_lora_rank attention.iclr_lora_rank attention.value_residual_mix_lora_rank
    attention.gate_lora_rank vocab_size target_hidden_size features_length
"""


def check_model(header: GGUFHeader, reader: HeaderReader) -> None:
    """Refuse what llama.cpp would crash on. A projector (architecture `clip`) has no layers or vocabulary to check.

    Raises:
        ModelFormatError: naming the key or tensor, its value and what was expected.
    """
    _check_kind(header, reader)
    if header.architecture == "clip":
        return
    _check_template(header, reader)
    check_vocabulary(header, reader)
    check_tensors(header, reader)
    keys = Keys(header, reader)
    n_layer = _check_layers(keys)
    check_attention(keys, n_layer)
    check_windows(keys, n_layer)
    check_experts(keys, n_layer)
    check_recurrent(keys, n_layer)
    check_family(keys, n_layer)
    _check_numbers(keys)


def check_vocabulary_alone(header: GGUFHeader, reader: HeaderReader) -> None:
    """The same for a file that is loaded with llama.cpp's vocab_only: neither its layers nor its tensors count."""
    _check_architecture(header, reader)
    _check_split(header, reader)
    _check_template(header, reader)
    check_vocabulary(header, reader)


def _check_kind(header: GGUFHeader, reader: HeaderReader) -> None:
    metadata = header.metadata
    kind = metadata.get("general.type", "model")
    if isinstance(kind, str) and kind in _OTHER_KINDS:
        reader.fail(f"this is {_OTHER_KINDS[kind]}", "choose a model's .gguf file")
    if _check_architecture(header, reader) in _DRAFTS:
        reader.fail("this is a draft model for speculative decoding", "choose the model that it was made for")
    _check_split(header, reader)
    if not header.tensors:
        reader.fail("the file has no tensors, so it is not a model", "choose a model's .gguf file")


def _check_architecture(header: GGUFHeader, reader: HeaderReader) -> str:
    architecture = header.metadata.get("general.architecture")
    if not isinstance(architecture, str) or not architecture.isprintable() or not 0 < len(architecture) <= _MAX_NAME:
        reader.fail(f"general.architecture = {shortened(architecture)}, expected a name such as 'llama'")
    return architecture


def _check_split(header: GGUFHeader, reader: HeaderReader) -> None:
    n_parts = header.metadata.get("split.count", 0)
    if isinstance(n_parts, int) and n_parts > 1:
        # llama.cpp would open the other parts by itself, unchecked
        part = header.metadata.get("split.no", 0)
        part = part + 1 if isinstance(part, int) else "?"
        advice = "join the parts first: llama-gguf-split --merge FIRST-PART OUTPUT"
        reader.fail(f"this is part {part} of {n_parts} of a split model (split.count)", advice)


def _check_template(header: GGUFHeader, reader: HeaderReader) -> None:
    """It is hostile text as any other, and rendered in a sandbox; a huge one would only cost time."""
    for key, value in header.metadata.items():
        if key.startswith("tokenizer.chat_template") and not isinstance(value, (str, tuple)):
            reader.fail(f"{key} = {shortened(value)}, expected a text of at most a megabyte")


def _check_layers(keys: Keys) -> int:
    n_layer: int = keys.count("block_count", 1, MAX_LAYERS)
    keys.count("context_length", 1, MAX_COUNT)
    keys.count("embedding_length", 1, MAX_WIDTH)
    keys.count("nextn_predict_layers", 0, n_layer - 1, required=False)
    keys.count("leading_dense_block_count", 0, MAX_LAYERS, required=False)
    keys.count("full_attention_interval", 1, MAX_LAYERS, required=False)
    keys.count("n_deepstack_layers", 0, n_layer - 1, required=False)  # of the last one, only the wanted rows are left
    keys.per_layer("feed_forward_length", n_layer)
    for name in _WIDTHS.split():
        keys.count(name, 0, MAX_WIDTH, required=False)
    return n_layer


def _check_numbers(keys: Keys) -> None:
    """Numbers that no check knows: finite, and what llama.cpp keeps in 32 bits fits there."""
    for name in _EPSILONS:
        value = keys.header[name]
        if value is not None and not (isinstance(value, float) and 0 <= value < 1):
            keys.fail(name, value, "a number from 0 to 1")
    prefix = f"{keys.header.architecture}."
    for key, value in keys.header.metadata.items():
        if not key.startswith(prefix):
            continue
        name = key.removeprefix(prefix)
        if isinstance(value, float) and not math.isfinite(value) and name not in _WITHOUT_BOUND:
            keys.fail(name, value, "a finite number")
        if isinstance(value, int) and not -1 <= value <= MAX_COUNT and value != UNSET:
            keys.fail(name, value, f"a number up to {MAX_COUNT:,}")
