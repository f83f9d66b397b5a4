"""An ONNX Runtime session of a decoder: fixed buffers go in and come out, one piece of tokens at a time."""

from __future__ import annotations

import copy
import ctypes
import math
import mmap
import re
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from edgeai.backends.onnx_graph import FLOAT16, Graph
from edgeai.errors import GenerationError, ModelError, ModelFormatError, ModelTooLargeError, OptionError
from edgeai.onnx_folder import OnnxFolder
from edgeai.onnx_providers import CPU, PROVIDERS, device_of, our_names
from edgeai.safe_text import one_line

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MAX_WORDS = 300
_UNKNOWN_OPERATOR = re.compile(r"(?:Fatal error: (?:[\w.]*:)?|implementation for |No Op registered for )(\w+)\b")
_UNKNOWN_VERSION = re.compile(r"(Opset \d+) is under development|Unsupported model (IR version: \d+)")
_CONFIG = {
    "load_model_format": "ONNX",
    "intra_op.spin_duration_us": "50",
}
"""Waiting threads spin for a moment, then sleep: alone that is as fast as ONNX Runtime's own setting, which spins for
longer, and the cores are left to other busy processes. The number of threads is fixed as long as a session lives."""
_FOLDER_KEY = "session.model_external_initializers_file_folder_path"  # of weights beside a graph in memory
_TERMINATED = "terminate flag"


class TerminateSwitch:
    """Ends a running evaluation from any thread, before its next operator."""

    def __init__(self, onnxruntime: Any) -> None:
        self.options = onnxruntime.RunOptions()
        self.options.log_severity_level = 4

    @property
    def is_set(self) -> bool:
        """Whether the running evaluation is to end."""
        return bool(self.options.terminate)

    def set(self) -> None:
        """End the running evaluation."""
        self.options.terminate = True

    def clear(self) -> None:
        """Let the next evaluation run."""
        self.options.terminate = False


def import_onnxruntime() -> Any:
    """The module `onnxruntime`, silent.

    Raises:
        ModelError: it is missing or cannot be loaded.
    """
    try:
        onnxruntime = import_module("onnxruntime")
    except (ImportError, OSError) as exc:
        raise ModelError(f"onnxruntime cannot be loaded ({exc}): pip install onnxruntime") from exc
    onnxruntime.set_default_logger_severity(4)
    return onnxruntime


class OnnxSession:
    """A decoder that is loaded.

    Attributes:
        provider: what runs it, our name.
        logits: the last token's, as of the last evaluation. float32 [n_vocab]
        all_logits: of the last tokens of the last evaluation; of one where no more are given. The graph's own memory,
            which the next evaluation takes. float32 or float16 [n, n_vocab]
        gives_all: whether logits of all tokens are given where they are wanted, or of the last one alone.
        n_wanted: of how many of the last tokens logits are wanted; a graph may give more.
        caches: K and V of each layer, in the order of `names`. [1, n_head_kv, n_ctx, head_dim]
    """

    def __init__(self, folder: OnnxFolder, graph: Graph, *, n_ctx: int, n_batch: int, n_threads: int, provider: str):
        """Load it. The graph has been checked before (`onnx_graph`).

        Raises:
            ModelFormatError: ONNX Runtime refuses it.
            ModelTooLargeError: there is no memory for it.
            OptionError: there is no such provider.
        """
        self._onnxruntime = import_onnxruntime()
        self.abort = TerminateSwitch(self._onnxruntime)
        self._folder, self._graph = folder, graph
        self._session = self._opened(n_threads, provider)
        self.provider = our_names(self._session.get_providers())[0]
        self.gives_all, self.n_wanted = not graph.last_only, 1
        self._n_ctx = n_ctx
        self._inputs = {
            "input_ids": np.zeros(n_batch, np.int64),
            "attention_mask": np.ones(n_ctx, np.int64),
            "position_ids": np.arange(n_ctx, dtype=np.int64),
        }
        self._make_room()

    def _make_room(self) -> None:
        self.caches: list[NDArray[Any]] = []
        self.logits: NDArray[np.float32] = np.zeros(self._folder.decoder.n_vocab, np.float32)
        self.all_logits: NDArray[Any] = self.logits[None]
        self._values: list[Any] = []
        self._value: Any = None
        self._binding = self._session.io_binding()
        try:
            self._bind_caches()
            self._bind_logits()
        except RuntimeError as exc:
            raise ModelTooLargeError(
                f"{self._folder.path}: no memory for n_ctx = {self._n_ctx:,}: {_line(exc)}"
            ) from exc

    def beside(self) -> OnnxSession:
        """The same weights with caches of their own, and all logits where they can be had. One evaluates at a time.

        Memory is taken as it is written, on a CPU. The caches are as long as these: a graph may ask how long they are.

        Raises:
            ModelTooLargeError: there is no memory for them.
        """
        other = copy.copy(self)
        other.gives_all = self.gives_all or bool(self._graph.begin)
        other._make_room()
        return other

    def evaluate(self, n_past: int, tokens: Sequence[int]) -> bool:
        """Evaluate tokens after the first `n_past` of the caches; False when it was ended.

        Raises:
            GenerationError: ONNX Runtime failed.
        """
        n_tokens = len(tokens)
        self._inputs["input_ids"][:n_tokens] = tokens
        self._bind("input_ids", 0, n_tokens)
        self._bind("attention_mask", 0, n_past + n_tokens)
        self._bind("position_ids", n_past, n_tokens)
        if self.gives_all:
            self.all_logits, self._value = self.logits[None], None  # the last ones' memory is free again
            self._binding.bind_output(self._folder.decoder.logits, "cpu")
        if self.gives_all and self._graph.begin:
            begin = np.array([-min(self.n_wanted, n_tokens)], np.int64)
            self._binding.bind_ortvalue_input(self._graph.begin, self._onnxruntime.OrtValue.ortvalue_from_numpy(begin))
        try:
            self._session.run_with_iobinding(self._binding, self.abort.options)
        except Exception as exc:  # ONNX Runtime's errors have no class in common
            if self.abort.is_set and _TERMINATED in str(exc):
                return False
            raise GenerationError(f"ONNX Runtime failed after {n_past:,} tokens: {_line(exc)}") from exc
        self._take_logits(n_tokens)
        return True

    def close(self) -> None:
        """Free native memory; the arrays that lay there are gone with it."""
        self.caches.clear()
        self.all_logits = self.logits = np.zeros(0, np.float32)
        del self._binding, self._value, self._values, self._session

    def _opened(self, n_threads: int, provider: str) -> Any:
        options = self._onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = n_threads, 1
        options.log_severity_level = 4
        options.enable_mem_pattern = False  # one would be kept for each length of the text
        for name, value in _CONFIG.items():
            options.add_session_config_entry(f"session.{name}", value)
        available = self._onnxruntime.get_available_providers()
        if PROVIDERS[provider] not in available:
            raise OptionError(
                f"provider = {provider!r}: the installed onnxruntime {self._onnxruntime.__version__} has "
                f"{', '.join(our_names(available))} only: choose one of these, or install another build of it"
            )
        providers = list(dict.fromkeys([PROVIDERS[provider], PROVIDERS[CPU]]))
        options.add_session_config_entry(_FOLDER_KEY, str(self._folder.path))
        graph = self._graph.data or str(self._folder.graph)
        try:
            return self._onnxruntime.InferenceSession(
                graph, options, providers=providers, enable_fallback=0, read_config_from_model=0
            )
        except Exception as exc:  # ONNX Runtime's errors have no class in common
            raise self._refused(exc) from exc

    def _refused(self, exc: Exception) -> ModelError:
        words, path = str(exc), self._folder.graph
        operator, version = _UNKNOWN_OPERATOR.search(words), _UNKNOWN_VERSION.search(words)
        if operator or version:
            what = f"the operator {operator[1]}" if operator else (version[1] or version[2]).lower() if version else ""
            return ModelFormatError(
                f"{path}: the installed onnxruntime {self._onnxruntime.__version__} is too old for {what}: install a "
                "newer one (pip install -U onnxruntime)"
            )
        if isinstance(exc, MemoryError) or "Failed to allocate" in words or "bad_alloc" in words:
            return ModelTooLargeError(f"{path}: no memory for its weights: close other programs, or take a smaller one")
        return ModelFormatError(f"{path}: ONNX Runtime cannot load it ({_line(exc)}): build it again")

    def _bind_caches(self) -> None:
        """One buffer is a layer's past and its present."""
        decoder, device = self._folder.decoder, device_of(self.provider)
        kind = np.float16 if self._graph.cache_kind == FLOAT16 else np.float32
        shape = (1, decoder.n_head_kv, self._n_ctx, decoder.head_dim)
        names = [
            (past % layer, present % layer)
            for layer in range(decoder.n_layer)
            for past, present in zip(decoder.past, decoder.present, strict=True)
        ]
        if device == "cpu":
            self.caches = _room(len(names), shape, kind)
            for (past, present), cache in zip(names, self.caches, strict=True):
                self._binding.bind_input(past, device, 0, kind, shape, cache.ctypes.data)
                self._binding.bind_output(present, device, 0, kind, shape, cache.ctypes.data)
            return
        for past, present in names:
            value = self._onnxruntime.OrtValue.ortvalue_from_shape_and_type(shape, kind, device, 0)
            self._binding.bind_ortvalue_input(past, value)
            self._binding.bind_ortvalue_output(present, value)
            self._values.append(value)

    def _bind(self, name: str, start: int, n_tokens: int) -> None:
        """Put the next numbers where the graph asks for them."""
        theirs = self._folder.decoder.inputs[name]
        if theirs in self._graph.inputs:
            address = self._inputs[name][start:].ctypes.data
            self._binding.bind_input(theirs, "cpu", 0, np.int64, (1, n_tokens), address)

    def _bind_logits(self) -> None:
        """Those of the last token alone stand at one place; for those of all, ONNX Runtime makes room each time."""
        decoder = self._folder.decoder
        kind = np.float16 if self._graph.outputs[decoder.logits].kind == FLOAT16 else np.float32
        self._logits_kind: Any = kind
        if self.gives_all:
            return
        shape = (1, 1, decoder.n_vocab)
        self._value = self._onnxruntime.OrtValue.ortvalue_from_shape_and_type(shape, kind, "cpu", 0)
        self._binding.bind_ortvalue_output(decoder.logits, self._value)
        self.all_logits = _view(self._value, shape, kind)[0]
        if kind is np.float32:
            self.logits = self.all_logits[0]

    def _take_logits(self, n_tokens: int) -> None:
        if self.gives_all:
            outputs = self._binding.get_outputs_as_ortvaluevector()
            n_given = min(self.n_wanted, n_tokens) if self._graph.begin else n_tokens
            self._value, shape = outputs[len(outputs) - 1], (1, n_given, self._folder.decoder.n_vocab)
            if tuple(self._value.shape()) != shape:
                raise GenerationError(
                    f"the graph answers logits of the shape {list(self._value.shape())}, not {list(shape)}"
                )
            self.all_logits = _view(self._value, shape, self._logits_kind)[0]
        elif self._logits_kind is np.float32:
            return  # they are where they belong
        self.logits[:] = self.all_logits[-1]


def _room(n_arrays: int, shape: tuple[int, ...], kind: Any) -> list[NDArray[Any]]:
    """Arrays of zeros in small pages of the system's, which take up memory as they are filled.

    Raises:
        RuntimeError: there is no memory.
    """
    n_bytes = math.prod(shape) * np.dtype(kind).itemsize
    step = -(-n_bytes // mmap.PAGESIZE) * mmap.PAGESIZE
    try:
        room = mmap.mmap(-1, n_arrays * step)
    except (OSError, OverflowError, ValueError) as exc:
        raise RuntimeError(str(exc)) from exc
    return [np.ndarray(shape, kind, room, index * step) for index in range(n_arrays)]


def _view(value: Any, shape: tuple[int, ...], kind: Any) -> NDArray[Any]:
    """An OrtValue's own memory, which it must outlive."""
    size = math.prod(shape) * np.dtype(kind).itemsize
    buffer = (ctypes.c_uint8 * size).from_address(value.data_ptr())
    return np.frombuffer(buffer, kind).reshape(shape)


def _line(exc: Exception) -> str:
    return one_line(str(exc))[:_MAX_WORDS]
