"""What the parts of quantize hand each other: tensors that are read when they are needed, and typed metadata."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from gguf import GGUFValueType
from numpy.typing import NDArray

F32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor that is not in memory yet.

    Attributes:
        name: in the checkpoint, or in the GGUF.
        shape: numpy's order of axes (GGUF's reversed).
        dtype: of the source: "F32", "F16", "BF16", "F64", "I32" …
        read: its values. float32 [shape]
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    read: Callable[[], F32]

    @property
    def n_elements(self) -> int:
        """Numbers in it."""
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True)
class Meta:
    """One key of a GGUF's metadata. `item_type` is that of an array's elements."""

    key: str
    value: Any
    type: GGUFValueType
    item_type: GGUFValueType | None = None


class Checkpoint(Protocol):
    """A Hugging Face folder.

    Attributes:
        path: the folder.
        config: config.json.
        tensors: all tensors of all shards, by name.
    """

    path: Path
    config: Mapping[str, Any]
    tensors: Mapping[str, Tensor]

    def file(self, name: str) -> Path | None:
        """A file of the folder; None where there is none."""
        ...

    def json(self, name: str) -> Any:
        """A JSON file of the folder; None where there is none."""
        ...


class Family(Protocol):
    """A model family: how its checkpoints become GGUF.

    Attributes:
        architectures: names in config.json's `architectures`.
        arch: llama.cpp's name.
    """

    architectures: Sequence[str]
    arch: str

    def metadata(self, checkpoint: Checkpoint) -> list[Meta]:
        """The keys about the model (not its vocabulary), in the official converter's order.

        Raises:
            CheckpointError: config.json lacks a value or has one that makes no sense.
        """
        ...

    def tensors(self, checkpoint: Checkpoint) -> list[Tensor]:
        """The tensors by their GGUF names, transformed, in the official converter's order.

        Raises:
            CheckpointError: one is missing, left over, or has a wrong shape.
        """
        ...
