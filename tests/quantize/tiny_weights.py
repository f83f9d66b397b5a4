"""Random weights that are the same bits on every machine, and safetensors files of them: numpy alone, no torch."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Dtype = Literal["bf16", "f16", "f32"]
F32 = NDArray[np.float32]

_HALVES = 4  # 16-bit numbers whose sum is nearly normal
_MEAN = _HALVES * (2**16 - 1) / 2
_STD = (_HALVES * (2**32 - 1) / 12) ** 0.5
_EVEN = np.uint64(0x0000FFFF0000FFFF)
_CHUNK = 2**16  # numbers drawn at a time, so that a large tensor needs little memory beside itself


@dataclass(frozen=True, slots=True)
class Weights:
    """What to draw for one tensor.

    Attributes:
        shape: numpy's order of axes.
        std: standard deviation.
        mean: mean.
    """

    shape: tuple[int, ...]
    std: float
    mean: float = 0.0


def matrix(n_out: int, n_in: int, gain: float = 1.0) -> Weights:
    """A matrix that keeps a vector's size, times `gain`."""
    return Weights((n_out, n_in), gain * n_in**-0.5)


def norm(*shape: int, mean: float = 1.0) -> Weights:
    """The weights of a norm."""
    return Weights(shape, 0.1, mean)


def bias(n: int) -> Weights:
    """A bias large enough to matter."""
    return Weights((n,), 0.2)


def draw(name: str, weights: Weights, seed: int) -> F32:
    """Values that depend on the tensor's name and the seed alone, nearly normal and at most 3.5 deviations away.

    They come from a bit generator's raw output, which numpy keeps the same between versions (NEP 19), unlike that of
    `Generator.normal`, and from sums of whole numbers, which round nowhere.
    """
    generator = np.random.PCG64(np.random.SeedSequence([seed, zlib.crc32(name.encode())]))
    values = np.empty(int(np.prod(weights.shape)), dtype=np.float32)
    for start in range(0, values.size, _CHUNK):
        part = values[start : start + _CHUNK]
        raw = np.asarray(generator.random_raw(part.size), dtype="<u8")
        pairs = (raw & _EVEN) + ((raw >> np.uint64(16)) & _EVEN)
        sums = ((pairs & np.uint64(0xFFFFFFFF)) + (pairs >> np.uint64(32))).astype(np.float32)  # below 2**24: exact
        part[:] = (sums - np.float32(_MEAN)) * np.float32(weights.std / _STD) + np.float32(weights.mean)
    return values.reshape(weights.shape)


def encode(values: F32, dtype: Dtype) -> bytes:
    """The values' bytes in a checkpoint, rounded to nearest, ties to even."""
    if dtype == "f32":
        return values.astype("<f4").tobytes()
    if dtype == "f16":
        return values.astype("<f2").tobytes()
    bits = np.ascontiguousarray(values, dtype="<f4").view("<u4")
    rounded = (bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)
    return bytes(rounded.astype("<u2").data)


def write_safetensors(
    path: Path, shapes: Mapping[str, tuple[int, ...]], values: Callable[[str], F32], dtype: Dtype
) -> int:
    """Write one file as the safetensors library does: names sorted, the header padded to 8 bytes.

    Args:
        path: the file.
        shapes: of the tensors, by name.
        values: gives a tensor's values; called once for each, in the file's order.
        dtype: of all.
    Returns:
        bytes of tensor data in it.
    Source: the format's description in the README of huggingface/safetensors.
    """
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    size = {"bf16": 2, "f16": 2, "f32": 4}[dtype]
    offset = 0
    for name, shape in sorted(shapes.items()):
        end = offset + size * int(np.prod(shape))
        header[name] = {"dtype": dtype.upper(), "shape": list(shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name in sorted(shapes):
            file.write(encode(values(name), dtype))
    return offset


def write_shards(folder: Path, tensors: Mapping[str, Weights], dtype: Dtype, seed: int, shards: int) -> None:
    """Write random weights as one file, or as several with their index. Every file gets about as many tensors."""

    def write(file: str, names: Iterable[str]) -> int:
        shapes = {name: tensors[name].shape for name in names}
        return write_safetensors(folder / file, shapes, lambda name: draw(name, tensors[name], seed), dtype)

    if shards == 1:
        write("model.safetensors", tensors)
        return
    names = list(tensors)
    weight_map = {}
    total = 0
    for shard in range(shards):
        part = names[shard * len(names) // shards : (shard + 1) * len(names) // shards]
        file = f"model-{shard + 1:05}-of-{shards:05}.safetensors"
        total += write(file, part)
        weight_map.update(dict.fromkeys(part, file))
    index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(weight_map.items()))}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")
