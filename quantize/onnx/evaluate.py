"""An ONNX decoder run over a text window by window, as `quantize.evaluate.Evaluator` runs a GGUF model.

What is measured is every position's logits, and the graph gives the last one's: the nodes that leave the others out
are taken out of it in memory.

Source: onnxruntime_session_options_config_keys.h of microsoft/onnxruntime, for weights beside a graph in memory.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from edgeai.backends.onnx_graph import FLOAT16, Graph, read_graph
from edgeai.backends.onnx_session import import_onnxruntime
from edgeai.backends.onnx_tokenizer import open_vocabulary
from edgeai.errors import GenerationError, ModelFormatError, QuantizeError
from edgeai.machine import usable_cores
from edgeai.onnx_folder import OnnxFolder, read_folder
from quantize.base import F32
from quantize.evaluate import I32, N_CTX, OnStep, check_windows
from quantize.onnx.graph import LAST_POSITION

if TYPE_CHECKING:
    from onnx import ModelProto

_PIECE = 128  # tokens evaluated at once
_FOLDER_KEY = "session.model_external_initializers_file_folder_path"
_MAX_WORDS = 300


class OnnxEvaluator:
    """One model with an empty context of one window. Use it as a context manager.

    Attributes:
        path: the folder.
        n_ctx: tokens of a window.
        n_vocab: tokens in the vocabulary.
        on_step: as given.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        n_ctx: int = N_CTX,
        n_threads: int | None = None,
        on_step: OnStep = lambda _doing: None,
    ) -> None:
        """Load a model into this process, which ONNX Runtime may crash.

        Args:
            path: a folder.
            n_ctx: tokens of a window.
            n_threads: by default as many as there are cores.
            on_step: told of every part of the loading and of every piece that is evaluated.
        Raises:
            ModelError: not a model, or too large.
            QuantizeError: a window of fewer than 16 tokens.
        """
        check_windows(n_ctx)
        self.path, self.n_ctx, self.on_step = Path(path), n_ctx, on_step
        on_step("loading the model")
        self._folder = read_folder(path)
        self._graph = read_graph(self._folder)
        self._vocabulary, texts = open_vocabulary(self._folder)
        self._bos = self._folder.bos_id if texts.add_bos else None
        on_step("loading the model")
        self._session = _session(self._folder, self._graph, n_threads or usable_cores())
        decoder = self._folder.decoder
        self.n_vocab = decoder.n_vocab
        kind = np.float16 if self._graph.cache_kind == FLOAT16 else np.float32
        empty = np.zeros((1, decoder.n_head_kv, 0, decoder.head_dim), kind)
        layers = range(decoder.n_layer)
        self._empty = {name % layer: empty for layer in layers for name in decoder.past}
        self._present = [name % layer for layer in layers for name in decoder.present]

    def tokenize(self, text: str) -> I32:
        """Token ids, with the model's own BOS in front where it wants one; control tokens are read as plain text."""
        self.on_step("tokenizing the text")
        data = text.encode("utf-8", "replace")
        return np.array(self._vocabulary.tokenize(data, add_special=True, parse_special=False), dtype=np.int32)

    def logits(self, window: I32, first: int) -> Iterator[F32]:
        """Evaluate a window from an empty cache; as `quantize.evaluate.Evaluator.logits`.

        Raises:
            GenerationError: ONNX Runtime failed.
        """
        tokens = window.astype(np.int64)
        if self._bos is not None:
            tokens[0] = self._bos
        past: dict[str, Any] = self._empty
        for start in range(0, len(tokens), _PIECE):
            piece = tokens[None, start : start + _PIECE]
            self.on_step("reading the text")
            found, past = self._evaluated(piece, start, past)
            rows = found[0, max(first - start, 0) :]
            if len(rows):
                yield rows.astype(np.float32, copy=False)

    def _evaluated(self, piece: Any, start: int, past: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """A piece's logits, [1, n_tokens, n_vocab], and what is past then."""
        decoder, end = self._folder.decoder, start + piece.shape[1]
        given = {
            "input_ids": piece,
            "attention_mask": np.ones((1, end), np.int64),
            "position_ids": np.arange(start, end)[None],
        }
        inputs = {decoder.inputs[name]: value for name, value in given.items()} | past
        inputs = {name: value for name, value in inputs.items() if name in self._graph.inputs}
        try:
            logits, *present = self._session.run([decoder.logits, *self._present], inputs)
        except Exception as exc:  # ONNX Runtime's errors have no class in common
            words = str(exc)[:_MAX_WORDS]
            raise GenerationError(f"{self.path}: ONNX Runtime failed at token {start:,} of a window: {words}") from exc
        if logits.shape[1] != piece.shape[1]:
            raise QuantizeError(
                f"{self.path}: the graph gives the last position's logits alone: build it with quantize"
            )
        return logits, dict(zip(self._empty, present, strict=True))

    def close(self) -> None:
        """Free the model."""
        self._session = None

    def __enter__(self) -> OnnxEvaluator:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def prepare() -> None:
    """Import what is needed, before a sandbox closes."""
    for name in ("onnx", "tokenizers"):
        with contextlib.suppress(ImportError):  # told when it is needed
            import_module(name)
    import_onnxruntime()


def every_position(model: ModelProto) -> None:
    """Change a graph so that it gives the logits of every position."""
    graph = model.graph
    whole = {node.output[0]: node.input[0] for node in graph.node if node.name.startswith(LAST_POSITION)}
    kept = [node for node in graph.node if not node.name.startswith(LAST_POSITION)]
    for node in kept:
        for index, name in enumerate(node.input):
            node.input[index] = whole.get(name, name)
    del graph.node[:]
    graph.node.extend(kept)
    for output in graph.output:
        if output.name == "logits":
            output.type.tensor_type.shape.dim[1].dim_param = "sequence_length"


def _session(folder: OnnxFolder, graph: Graph, n_threads: int) -> Any:
    onnxruntime = import_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = n_threads, 4
    options.add_session_config_entry(_FOLDER_KEY, str(folder.path))
    model: Any = str(folder.graph)
    if graph.last_only:
        import onnx

        proto = onnx.load(folder.graph, load_external_data=False)
        every_position(proto)
        model = proto.SerializeToString()
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as exc:  # ONNX Runtime's errors have no class in common
        words = str(exc)[:_MAX_WORDS]
        raise ModelFormatError(f"{folder.graph}: ONNX Runtime cannot load it ({words}): build it again") from exc
