"""Checks that every half of a projector shares: its keys, their types and sizes, and its tensors."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from edgeai.errors import ModelFormatError
from edgeai.gguf_types import GGUFHeader, TensorInfo

MAX_WIDTH = 2**14
MAX_HIDDEN = 2**16
MAX_HEADS = 256
MATRIX_TYPES = (
    *("F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0"),
    *("Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS"),
)
F32, F16, FLOATS = ("F32",), ("F16",), ("F32", "F16")
_CONVERT = "convert the projector again, or take another"
_TYPES = {
    **dict.fromkeys(("general.name", "general.description", "clip.projector_type"), "string"),
    **dict.fromkeys(("clip.vision.projector_type", "clip.audio.projector_type"), "string"),
    **dict.fromkeys(("clip.has_vision_encoder", "clip.has_audio_encoder", "clip.use_gelu", "clip.use_silu"), "bool"),
    # never read, and in files of older converters
    **dict.fromkeys(("clip.has_text_encoder", "clip.has_llava_projector"), "bool"),
    "general.alignment": "u32",
}

Shape = tuple[int, ...]
Expected = Iterator[tuple[str, Shape, tuple[str, ...]]]
"""Tensors: their names, their shapes in GGUF's order, the types that their operators take."""


@dataclass(frozen=True, slots=True)
class Half:
    """What makes ears or eyes of a projector.

    Attributes:
        tensors: exactly those that it must have.
        buffer_bytes: what encoding takes beside them, about.
        n_tokens: of one chunk, at most.
        max_ratio: of a picture's sides.
        may_have: beginnings of names of tensors that are never loaded.
    """

    tensors: tuple[tuple[str, Shape, tuple[str, ...]], ...]
    buffer_bytes: int
    n_tokens: int = 0
    max_ratio: int = 0
    may_have: tuple[str, ...] = ()


class Checks:
    """One header, and what has to hold of it.

    Attributes:
        tensors: by their names.
        kind: of the projector.
        max_tokens: of a chunk, where a picture decides it itself.
    """

    def __init__(self, header: GGUFHeader, kind: str, max_tokens: int = 0) -> None:
        self._header = header
        self.kind = kind
        self.max_tokens = max_tokens
        self.tensors: dict[str, TensorInfo] = {tensor.name: tensor for tensor in header.tensors}

    def fail(self, found: str, expected: str) -> NoReturn:
        """Refuse the file.

        Raises:
            ModelFormatError: always.
        """
        raise ModelFormatError(f"{self._header.path}: {found}, expected {expected}; {_CONVERT}")

    def types(self, known: Mapping[str, str]) -> None:
        """No key of libmtmd's but those that are known, and each of the type as which it is read."""
        wanted = {**_TYPES, **{f"clip.{name}": type_ for name, type_ in known.items()}}
        for key, found in self._header.value_types.items():
            if key not in wanted and key.startswith("clip."):
                self.fail(f"the key {key[:80]}", f"none that {self.kind} does not have")
            if found != wanted.get(key, found):
                self.fail(f"{key} of the type {found}", f"the type {wanted[key]}")
        if self.value("use_gelu") and self.value("use_silu"):
            self.fail("clip.use_gelu and clip.use_silu", "one of them")

    def value(self, name: str) -> Any:
        """What a key says, or None."""
        return self._header[name]

    def count(self, name: str, least: int, most: int, default: int | None = None) -> int:
        """A whole number, which may be missing where there is a default."""
        value = self.value(name)
        if value is None and default is not None:
            return default
        if not isinstance(value, int) or not least <= value <= most:
            self.fail(f"clip.{name} = {value!r:.40}", f"a number from {least:,} to {most:,}")
        return value

    def epsilon(self, name: str) -> None:
        """What is added where a norm divides."""
        value = self.value(name)
        if value is None or not 0 <= value < 1:
            self.fail(f"clip.{name} = {value}", "a number from 0 to 1")

    def colours(self, name: str, least: float, most: float) -> None:
        """A number for each of red, green and blue."""
        value = self.value(name)
        if not isinstance(value, tuple) or len(value) != 3 or not all(_within(part, least, most) for part in value):
            self.fail(f"clip.{name} = {value!r:.60}", f"three numbers from {least} to {most}")

    def heads(self, prefix: str, width: int, step: int = 1) -> int:
        """How many heads of attention share the width; each has a multiple of `step` of it."""
        n_head = self.count(f"{prefix}.attention.head_count", 1, MAX_HEADS)
        if width % (n_head * step):
            parts = f"with heads of a multiple of {step}" if step > 1 else ""
            self.fail(
                f"clip.{prefix}.attention.head_count = {n_head}",
                f"a divisor of embedding_length = {width} {parts}".rstrip(),
            )
        return n_head

    def columns(self, name: str, rows: int) -> int:
        """The second length of a matrix whose first is known: a width that is the file's own."""
        tensor = self.tensors.get(name)
        if tensor is None or len(tensor.shape) != 2 or tensor.shape[0] != rows or tensor.shape[1] > MAX_HIDDEN:
            found = "missing" if tensor is None else f"of shape {list(tensor.shape)}"
            self.fail(f"{name} {found}", f"a shape of [{rows}, at most {MAX_HIDDEN}]")
        return tensor.shape[1]

    def all_tensors(self, expected: Iterable[tuple[str, Shape, tuple[str, ...]]], may_have: tuple[str, ...]) -> None:
        """Every tensor is there, of its shape and of a type that its operator takes, and no other."""
        left = dict(self.tensors)
        for name, shape, types in expected:
            tensor = left.pop(name, None)
            if tensor is None:
                self.fail(f"no tensor {name}", f"one of shape {list(shape)}")
            if _trimmed(tensor.shape) != _trimmed(shape):
                self.fail(f"{name} of shape {list(tensor.shape)}", f"{list(shape)}")
            if tensor.type not in types:
                self.fail(f"{name} of the type {tensor.type}", " or ".join(types))
        if over := [name for name in left if not name.startswith(may_have or ("/",))]:
            self.fail(f"the tensor {min(over)}", f"none that {self.kind} does not have")


def vectors(name: str, n: int) -> Expected:
    """Weight and bias of a norm."""
    yield f"{name}.weight", (n,), F32
    yield f"{name}.bias", (n,), F32


def linear(name: str, n_in: int, n_out: int) -> Expected:
    """Weight and bias of a linear layer."""
    yield f"{name}.weight", (n_in, n_out), MATRIX_TYPES
    yield f"{name}.bias", (n_out,), F32


def _within(value: Any, least: float, most: float) -> bool:
    return isinstance(value, float) and math.isfinite(value) and least <= value <= most


def _trimmed(shape: Shape) -> Shape:
    """A shape without the axes of length 1 at its end, which files may leave out."""
    while shape and shape[-1] == 1:
        shape = shape[:-1]
    return shape
