"""What has to hold between the values of a model's header, so that llama.cpp can neither crash nor hang on them.

llama.cpp checks much and reports it; but some values end the whole process (`GGML_ASSERT`, a C++ exception that
leaves its C API) or send it into an endless loop. Each check here stands for one of those, found by reading its sources
and by mutating headers (tests/test_gguf_header.py).
"""

from __future__ import annotations

import math
import re
from typing import Any

from edgeai.gguf_reader import HeaderReader
from edgeai.gguf_types import GGUFHeader
from edgeai.gguf_vocab import check_vocabulary

_MAX_LAYERS = 512  # LLAMA_MAX_LAYERS
_MAX_EXPERTS = 1024  # LLAMA_MAX_EXPERTS
_MAX_COUNT = 2**31 - 1
_MAX_WIDTH = 2**24
_ROPE_SCALING = ("none", "linear", "yarn", "longrope")
_EPSILONS = ("attention.layer_norm_epsilon", "attention.layer_norm_rms_epsilon", "attention.group_norm_epsilon")
_ALWAYS_F32 = re.compile(r"norm(\.weight)?$|\.bias$|\.ssm_(a|d|conv1d\.weight)$|\.shortconv\.conv\.weight$")
_NOT_FOR_WEIGHTS = ("I8", "I16", "I32", "I64", "F64", "Q8_1", "Q8_K")  # llama.cpp has no matrix product for them
_OTHER_KINDS = {
    "adapter": "a LoRA adapter, not a model: it needs the model it was made for",
    "imatrix": "an importance matrix for quantization, not a model",
    "vocab": "a vocabulary without weights, not a model",
}


def check_model(header: GGUFHeader, reader: HeaderReader) -> None:
    """Refuse what llama.cpp would crash on. A projector (architecture `clip`) has no layers or vocabulary to check.

    Raises:
        ModelFormatError: naming the key, its value and what was expected.
    """
    checks = _Checks(header, reader)
    checks.kind()
    if header.architecture == "clip":
        return
    check_vocabulary(header, reader)
    checks.tensor_types()
    checks.layers()
    checks.heads()
    checks.rope()
    checks.experts()
    checks.state_space()
    checks.numbers()


class _Checks:
    def __init__(self, header: GGUFHeader, reader: HeaderReader) -> None:
        self._header = header
        self._reader = reader
        self._n_layer = 0

    def kind(self) -> None:
        metadata, fail = self._header.metadata, self._reader.fail
        kind = metadata.get("general.type", "model")
        if kind in _OTHER_KINDS:
            fail(f"this is {_OTHER_KINDS[kind]}", "choose a model's .gguf file")
        architecture = metadata.get("general.architecture")
        if not isinstance(architecture, str) or not architecture or not architecture.isprintable():
            fail(f"general.architecture = {_short(architecture)}, expected a name such as 'llama'")
        n_parts = metadata.get("split.count", 0)
        if isinstance(n_parts, int) and n_parts > 1:
            part = metadata.get("split.no", 0)
            part = part + 1 if isinstance(part, int) else "?"
            fail(
                f"this is part {part} of {n_parts} of a split model",
                "join the parts first: llama-gguf-split --merge FIRST-PART OUTPUT",
            )
        if not self._header.tensors:
            fail("the file has no tensors, so it is not a model", "choose a model's .gguf file")

    def tensor_types(self) -> None:
        for tensor in self._header.tensors:
            is_vector = len(tensor.shape) < 2 or max(tensor.shape[1:]) == 1
            if tensor.type != "F32" and (is_vector or _ALWAYS_F32.search(tensor.name)):
                self._reader.fail(f"{tensor.name} has the type {tensor.type}, expected F32")
            if tensor.type in _NOT_FOR_WEIGHTS:
                self._reader.fail(f"{tensor.name} has the type {tensor.type}, which no weights can have")

    def layers(self) -> None:
        self._n_layer = self._count("block_count", 1, _MAX_LAYERS)
        self._count("context_length", 1, _MAX_COUNT)
        self._count("embedding_length", 1, _MAX_WIDTH)
        self._sliding_window()
        self._count("nextn_predict_layers", 0, self._n_layer - 1, required=False)
        self._count("attention.shared_kv_layers", 0, max(self._n_layer - 2, 0), required=False)
        self._count("full_attention_interval", 1, _MAX_LAYERS, required=False)

    def _sliding_window(self) -> None:
        n_swa = self._count("attention.sliding_window", 0, 2**30, required=False)
        pattern = self._header["attention.sliding_window_pattern"]
        if n_swa and (pattern == 1 or (isinstance(pattern, tuple) and not any(pattern[: self._n_layer]))):
            self._fail("attention.sliding_window_pattern", pattern, "a pattern in which some layer has a window")

    def heads(self) -> None:
        heads = self._per_layer("attention.head_count")
        kv_heads = self._per_layer("attention.head_count_kv")
        if heads is None:
            return
        if heads[0] == 0 and any(heads):
            self._fail(
                "attention.head_count",
                list(heads[:8]),
                "heads in layer 0 (llama.cpp takes the rotary width from it and would never finish a token: "
                "PLaMo 2 files of its own converter are like that)",
                "convert the model again with one head_count for all layers",
            )
        for layer, (n_head, n_head_kv) in enumerate(zip(heads, kv_heads or heads, strict=True)):
            if n_head and n_head_kv and (n_head_kv > n_head or n_head % n_head_kv):
                self._fail("attention.head_count_kv", n_head_kv, f"a divisor of head_count = {n_head} (layer {layer})")
        if heads[0] and not isinstance(self._header["attention.key_length"], int):
            width = self._header["embedding_length"]
            if width < heads[0]:
                self._fail("embedding_length", width, f"at least one column for each of {heads[0]} heads")
        if any(heads) and kv_heads and not any(kv_heads):
            self._fail("attention.head_count_kv", 0, "at least one head in some layer")

    def rope(self) -> None:
        for suffix in ("", "_swa"):
            for name in ("key_length", "value_length"):
                self._count(f"attention.{name}{suffix}", 1, _MAX_WIDTH, required=False)
            n_rot = self._count(f"rope.dimension_count{suffix}", 1, _MAX_WIDTH, required=False)
            if n_rot is not None and n_rot % 2:
                self._fail(f"rope.dimension_count{suffix}", n_rot, "an even number")
        scaling = self._header["rope.scaling.type"]
        if scaling is not None and scaling not in _ROPE_SCALING:
            self._fail("rope.scaling.type", scaling, f"one of {', '.join(_ROPE_SCALING)}")
        sections = self._header["rope.dimension_sections"]
        if sections is not None and not (_all_counts(sections, 4) and any(sections[:3])):
            self._fail("rope.dimension_sections", sections, "up to four numbers, not all 0")

    def experts(self) -> None:
        n_expert = self._count("expert_count", 0, _MAX_EXPERTS, required=False) or 0
        used = self._per_layer("expert_used_count") or (0,)
        if max(used) > n_expert or (n_expert and not max(used)):
            self._fail("expert_used_count", max(used), f"1 to expert_count = {n_expert}" if n_expert else "0")
        n_groups = self._count("expert_group_count", 0, max(n_expert - 1, 0), required=False) or 0
        if n_groups > 1:
            if n_expert % n_groups:
                self._fail("expert_group_count", n_groups, f"a divisor of expert_count = {n_expert}")
            self._count("expert_group_used_count", 1, n_groups - 1)

    def state_space(self) -> None:
        """Recurrent layers: llama.cpp divides by the number of heads and of groups."""
        self._count("shortconv.l_cache", 1, 1024, required=False)
        if self._header["ssm.inner_size"] is None:
            return
        inner = self._count("ssm.inner_size", 1, _MAX_WIDTH)
        n_heads = self._count("ssm.time_step_rank", 0, _MAX_WIDTH, required=False)
        n_groups = self._count("ssm.group_count", 0, _MAX_WIDTH, required=False)
        self._count("ssm.state_size", 1, _MAX_WIDTH)
        self._count("ssm.conv_kernel", 1, 1024)
        if n_groups and self._header.architecture == "plamo2":
            self._fail("ssm.group_count", n_groups, "0 for this architecture")
        if n_groups and inner % n_groups:
            self._fail("ssm.group_count", n_groups, f"a divisor of ssm.inner_size = {inner}")
        if (
            self._header.architecture not in ("mamba", "jamba")
            and n_heads is not None
            and (not n_heads or inner % n_heads)
        ):
            self._fail("ssm.time_step_rank", n_heads, f"a divisor of ssm.inner_size = {inner}")

    def numbers(self) -> None:
        for name in _EPSILONS:
            value = self._header[name]
            if value is not None and not (isinstance(value, float) and 0 <= value < 1):
                self._fail(name, value, "a number from 0 to 1")
        prefix = f"{self._header.architecture}."
        for key, value in self._header.metadata.items():
            if key.startswith(prefix) and isinstance(value, float) and not math.isfinite(value):
                self._fail(key.removeprefix(prefix), value, "a finite number")

    def _count(self, name: str, low: int, high: int, *, required: bool = True) -> Any:
        value = self._header[name]
        if value is None and not required:
            return None
        if not _is_count(value) or not low <= value <= high:
            self._fail(name, value, f"a number from {low} to {high:,}")
        return value

    def _per_layer(self, name: str) -> tuple[int, ...] | None:
        """One number for each layer, or one for all; None where the key is missing."""
        value = self._header[name]
        if value is None:
            return None
        if _is_count(value) and value <= _MAX_WIDTH:
            return (value,) * self._n_layer
        if not _all_counts(value, self._n_layer) or len(value) != self._n_layer:
            self._fail(name, value, f"a number, or {self._n_layer} numbers")
        return tuple(value)

    def _fail(self, name: str, value: object, expected: str, advice: str = "") -> None:
        problem = f"{self._header.architecture}.{name} = {_short(value)}, expected {expected}"
        if advice:
            self._reader.fail(problem, advice)
        self._reader.fail(problem)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _all_counts(value: object, at_most: int) -> bool:
    return (
        isinstance(value, tuple)
        and len(value) <= at_most
        and all(_is_count(item) and item <= _MAX_WIDTH for item in value)
    )


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"
