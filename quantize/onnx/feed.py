"""What all layers' attentions take from a graph's inputs: how long the text is, and how its positions turn."""

from __future__ import annotations

from collections.abc import Mapping

from onnx import TensorProto

from quantize.onnx.nodes import Nodes
from quantize.onnx.parts import Decoder
from quantize.onnx.plan import PlannedWeight, table_name


class Feed:
    """Makes its nodes when they are first asked for."""

    def __init__(self, nodes: Nodes, decoder: Decoder, weights: Mapping[str, PlannedWeight]) -> None:
        """`nodes` gets the nodes; `weights` has the tables of the decoder's turns."""
        self._nodes = nodes
        self._decoder = decoder
        self._weights = weights
        self._lengths: list[str] = []
        self._positions = ""

    def lengths(self) -> list[str]:
        """The place of each text's last token [batch], and the length of the longest [], int32."""
        if not self._lengths:
            nodes = self._nodes
            axis, one = nodes.constant("lengths/axis", [1]), nodes.constant("lengths/one", 1)
            lengths = nodes.add("ReduceSum", "lengths/tokens", ["attention_mask", axis], keepdims=0)
            last = nodes.add("Sub", "lengths/last", [lengths, one])
            self._lengths = [
                nodes.add("Cast", f"lengths/{name}", [value], to=TensorProto.INT32)
                for name, value in (("last_int32", last), ("total_int32", self._dimension("attention_mask", 1)))
            ]
        return self._lengths

    def turns(self, rope: int) -> list[str]:
        """Cosines, sines, and positions where those are not simply counted."""
        tables = [self._nodes.stored(self._weights[table_name(rope, what)].values) for what in ("cos", "sin")]
        n_short = self._decoder.ropes[rope].n_short
        if n_short and not self._positions:
            self._positions = self._moved_positions(n_short)
        return [*tables, self._positions] if n_short else tables

    def _moved_positions(self, n_short: int) -> str:
        """The rows of a table whose first `n_short` are for texts up to that length, and the others for longer ones.

        Which it is hangs on the length of the text or of the buffer of past and present, whichever is larger: with a
        buffer of a fixed length it is the same for all of a chat, and for a prompt in pieces, as in llama.cpp.
        int64 [batch, sequence]
        """
        nodes = self._nodes
        total, new = self._dimension("attention_mask", 1), self._dimension("input_ids", 1)
        past = nodes.add("Sub", "positions/past", [total, new])
        counted = nodes.add("Range", "positions/counted", [past, total, nodes.constant("lengths/one", 1)])
        longest = nodes.add("Max", "positions/longest", [total, self._dimension("past_key_values.0.key", 2)])
        limit = nodes.constant("positions/n_short", n_short)
        is_long = nodes.add("Greater", "positions/is_long", [longest, limit])
        moved_by = nodes.add(
            "Mul", "positions/moved_by", [nodes.add("Cast", "positions/long", [is_long], to=TensorProto.INT64), limit]
        )
        moved = nodes.add("Add", "positions/moved", [counted, moved_by])
        shape = nodes.add("Shape", "positions/shape", ["input_ids"])
        return nodes.add("Expand", "positions", [moved, shape])

    def _dimension(self, value: str, axis: int) -> str:
        """The size of an input along an axis, int64 []"""
        nodes, name = self._nodes, f"shape/{value}.{axis}"
        if not any(node.name == name for node in nodes.nodes):
            shape = nodes.add("Shape", f"{name}/all", [value])
            nodes.add("Gather", name, [shape, nodes.constant(f"shape/axis_{axis}", axis)], axis=0)
        return f"{name}.out"
