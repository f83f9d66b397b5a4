"""The keys and tensors of a model in GGUF's form, each checked when it is taken."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edgeai.errors import CheckpointError, UnsupportedArchitectureError
from edgeai.safe_text import one_line
from quantize.base import F32, Meta, Tensor
from quantize.onnx.parts import Linear, Norm, Rows

_MAX_COUNT = 2**31 - 1
_MAX_NUMBER = 3.4e38
_FETCH_AGAIN = "fetch the checkpoint again"


class Source:
    """What a decoder is read from. It knows what has been taken."""

    def __init__(self, metadata: Sequence[Meta], tensors: Sequence[Tensor]) -> None:
        """The keys, and the tensors by their names in a GGUF."""
        self._values = {meta.key: meta.value for meta in metadata}
        self._tensors = {tensor.name: tensor for tensor in tensors}
        self._taken: set[str] = set()
        self.arch = one_line(str(self._values.get("general.architecture", "")))[:40]

    def value(self, key: str, default: Any = None) -> Any:
        """A key of the architecture; the default where there is none."""
        return self._values.get(f"{self.arch}.{key}", default)

    def whole(self, key: str, default: int | None = None, *, at_least: int = 1, at_most: int = _MAX_COUNT) -> int:
        """A whole number.

        Raises:
            CheckpointError: it is missing, no whole number, or out of range.
        """
        value = self.value(key, default)
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or not at_least <= value <= at_most:
            raise self._senseless(key, value, f"a whole number from {at_least} to {at_most:,}")
        return int(value)

    def number(self, key: str, default: float | None = None) -> float:
        """A positive number, or the default.

        Raises:
            CheckpointError: it is missing or none.
        """
        value = self.value(key)
        if value is None and default is not None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not 0 < value < _MAX_NUMBER:
            raise self._senseless(key, value, "a positive number")
        return float(value)

    def _senseless(self, key: str, value: Any, expected: str) -> CheckpointError:
        shown = one_line(str(value))[:40]
        return CheckpointError(f"{self.arch}.{key} = {shown}, expected {expected}: {_FETCH_AGAIN}")

    def has(self, name: str) -> bool:
        """Whether there is such a tensor."""
        return name in self._tensors

    def n_rows(self, name: str) -> int:
        """Rows of a matrix.

        Raises:
            CheckpointError: it is missing.
        """
        return (self._tensor(name).shape or (0,))[0]

    def rows(
        self,
        name: str,
        shape: tuple[int, ...],
        start: int = 0,
        stop: int | None = None,
        order: tuple[int, ...] | None = None,
    ) -> Rows:
        """Some rows of a tensor, or all.

        Raises:
            CheckpointError: it is missing, or has another shape.
        """
        tensor = self._tensor(name)
        if tensor.shape != shape or not all(shape):
            raise CheckpointError(
                f"the tensor {one_line(name)[:100]} has the shape {list(tensor.shape)}, expected {list(shape)} by the "
                f"model's keys: {_FETCH_AGAIN}"
            )
        return Rows(tensor, start, shape[0] if stop is None else stop, order)

    def linear(self, name: str, n_out: int, n_in: int, order: tuple[int, ...] | None = None) -> Linear:
        """A matrix, and its bias where it has one."""
        return self.part_of_linear(name, name, n_out, n_in, 0, n_out, order)

    def part_of_linear(
        self, new: str, name: str, n_out: int, n_in: int, start: int, stop: int, order: tuple[int, ...] | None = None
    ) -> Linear:
        """Some rows of a matrix under another name."""
        rows = self.rows(f"{name}.weight", (n_out, n_in), start, stop, order)
        bias = f"{name}.bias"
        return Linear(new, (rows,), n_in, (self.rows(bias, (n_out,), start, stop, order),) if self.has(bias) else ())

    def norm(self, name: str, n: int, order: tuple[int, ...] | None = None) -> Norm:
        """A norm's weights. Those of PLaMo's later norms have no ".weight" in their name."""
        whole_name = name if self.has(name) else f"{name}.weight"
        bias = f"{name}.bias"
        return Norm(
            name,
            self.rows(whole_name, (n,), order=order),
            self.rows(bias, (n,), order=order) if self.has(bias) else None,
        )

    def factors(self, name: str, n: int) -> F32 | None:
        """What frequencies are divided by, where there is such a tensor. float32 [n]

        Raises:
            CheckpointError: it has another shape, or numbers that make no sense.
        """
        if not self.has(name):
            return None
        values = self.rows(name, (n,)).tensor.read()
        if not (np.isfinite(values) & (values > 0)).all():
            raise CheckpointError(f"{name} holds numbers that are not positive: {_FETCH_AGAIN}")
        return values

    def check_left_over(self) -> None:
        """Refuse a model that has more than its graph would compute.

        Raises:
            UnsupportedArchitectureError: so it has.
        """
        left_over = [name for name in self._tensors if name not in self._taken]
        if left_over:
            others = f" and {len(left_over) - 1} more" if len(left_over) > 1 else ""
            raise UnsupportedArchitectureError(
                f"the tensor {one_line(left_over[0])[:100]}{others} is no part of {self.arch}'s graph as we write it: "
                "make a GGUF of it with --format gguf"
            )

    def _tensor(self, name: str) -> Tensor:
        if name not in self._tensors:
            raise CheckpointError(f"the model lacks the tensor {one_line(name)[:100]}: {_FETCH_AGAIN}")
        self._taken.add(name)
        return self._tensors[name]
