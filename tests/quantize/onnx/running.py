"""A graph that was written, run by plain ONNX Runtime, without our engine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from quantize.base import F32
from quantize.onnx.graph import LAST_POSITION
from quantize.onnx.options import OnnxOptions
from quantize.onnx.writer import MODEL_FILE, write_graph
from quantize.pipeline import Model

_DATA_FOLDER = "session.model_external_initializers_file_folder_path"


def written(model: Model, folder: Path, **options: object) -> Path:
    """The folder of a model's graph."""
    folder.mkdir(parents=True)
    write_graph(model, folder, OnnxOptions(**options))  # type: ignore[arg-type]
    return folder


def at_all_positions(folder: Path) -> bytes:
    """The graph without the nodes that take the last token alone: its logits are those after each token."""
    model = onnx.load(folder / MODEL_FILE, load_external_data=False)
    taken = {node.output[0]: node.input[0] for node in model.graph.node if node.name.startswith(LAST_POSITION)}
    kept = [node for node in model.graph.node if not node.name.startswith(LAST_POSITION)]
    for node in kept:
        node.input[:] = [taken.get(name, name) for name in node.input]
    del model.graph.node[:]
    model.graph.node.extend(kept)
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_param = "sequence_length"
    data: bytes = model.SerializeToString()
    return data


class Runner:
    """A text that grows, with past and present in one buffer."""

    def __init__(self, folder: Path, n_ctx: int, graph: bytes | None = None) -> None:
        """`graph`: another model.onnx, with the folder's data."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.add_session_config_entry(_DATA_FOLDER, str(folder))
        self.session = onnxruntime.InferenceSession(
            graph or str(folder / MODEL_FILE), options, providers=["CPUExecutionProvider"]
        )
        self._shapes = {
            item.name: [1, item.shape[1], n_ctx, item.shape[3]]
            for item in self.session.get_inputs()
            if item.name.startswith("past_key_values.")
        }
        self._caches = {
            name: onnxruntime.OrtValue.ortvalue_from_shape_and_type(shape, np.float32, "cpu")
            for name, shape in self._shapes.items()
        }
        self.n_past = 0

    def logits(self, tokens: list[int]) -> F32:
        """Add tokens; what comes after them. float32 [n_logits, n_vocab]"""
        binding = self.session.io_binding()
        inputs = {
            "input_ids": np.array([tokens], np.int64),
            "attention_mask": np.ones((1, self.n_past + len(tokens)), np.int64),
        }
        for name, values in inputs.items():
            binding.bind_cpu_input(name, values)
        for name, cache in self._caches.items():
            binding.bind_ortvalue_input(name, cache)
            binding.bind_ortvalue_output(name.replace("past_key_values", "present"), cache)
        binding.bind_output("logits", "cpu")
        self.session.run_with_iobinding(binding)
        self.n_past += len(tokens)
        found: F32 = binding.get_outputs()[-1].numpy()[0]
        return found

    def in_pieces(self, tokens: list[int], size: int) -> F32:
        """The logits after tokens that come piece by piece, from the start. [n_vocab]"""
        self.n_past = 0
        for start in range(0, len(tokens), size):
            found = self.logits(tokens[start : start + size])
        last: F32 = found[-1]
        return last

    def rows(self, tokens: list[int], n_rows: int) -> F32:
        """The logits after each of the last tokens, every time from the start as a whole. [n_rows, n_vocab]"""
        n = len(tokens)
        return np.stack([self.in_pieces(tokens[:stop], n) for stop in range(n - n_rows + 1, n + 1)])

    def greedy(self, tokens: list[int], n_new: int) -> list[int]:
        """The most probable tokens."""
        self.n_past = 0
        written: list[int] = []
        new = tokens
        for _ in range(n_new):
            new = [int(self.logits(new)[-1].argmax())]
            written += new
        return written


def apart(session: onnxruntime.InferenceSession, tokens: list[int], size: int) -> F32:
    """The logits after tokens that come in pieces, with a past that grows: no buffer is shared. [n_vocab]"""
    past = {
        item.name: np.zeros((1, item.shape[1], 0, item.shape[3]), np.float32)
        for item in session.get_inputs()
        if item.name.startswith("past_key_values.")
    }
    names = [item.name for item in session.get_outputs()]
    for start in range(0, len(tokens), size):
        piece = tokens[start : start + size]
        mask = np.ones((1, start + len(piece)), np.int64)
        found = session.run(names, {"input_ids": np.array([piece], np.int64), "attention_mask": mask, **past})
        past = {
            name.replace("present", "past_key_values"): values
            for name, values in zip(names[1:], found[1:], strict=True)
        }
    last: F32 = found[0][0, -1]
    return last


def difference(found: NDArray[np.floating], expected: NDArray[np.floating]) -> float:
    """The largest, against the largest logit."""
    return float(np.abs(found - expected).max() / np.abs(expected).max())
