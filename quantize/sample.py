"""A few layers of a model, standing for all of them where the whole is too large to be quantized many times.

What such a cut model writes makes no sense, but its layers have the shapes and the weights of the whole, so that types
can be compared on it: their speed, and how far each drifts from the same layers in F16.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from gguf import GGUFValueType

from quantize.base import Meta, Tensor
from quantize.imatrix import Imatrix
from quantize.pipeline import Model

_LAYER = re.compile(r"blk\.(\d+)\.")

# Keys of an architecture that say something of its first or last layers: how many of these they are.
_FIRST = ("leading_dense_block_count", "hash_layer_count", "n_deepstack_layers")
_LAST = ("nextn_predict_layers", "attention.shared_kv_layers")
# Keys by which every so many layers one is of another kind, counted from the first.
_EVERY = (
    "attention.sliding_window_pattern",
    "full_attention_interval",
    "interleave_moe_layer_step",
    "moe_every_n_layers",
)
# The same in architectures whose files need not say it: llama.cpp's own numbers. First those of recurrent layers.
_HYBRID = {"qwen3next": 4, "qwen35": 4, "qwen35moe": 4}
_USUAL = {
    **_HYBRID,
    **{"gemma2": 2, "gpt-oss": 2, "cohere2": 4, "exaone4": 4, "llama4": 4, "olmo2": 4, "smallthinker": 4},
    **{"gemma3n": 5, "gemma3": 6, "plamo3": 8},
}
_NO_LAYERS = ("rope.dimension_sections",)  # arrays that say nothing of layers, even where they are as long


def n_layers(model: Model) -> int:
    """Layers of a model; 0 where its metadata does not say."""
    count = _own_keys(model).get("block_count")
    return count.value if count is not None and isinstance(count.value, int) else 0


def layer_of(name: str) -> int | None:
    """The layer that a tensor belongs to, by its GGUF name; None for those outside of the layers."""
    found = _LAYER.match(name)
    return int(found[1]) if found else None


def period(model: Model) -> int:
    """After how many layers the kinds of layers come again: 1 where llama.cpp takes no layer's kind from its number."""
    keys = _own_keys(model)
    steps = [keys[name].value for name in _EVERY if name in keys]
    counts = [step for step in steps if isinstance(step, int) and step > 0]
    if not any(name in keys for name in _EVERY[:2]):
        counts.append(_USUAL.get(_architecture(model), 1))
    return math.lcm(*counts)


def spread(n_all: int, n_taken: int, period: int = 1) -> list[int]:
    """Layers from the first to the last, as evenly as can be.

    Args:
        n_all: layers of the model.
        n_taken: how many to take.
        period: the kinds of layers come again after so many. Each layer that is taken gets a number of its own kind.
    """
    if n_taken >= n_all:
        return list(range(n_all))
    if n_taken < 2:
        return [0]
    even = (round(index * (n_all - 1) / (n_taken - 1)) for index in range(n_taken))
    return [layer - (layer - index) % period for index, layer in enumerate(even)]


def sample_layers(model: Model, n_taken: int) -> list[int]:
    """Layers that stand for all of a model.

    Where some are recurrent and others attend, there are both, even if that is more than `n_taken`: llama.cpp ends the
    process when it finds one kind only.
    """
    n_all, keys = n_layers(model), _own_keys(model)
    if "full_attention_interval" in keys or _architecture(model) in _HYBRID:
        n_taken = max(n_taken, period(model))
    layers = spread(n_all, n_taken, period(model))
    heads = keys.get("attention.head_count_kv")
    if heads is not None and _is_by_layer(heads, n_all):
        last_of_kind = {bool(heads.value[layer]): layer for layer in range(n_all)}
        kinds = {bool(heads.value[layer]) for layer in layers}
        layers = sorted({*layers, *(layer for kind, layer in last_of_kind.items() if kind not in kinds)})
    return layers


def sampled(model: Model, layers: Sequence[int]) -> Model:
    """The model with these of its layers only, numbered from 0, and with what its metadata says of each."""
    n_all, renamed = n_layers(model), {layer: index for index, layer in enumerate(layers)}
    tensors = [tensor for item in model.tensors if (tensor := _moved(item, renamed)) is not None]
    prefix = f"{_architecture(model)}."
    metadata = [
        _cut(meta, meta.key.removeprefix(prefix), n_all, layers) if meta.key.startswith(prefix) else meta
        for meta in model.metadata
    ]
    return Model(metadata, tensors)


def sampled_imatrix(imatrix: Imatrix, layers: Sequence[int]) -> Imatrix:
    """What an importance matrix says of these layers, under their new numbers."""
    renamed = {layer: index for index, layer in enumerate(layers)}
    names = {name: _new_name(name, renamed) for name in imatrix.entries}
    return replace(imatrix, entries={new: imatrix.entries[old] for old, new in names.items() if new is not None})


def _moved(tensor: Tensor, renamed: Mapping[int, int]) -> Tensor | None:
    name = _new_name(tensor.name, renamed)
    return None if name is None else replace(tensor, name=name)


def _new_name(name: str, renamed: Mapping[int, int]) -> str | None:
    layer = layer_of(name)
    if layer is None:
        return name
    return _LAYER.sub(f"blk.{renamed[layer]}.", name, count=1) if layer in renamed else None


def _cut(meta: Meta, name: str, n_all: int, layers: Sequence[int]) -> Meta:
    """A key of the architecture, `name` without its prefix, as it holds of these layers."""
    if name == "block_count":
        return replace(meta, value=len(layers))
    if isinstance(meta.value, int) and name in (*_FIRST, *_LAST):
        first, stop = (0, meta.value) if name in _FIRST else (n_all - meta.value, n_all)
        return replace(meta, value=sum(first <= layer < stop for layer in layers))
    if _is_by_layer(meta, n_all) and name not in _NO_LAYERS:
        return replace(meta, value=[meta.value[layer] for layer in layers])
    if meta.type == GGUFValueType.ARRAY and name == _EVERY[0]:  # one that is shorter: further layers have no window
        return replace(meta, value=[layer < len(meta.value) and meta.value[layer] for layer in layers])
    return meta


def _is_by_layer(meta: Meta, n_all: int) -> bool:
    return meta.type == GGUFValueType.ARRAY and len(meta.value) == n_all


def _architecture(model: Model) -> str:
    return next((str(meta.value) for meta in model.metadata if meta.key == "general.architecture"), "")


def _own_keys(model: Model) -> dict[str, Meta]:
    """The keys of the model's own architecture, without its prefix."""
    prefix = f"{_architecture(model)}."
    return {meta.key.removeprefix(prefix): meta for meta in model.metadata if meta.key.startswith(prefix)}
