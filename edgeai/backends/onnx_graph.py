"""A graph is looked through before ONNX Runtime sees it: whose operators, which files, what goes in and comes out.

Refused are operators that a library of strangers would bring, data outside of the folder or beyond a file's end, and
whatever is no decoder with one buffer for past and present.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from edgeai.backends.onnx_positions import with_begin
from edgeai.errors import ModelError, ModelFormatError
from edgeai.model_record import is_bare_name
from edgeai.onnx_folder import MAX_GRAPH_BYTES, OnnxFolder
from edgeai.onnx_json import read_bytes

FLOAT, INT64, FLOAT16 = 1, 7, 10
"""Element types of onnx.proto that go in and come out."""

_DOMAINS = ("", "ai.onnx", "com.microsoft")
_PRECOMPILED = "EPContext"  # code for one device, which ONNX Runtime would run unseen
_EXTERNAL = ("location", "offset", "length", "checksum")  # others hold weights that one machine has packed for itself
_MAX_DEPTH = 8
_MAX_NODES = 200_000
_MAX_TENSOR_BYTES = 2**50
_BITS = {
    **dict.fromkeys((2, 3, 9, 17, 18, 19, 20, 24), 8),
    **dict.fromkeys((4, 5, 10, 16), 16),
    **dict.fromkeys((1, 6, 12), 32),
    **dict.fromkeys((7, 11, 13, 14), 64),
    15: 128,
    **dict.fromkeys((21, 22, 23), 4),
    **dict.fromkeys((25, 26), 2),
    **dict.fromkeys((27, 28), 6),
}
"""Of an element of a type."""


@dataclass(frozen=True, slots=True)
class Value:
    """An input or output.

    Attributes:
        kind: its elements' type.
        shape: its sides; None where they may be any.
    """

    kind: int
    shape: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class Graph:
    """A decoder's graph that may be run.

    Attributes:
        inputs: by name.
        outputs: by name.
        last_only: whether logits are of the last token only.
        cache_kind: elements' type of K and V.
        begin: the input that lets it give more logits than the last token's, and `data` the graph that has it
            (`edgeai.backends.onnx_positions`); "" and nothing where there is none.
    """

    inputs: Mapping[str, Value]
    outputs: Mapping[str, Value]
    last_only: bool
    cache_kind: int
    begin: str = ""
    data: bytes = b""


def import_onnx(path: Path) -> Any:
    """The module `onnx`; `path` is what is to be read by it.

    Raises:
        ModelError: it is not installed.
    """
    try:
        return import_module("onnx")
    except ImportError as exc:
        raise ModelError(f"{path}: reading it needs onnx, which is not installed: pip install 'edgeai[onnx]'") from exc


def read_graph(folder: OnnxFolder) -> Graph:
    """Look through a folder's graph.

    Raises:
        ModelFormatError: it may not be run, or is none.
        ModelError: `onnx` is not installed.
    """
    onnx = import_onnx(folder.graph)
    try:
        model = onnx.ModelProto.FromString(read_bytes(folder.graph, MAX_GRAPH_BYTES))
    except Exception as exc:  # protobuf's DecodeError, which its releases keep in different places
        if isinstance(exc, ModelFormatError):
            raise
        raise ModelFormatError(f"{folder.graph}: it is no ONNX graph ({exc}): copy it, or build it, again") from exc
    graph = _Reader(folder).read(model)
    data, begin = with_begin(model) if graph.last_only else (b"", "")
    return replace(graph, begin=begin, data=data)


class _Reader:
    def __init__(self, folder: OnnxFolder) -> None:
        self._folder = folder
        self._sizes = {path.name: size for path, size in folder.files.items()}
        self._n_nodes = 0

    def read(self, model: Any) -> Graph:
        if model.functions:
            self._fail("it brings functions of its own", "export it without local functions")
        if model.training_info:
            self._fail("it holds what is for training", "export it for inference")
        if not model.graph.node:
            self._fail("there is no graph in it", "copy it again, or build it again")
        return self._interface(model.graph, self._check_nodes(model.graph, 0))

    # --- operators and data ---

    def _check_nodes(self, graph: Any, depth: int) -> dict[str, tuple[str, str]]:
        """Check a graph's operators and tensors, and those of the graphs inside it.

        Returns:
            By the name of a present K or V: the operator's inputs for past K and V.
        """
        if depth > _MAX_DEPTH:
            self._fail(f"graphs stand in each other {depth} deep", "build it again")
        if graph.sparse_initializer:
            self._fail("it has sparse weights", "export it with dense ones")
        for tensor in graph.initializer:
            self._check_tensor(tensor)
        self._n_nodes += len(graph.node)
        if self._n_nodes > _MAX_NODES:
            self._fail(f"more than {_MAX_NODES:,} operators", "build it again")
        shared: dict[str, tuple[str, str]] = {}
        for node in graph.node:
            self._check_operator(node)
            for inner in self._inner(node):
                self._check_nodes(inner, depth + 1)
            is_attention = node.op_type == "GroupQueryAttention" and node.domain == "com.microsoft"
            if is_attention and len(node.input) > 4 and len(node.output) > 2:
                shared[node.output[1]] = shared[node.output[2]] = (node.input[3], node.input[4])
        return shared

    def _check_operator(self, node: Any) -> None:
        domain, name = node.domain, node.op_type
        if domain not in _DOMAINS:
            self._fail(
                f"the operator {name[:60]!r} is of {domain[:60]!r}, and only those of ai.onnx and com.microsoft are "
                "run: libraries of operators are never loaded",
                "build it without",
            )
        if name == _PRECOMPILED:
            self._fail(f"it holds code compiled for one device ({name})", "build it from the checkpoint")

    def _inner(self, node: Any) -> Iterator[Any]:
        """The graphs in an operator's attributes; their tensors are checked."""
        for attribute in node.attribute:
            if attribute.HasField("sparse_tensor") or attribute.sparse_tensors:
                self._fail("it has sparse constants", "export it with dense ones")
            for tensor in (attribute.t, *attribute.tensors):
                self._check_tensor(tensor)
            yield from (*([attribute.g] if attribute.HasField("g") else ()), *attribute.graphs)

    def _check_tensor(self, tensor: Any) -> None:
        """External data stand in a file of the folder, within its end."""
        entries = tensor.external_data
        if not entries and not tensor.data_location:
            return
        name = tensor.name[:60]
        found = {entry.key: entry.value for entry in entries}
        location = found.get("location", "")
        if unknown := sorted(found.keys() - _EXTERNAL):
            self._fail(f"the weights {name!r} have {unknown[0][:40]!r}, expected {', '.join(_EXTERNAL)} only")
        if len(found) < len(entries) or not is_bare_name(location):
            self._fail(
                f"the weights {name!r} lie in {location[:60]!r}, expected a file beside the graph, without a folder",
                "build the folder again",
            )
        size = self._sizes.get(location)
        if size is None:
            self._fail(f"the weights' file {location[:60]!r} is missing", "copy the whole folder, or build it again")
        offset, length = (self._number(found, key, name) for key in ("offset", "length"))
        need = self._tensor_bytes(tensor, name)
        if (offset or 0) + max(length or 0, need) > size:
            self._fail(
                f"the weights {name!r} end at byte {(offset or 0) + max(length or 0, need):,} of {location}, which has "
                f"{size:,}: it was cut off or is another model's",
                "copy the whole folder, or build it again",
            )

    def _number(self, found: Mapping[str, str], key: str, name: str) -> int | None:
        text = found.get(key)
        if text is None:
            return None
        if not (text.isascii() and text.isdigit() and len(text) < 19):
            self._fail(f"the weights {name!r} have {key} = {text[:40]!r}, expected a number", "build the folder again")
        return int(text)

    def _tensor_bytes(self, tensor: Any, name: str) -> int:
        sides, kind = list(tensor.dims), tensor.data_type
        bits = _BITS.get(kind)
        if bits is None or any(side < 0 for side in sides):
            self._fail(f"the weights {name!r} have the type {kind} and sides {sides[:8]}", "build the folder again")
        n_bytes: int = -(-math.prod(sides) * bits // 8)
        if n_bytes > _MAX_TENSOR_BYTES:
            self._fail(f"the weights {name!r} have sides {sides[:8]}", "build the folder again")
        return n_bytes

    # --- what goes in and comes out ---

    def _interface(self, graph: Any, shared: Mapping[str, tuple[str, str]]) -> Graph:
        decoder = self._folder.decoder
        constants = {tensor.name for tensor in graph.initializer}
        inputs = {name: value for name, value in self._values(graph.input) if name not in constants}
        outputs = dict(self._values(graph.output))
        past = [name % layer for layer in range(decoder.n_layer) for name in decoder.past]
        present = [name % layer for layer in range(decoder.n_layer) for name in decoder.present]
        self._expect("input", inputs, [decoder.inputs["input_ids"], *past], list(decoder.inputs.values()))
        self._expect("output", outputs, [decoder.logits, *present], [])
        for name in decoder.inputs.values():
            if name in inputs and (inputs[name].kind != INT64 or len(inputs[name].shape) != 2):
                self._fail(f"the input {name!r} is {_shown(inputs[name])}, expected int64 [batch, tokens]")
        kind = inputs[past[0]].kind
        for name in (*past, *present):
            self._check_cache(name, inputs.get(name) or outputs[name], kind)
        for layer in range(decoder.n_layer):
            pair = (past[2 * layer], past[2 * layer + 1])
            if any(shared.get(name) != pair for name in present[2 * layer : 2 * layer + 2]):
                self._fail(
                    f"{present[2 * layer]!r} does not come from a GroupQueryAttention that takes {pair[0]!r}: expected "
                    "one buffer for past and present in each layer",
                    "build it with GroupQueryAttention",
                )
        return Graph(inputs, outputs, self._last_only(outputs[decoder.logits]), kind)

    def _expect(self, what: str, found: Mapping[str, Value], needed: Sequence[str], known: Sequence[str]) -> None:
        for name in needed:
            if name not in found:
                self._fail(f"the graph has no {what} {name[:60]!r}", "choose a decoder that fits its genai_config.json")
        for name in found:
            if name not in needed and name not in known:
                self._fail(
                    f"the graph has an {what} {name[:60]!r}, which we do not know",
                    f"expected {needed[0]}, {needed[1]} … only",
                )

    def _check_cache(self, name: str, value: Value, kind: int) -> None:
        decoder, shape = self._folder.decoder, value.shape
        expected = (None, decoder.n_head_kv, None, decoder.head_dim)
        fits = len(shape) == 4 and all(side in (None, wanted) for side, wanted in zip(shape, expected, strict=True))
        if kind not in (FLOAT, FLOAT16) or value.kind != kind or not (fits or self._is_one(shape, expected)):
            self._fail(
                f"{name!r} is {_shown(value)}, expected float32 or float16 [batch, {decoder.n_head_kv}, tokens, "
                f"{decoder.head_dim}], as genai_config.json says"
            )

    def _is_one(self, shape: tuple[int | None, ...], expected: tuple[int | None, ...]) -> bool:
        """A batch of one is as good as of any."""
        return (
            len(shape) == 4
            and shape[0] == 1
            and shape[2] is None
            and (all(side in (None, wanted) for side, wanted in zip(shape[1:], expected[1:], strict=True)))
        )

    def _last_only(self, logits: Value) -> bool:
        n_vocab = self._folder.decoder.n_vocab
        if len(logits.shape) != 3 or logits.kind not in (FLOAT, FLOAT16) or logits.shape[2] not in (None, n_vocab):
            self._fail(
                f"the logits are {_shown(logits)}, expected float32 or float16 [batch, tokens, {n_vocab}], as "
                "vocab_size in genai_config.json says"
            )
        return logits.shape[1] == 1

    def _values(self, values: Any) -> Iterator[tuple[str, Value]]:
        for value in values:
            if not value.type.HasField("tensor_type"):
                self._fail(f"{value.name[:60]!r} is no tensor")
            tensor = value.type.tensor_type
            sides = (side.dim_value if side.HasField("dim_value") else None for side in tensor.shape.dim)
            yield value.name, Value(tensor.elem_type, tuple(sides))

    def _fail(self, what: str, advice: str = "build the folder again") -> NoReturn:
        raise ModelFormatError(f"{self._folder.graph}: {what}: {advice}")


def _shown(value: Value) -> str:
    names = {FLOAT: "float32", INT64: "int64", FLOAT16: "float16"}
    sides = ", ".join("?" if side is None else str(side) for side in value.shape)
    return f"{names.get(value.kind, f'type {value.kind}')} [{sides}]"
