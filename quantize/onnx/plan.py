"""Which weights become blocks and which stay float32, and where each stands in model.onnx.data.

Matrices become blocks, the embeddings too; a head that is the embeddings is the same bytes. Norms, biases and turns
stay: they are small, and sensitive.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from quantize.base import F32, Tensor
from quantize.onnx.decoder import decoder_of
from quantize.onnx.options import OnnxOptions
from quantize.onnx.parts import Decoder, Layer, Linear, Norm, Rows, joined
from quantize.onnx.rope import Rope
from quantize.pipeline import Model

_PAGE, _LINE = 4096, 64  # bytes: what large arrays are aligned to, and small ones
_LARGE = 2**20  # bytes


@dataclass(frozen=True, slots=True)
class Array:
    """An array in model.onnx.data.

    Attributes:
        name: of the graph's initializer.
        dtype: numpy's, "<f4" or "u1".
        shape: its.
        offset: where it begins, bytes.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    offset: int

    @property
    def n_bytes(self) -> int:
        """Its size."""
        return math.prod(self.shape) * (4 if self.dtype == "<f4" else 1)


@dataclass(frozen=True, slots=True)
class TableTensor(Tensor):
    """A table that is computed. See `quantize.safetensors.StoredTensor`."""

    read_rows: Callable[[int, int], F32]


@dataclass(frozen=True, slots=True)
class PlannedWeight:
    """A weight, and what becomes of it.

    Attributes:
        name: "blk.0.attn_q.weight", as in the GGUF; of those that are put together into one, a new name.
        shape: of its values.
        bits: of each value, 4 or 8, or 32 for float32.
        n_bytes: its size in the artifact, with scales and zero points; 0 where it is the bytes of another.
        why: in words.
        rows: where its values come from.
        values: float32, or codes. Codes are [n_rows, n_blocks, bytes of a block]
        scales: of blocks. float32 [n_rows, n_blocks]
        zero_points: of blocks that have their own. uint8 [n_rows, bytes of a row]
    """

    name: str
    shape: tuple[int, ...]
    bits: int
    n_bytes: int
    why: str
    rows: tuple[Rows, ...]
    values: Array
    scales: Array | None = None
    zero_points: Array | None = None


def plan_graph(model: Model, options: OnnxOptions) -> list[PlannedWeight]:
    """What becomes of a model's weights, before any is read.

    Raises:
        UnsupportedArchitectureError: it cannot become ONNX.
        CheckpointError: it makes no sense.
    """
    return plan_weights(decoder_of(model.metadata, model.tensors), options)


def plan_weights(decoder: Decoder, options: OnnxOptions) -> list[PlannedWeight]:
    """The same of a decoder, in the order of the artifact."""
    layout = _Layout(options)
    planned = [layout.matrix(decoder.embeddings)]
    for index, rope in enumerate(decoder.ropes):
        planned += [
            layout.floats(table_name(index, what), (_table(rope, index, what),), "turns of positions")
            for what in ("cos", "sin")
        ]
    for layer in decoder.layers:
        for part in parts_of(layer):
            planned += layout.norm(part) if isinstance(part, Norm) else layout.linear(part)
    planned += layout.norm(decoder.output_norm)
    return planned + layout.linear(decoder.output, shared=planned[0] if decoder.is_tied else None)


def table_name(rope: int, what: str) -> str:
    """The name of a table of turns: "rope.0.cos"."""
    return f"rope.{rope}.{what}"


def attention_inputs(layer: Layer) -> tuple[Linear, ...]:
    """The matrices of queries, keys and values: one for all where no norm comes between them and the attention."""
    if layer.q_norm is not None:
        return layer.q, layer.k, layer.v
    return (joined(layer.q.name.replace("attn_q", "attn_qkv"), layer.q, layer.k, layer.v),)


def parts_of(layer: Layer) -> Iterator[Norm | Linear]:
    """The norms and matrices of a layer, in the order of computing."""
    yield layer.attention_norm
    yield from attention_inputs(layer)
    for norm in (layer.q_norm, layer.k_norm):
        if norm is not None:
            yield norm
    yield layer.attention_output
    for part in (layer.post_attention_norm, layer.ffn_norm, layer.gate, layer.up, layer.down, layer.post_ffn_norm):
        if part is not None:
            yield part


def _table(rope: Rope, index: int, what: str) -> Rows:
    read_rows = partial(rope.table, what)
    shape = (rope.n_rows, rope.n_pairs)
    tensor = TableTensor(table_name(index, what), shape, "F32", partial(read_rows, 0, rope.n_rows), read_rows)
    return Rows(tensor, 0, rope.n_rows)


class _Layout:
    """Gives each array its place."""

    def __init__(self, options: OnnxOptions) -> None:
        self._options = options
        self._end = 0

    def norm(self, norm: Norm) -> list[PlannedWeight]:
        names = ("weight", "bias") if norm.bias else ("weight",)
        rows = [norm.weight, *([norm.bias] if norm.bias else [])]
        return [self.floats(f"{norm.name}.{name}", (each,), "a norm") for name, each in zip(names, rows, strict=True)]

    def linear(self, linear: Linear, shared: PlannedWeight | None = None) -> list[PlannedWeight]:
        weight = self.matrix(linear) if shared is None else _shared(linear, shared)
        return [weight, *([self.floats(f"{linear.name}.bias", linear.bias, "a bias")] if linear.bias else [])]

    def floats(self, name: str, rows: tuple[Rows, ...], why: str) -> PlannedWeight:
        shape = (sum(map(len, rows)), *rows[0].tensor.shape[1:])
        values = self._array(name, "<f4", shape)
        return PlannedWeight(name, shape, 32, values.n_bytes, f"kept: {why}", rows, values)

    def matrix(self, linear: Linear) -> PlannedWeight:
        options, name = self._options, f"{linear.name}.weight"
        if options.bits == 32:
            return self.floats(name, linear.rows, "asked for")
        n_rows, n_blocks = linear.n_out, -(-linear.n_in // options.block_size)
        codes = self._array(name, "u1", (n_rows, n_blocks, options.block_size * options.bits // 8))
        scales = self._array(f"{name}.scales", "<f4", (n_rows, n_blocks))
        zero_points = None
        if not options.symmetric:
            zero_points = self._array(f"{name}.zero_points", "u1", (n_rows, -(-n_blocks * options.bits // 8)))
        return PlannedWeight(
            name,
            (n_rows, linear.n_in),
            options.bits,
            sum(array.n_bytes for array in (codes, scales, zero_points) if array),
            f"blocks of {options.block_size}",
            linear.rows,
            codes,
            scales,
            zero_points,
        )

    def _array(self, name: str, dtype: str, shape: tuple[int, ...]) -> Array:
        n_bytes = Array(name, dtype, shape, 0).n_bytes
        alignment = _PAGE if n_bytes >= _LARGE else _LINE
        array = Array(name, dtype, shape, -(-self._end // alignment) * alignment)
        self._end = array.offset + n_bytes
        return array


def _shared(linear: Linear, weight: PlannedWeight) -> PlannedWeight:
    """A head that is the embeddings."""
    return PlannedWeight(
        f"{linear.name}.weight",
        weight.shape,
        weight.bits,
        0,
        f"the bytes of {weight.name}",
        weight.rows,
        weight.values,
        weight.scales,
        weight.zero_points,
    )


def data_bytes(planned: Sequence[PlannedWeight]) -> int:
    """The size of model.onnx.data."""
    arrays = [array for item in planned for array in (item.values, item.scales, item.zero_points) if array]
    return max(array.offset + array.n_bytes for array in arrays)
