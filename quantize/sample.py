"""A few layers of a model, standing for all of them where the whole is too large to be quantized many times.

What such a cut model writes makes no sense, but its layers have the shapes and the weights of the whole, so that types
can be compared on it: their speed, and how far each drifts from the same layers in F16.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from gguf import GGUFValueType

from quantize.base import Meta, Tensor
from quantize.imatrix import Imatrix
from quantize.pipeline import Model

_LAYER = re.compile(r"blk\.(\d+)\.")


def n_layers(model: Model) -> int:
    """Layers of a model; 0 where its metadata does not say."""
    counts = [meta.value for meta in model.metadata if meta.key.endswith(".block_count")]
    return counts[0] if counts and isinstance(counts[0], int) else 0


def layer_of(name: str) -> int | None:
    """The layer that a tensor belongs to, by its GGUF name; None for those outside of the layers."""
    found = _LAYER.match(name)
    return int(found[1]) if found else None


def spread(n_all: int, n_taken: int) -> list[int]:
    """Layers from the first to the last, as evenly as can be."""
    if n_taken >= n_all:
        return list(range(n_all))
    if n_taken < 2:
        return [0]
    return [round(index * (n_all - 1) / (n_taken - 1)) for index in range(n_taken)]


def sampled(model: Model, layers: Sequence[int]) -> Model:
    """The model with these of its layers only, numbered from 0, and with what its metadata says for each."""
    n_all, renamed = n_layers(model), {layer: index for index, layer in enumerate(layers)}
    tensors = [tensor for item in model.tensors if (tensor := _moved(item, renamed)) is not None]
    return Model([_cut(meta, n_all, layers) for meta in model.metadata], tensors)


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


def _cut(meta: Meta, n_all: int, layers: Sequence[int]) -> Meta:
    if meta.key.startswith(("general.", "tokenizer.")):
        return meta
    if meta.key.endswith(".block_count"):
        return replace(meta, value=len(layers))
    if meta.type == GGUFValueType.ARRAY and len(meta.value) == n_all:
        return replace(meta, value=[meta.value[layer] for layer in layers])
    return meta
