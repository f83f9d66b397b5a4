"""What all families stand on: values of config.json, and tensors matched with those that are expected."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from gguf import GGUFValueType
from numpy.typing import NDArray

from edgeai.errors import CheckpointError
from edgeai.safe_text import one_line
from quantize.base import F32, Checkpoint, Meta, Tensor

Values = NDArray[np.floating[Any]]  # float32, or float16 where the checkpoint is
Change = Callable[[Values], Values]
MAX_LAYERS = 512  # llama.cpp's LLAMA_MAX_LAYERS
_MAX_COUNT = 2**31 - 1
_LEAST_F32, _MOST_F32 = 1.2e-38, 3.4e38  # what a GGUF's float32 holds
_NOT_WEIGHTS = (".rotary_emb.inv_freq", ".attention.bias", ".attention.masked_bias")  # buffers of old checkpoints


@dataclass(frozen=True, slots=True)
class Part:
    """One tensor of a checkpoint that is expected, and what becomes of it.

    Attributes:
        name: in the GGUF.
        shape: in the checkpoint.
        change: what is done to its values, in their own type as the official converter does; None leaves them.
        new_shape: after the change, where it is another.
    """

    name: str
    shape: tuple[int, ...]
    change: Change | None = None
    new_shape: tuple[int, ...] | None = None


def whole(config: Mapping[str, Any], key: str, default: int | None = None, at_most: int = _MAX_COUNT) -> int:
    """A positive whole number of config.json.

    Raises:
        CheckpointError: it is missing and has no default, is no whole number, or is out of range.
    """
    value = config.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= at_most:
        raise CheckpointError(
            f"config.json: {key} = {one_line(str(value))[:40]}, expected a whole number from 1 to {at_most:,}: "
            "correct the file or fetch the checkpoint again"
        )
    return value


def number(config: Mapping[str, Any], key: str, default: float | None = None) -> float:
    """A positive number of config.json.

    Raises:
        CheckpointError: it is missing and has no default, is no number, or none that a float32 holds.
    """
    value = config.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not _LEAST_F32 <= value <= _MOST_F32:
        raise CheckpointError(
            f"config.json: {key} = {one_line(str(value))[:40]}, expected a positive number: "
            "correct the file or fetch the checkpoint again"
        )
    return float(value)


def u32(key: str, value: int) -> Meta:
    """A key that holds a count."""
    return Meta(key, value, GGUFValueType.UINT32)


def f32(key: str, value: float) -> Meta:
    """A key that holds a number."""
    return Meta(key, value, GGUFValueType.FLOAT32)


def plus(offset: float) -> Change:
    """The change of a norm that is stored as its difference from `offset`."""

    def add(values: Values) -> Values:
        moved: Values = values + values.dtype.type(offset)
        return moved

    return add


def arranged(
    checkpoint: Checkpoint, parts: Mapping[str, Part | Sequence[Part]], *, may_lack: tuple[str, ...] = ()
) -> list[Tensor]:
    """The checkpoint's tensors under their GGUF names, in the checkpoint's order.

    Args:
        checkpoint: the folder.
        parts: what is expected, by name in the checkpoint; several where a tensor is cut.
        may_lack: names that need not be there.
    Raises:
        CheckpointError: a tensor is missing, left over, or has a wrong shape.
    """
    tensors = {name: tensor for name, tensor in checkpoint.tensors.items() if not name.endswith(_NOT_WEIGHTS)}
    missing = [name for name in parts if name not in tensors and name not in may_lack]
    left_over = [name for name in tensors if name not in parts]
    for what, names in (
        ("lacks the tensor", missing),
        ("has a tensor that its config.json does not imply:", left_over),
    ):
        if names:
            others = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise CheckpointError(
                f"{checkpoint.path} {what} {names[0][:100]}{others}: fetch the checkpoint again, all of its shards"
            )
    return [_arranged(tensor, part) for name, tensor in tensors.items() for part in _each(parts[name])]


def _each(part: Part | Sequence[Part]) -> Sequence[Part]:
    return (part,) if isinstance(part, Part) else part


def _arranged(tensor: Tensor, part: Part) -> Tensor:
    if tensor.shape != part.shape:
        raise CheckpointError(
            f"the tensor {tensor.name} has the shape {list(tensor.shape)}, expected {list(part.shape)} by config.json: "
            "fetch the checkpoint again, or correct config.json"
        )
    change = part.change
    if change is None and part.new_shape is None:
        return replace(tensor, name=part.name)  # it keeps what its source has to read rows with
    if change is None:
        return Tensor(part.name, part.new_shape or part.shape, tensor.dtype, tensor.read)

    def read() -> F32:
        values: Values = tensor.read()
        with np.errstate(over="ignore"):
            if tensor.dtype == "F16":
                values = values.astype(np.float16)
            values = change(values)  # by the same name: what it was goes as soon as it can
            return values.astype(np.float32, copy=False)

    return Tensor(part.name, part.new_shape or part.shape, tensor.dtype, read)
