"""What has to hold between the values of a model's header, so that llama.cpp can neither crash nor hang on them.

llama.cpp checks much and reports it; but some values end the whole process (`GGML_ASSERT`, a C++ exception that
leaves its C API) or send it into an endless loop. Each check here stands for one of those, found by reading its sources
and by mutating headers (tests/test_gguf_header.py).
"""

from __future__ import annotations

import math
import re

from edgeai.gguf_attention import check_attention
from edgeai.gguf_keys import MAX_WIDTH, Keys, shortened
from edgeai.gguf_reader import HeaderReader
from edgeai.gguf_types import GGUFHeader
from edgeai.gguf_vocab import check_vocabulary

_MAX_LAYERS = 512  # LLAMA_MAX_LAYERS
_MAX_EXPERTS = 1024  # LLAMA_MAX_EXPERTS
_MAX_COUNT = 2**31 - 1
_EPSILONS = ("attention.layer_norm_epsilon", "attention.layer_norm_rms_epsilon", "attention.group_norm_epsilon")
_ALWAYS_F32 = re.compile(r"norm(\.weight)?$|\.bias$|\.ssm_(a|d|conv1d\.weight)$|\.shortconv\.conv\.weight$")
_NOT_FOR_WEIGHTS = ("I8", "I16", "I32", "I64", "F64", "Q8_1", "Q8_K")  # llama.cpp has no matrix product for them
_OTHER_KINDS = {
    "adapter": "a LoRA adapter, not a model: it needs the model it was made for",
    "imatrix": "an importance matrix for quantization, not a model",
    "vocab": "a vocabulary without weights, not a model",
}
_DRAFTS = ("eagle3", "dflash", "gemma4-assistant")
_MAMBA1 = ("mamba", "jamba")


def check_model(header: GGUFHeader, reader: HeaderReader) -> None:
    """Refuse what llama.cpp would crash on. A projector (architecture `clip`) has no layers or vocabulary to check.

    Raises:
        ModelFormatError: naming the key, its value and what was expected.
    """
    _check_kind(header, reader)
    if header.architecture == "clip":
        return
    check_vocabulary(header, reader)
    _check_tensor_types(header, reader)
    keys = Keys(header, reader)
    n_layer = _check_layers(keys)
    check_attention(keys, n_layer)
    _check_experts(keys, n_layer)
    _check_recurrent(keys)
    _check_numbers(keys)


def _check_kind(header: GGUFHeader, reader: HeaderReader) -> None:
    metadata = header.metadata
    kind = metadata.get("general.type", "model")
    if kind in _OTHER_KINDS:
        reader.fail(f"this is {_OTHER_KINDS[kind]}", "choose a model's .gguf file")
    architecture = metadata.get("general.architecture")
    if not isinstance(architecture, str) or not architecture or not architecture.isprintable():
        reader.fail(f"general.architecture = {shortened(architecture)}, expected a name such as 'llama'")
    if architecture in _DRAFTS:
        reader.fail("this is a draft model for speculative decoding", "choose the model that it was made for")
    n_parts = metadata.get("split.count", 0)
    if isinstance(n_parts, int) and n_parts > 1:
        part = metadata.get("split.no", 0)
        part = part + 1 if isinstance(part, int) else "?"
        advice = "join the parts first: llama-gguf-split --merge FIRST-PART OUTPUT"
        reader.fail(f"this is part {part} of {n_parts} of a split model", advice)
    if not header.tensors:
        reader.fail("the file has no tensors, so it is not a model", "choose a model's .gguf file")


def _check_tensor_types(header: GGUFHeader, reader: HeaderReader) -> None:
    for tensor in header.tensors:
        is_vector = len(tensor.shape) < 2 or max(tensor.shape[1:]) == 1
        if tensor.type != "F32" and (is_vector or _ALWAYS_F32.search(tensor.name)):
            reader.fail(f"{tensor.name} has the type {tensor.type}, expected F32")
        if tensor.type in _NOT_FOR_WEIGHTS:
            reader.fail(f"{tensor.name} has the type {tensor.type}, which no weights can have")


def _check_layers(keys: Keys) -> int:
    n_layer: int = keys.count("block_count", 1, _MAX_LAYERS)
    keys.count("context_length", 1, _MAX_COUNT)
    keys.count("embedding_length", 1, MAX_WIDTH)
    keys.count("nextn_predict_layers", 0, n_layer - 1, required=False)
    keys.count("attention.shared_kv_layers", 0, max(n_layer - 2, 0), required=False)
    keys.count("full_attention_interval", 1, _MAX_LAYERS, required=False)
    n_swa = keys.count("attention.sliding_window", 0, 2**30, required=False)
    pattern = keys.header["attention.sliding_window_pattern"]
    if n_swa and (pattern == 1 or (isinstance(pattern, tuple) and not any(pattern[:n_layer]))):
        keys.fail("attention.sliding_window_pattern", pattern, "a pattern in which some layer has a window")
    return n_layer


def _check_experts(keys: Keys, n_layer: int) -> None:
    architecture = keys.header.architecture
    n_expert = keys.count("expert_count", 0, _MAX_EXPERTS, required=False) or 0
    used = keys.per_layer("expert_used_count", n_layer) or (0,)
    if max(used) > n_expert or (n_expert and not max(used)):
        keys.fail("expert_used_count", max(used), f"1 to expert_count = {n_expert}" if n_expert else "0")
    if not n_expert and ("moe" in architecture or architecture in ("smallthinker", "qwen3next")):
        keys.fail("expert_count", n_expert, "at least one expert for this architecture")
    n_groups = keys.count("expert_group_count", 0, max(n_expert - 1, 0), required=False) or 0
    if n_groups > 1:
        if n_expert % n_groups:
            keys.fail("expert_group_count", n_groups, f"a divisor of expert_count = {n_expert}")
        keys.count("expert_group_used_count", 1, n_groups - 1)


def _check_recurrent(keys: Keys) -> None:
    """llama.cpp divides by the numbers of heads and groups, and asserts some relations to the model's width."""
    architecture = keys.header.architecture
    keys.count("shortconv.l_cache", 1, 1024, required=False)
    if keys.header["ssm.inner_size"] is None:
        return
    inner = keys.count("ssm.inner_size", 1, MAX_WIDTH)
    n_heads = keys.count("ssm.time_step_rank", 0, MAX_WIDTH, required=False)
    n_groups = keys.count("ssm.group_count", 0, MAX_WIDTH, required=False)
    keys.count("ssm.state_size", 1, MAX_WIDTH)
    keys.count("ssm.conv_kernel", 1, 1024)
    if architecture == "plamo2" and n_groups:
        keys.fail("ssm.group_count", n_groups, "0 for this architecture")
    if architecture in ("jamba", "granitehybrid") and inner != 2 * keys.header["embedding_length"]:
        keys.fail("ssm.inner_size", inner, f"twice the embedding_length {keys.header['embedding_length']}")
    if architecture in _MAMBA1:
        return
    if n_groups is not None and architecture != "plamo2" and (not n_groups or inner % n_groups):
        keys.fail("ssm.group_count", n_groups, f"a divisor of ssm.inner_size = {inner}")
    if n_heads is not None and (not n_heads or inner % n_heads):
        keys.fail("ssm.time_step_rank", n_heads, f"a divisor of ssm.inner_size = {inner}")


def _check_numbers(keys: Keys) -> None:
    for name in _EPSILONS:
        value = keys.header[name]
        if value is not None and not (isinstance(value, float) and 0 <= value < 1):
            keys.fail(name, value, "a number from 0 to 1")
    prefix = f"{keys.header.architecture}."
    for key, value in keys.header.metadata.items():
        if key.startswith(prefix) and isinstance(value, float) and not math.isfinite(value):
            keys.fail(key.removeprefix(prefix), value, "a finite number")
