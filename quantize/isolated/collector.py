"""What llama.cpp shows of its matrix products while a model reads a text, summed up; see quantize.collect.

llama.cpp asks before every operator whether its result is wanted, and after it hands out the tensors. Those of matrix
products are looked at, as llama-imatrix does (tools/imatrix/imatrix.cpp of ggml-org/llama.cpp), but summed up in
float64: in float32 the sums of a long text lose what single tokens add.
"""

from __future__ import annotations

import ctypes
import functools
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeai.backends.llama_native import bindings
from edgeai.errors import GenerationError, QuantizeError
from quantize.base import F32
from quantize.evaluate import Evaluator
from quantize.imatrix import Entry

_F32_TYPE = 0  # ggml_type
_LARGEST = float(np.finfo(np.float32).max)  # a sum ends as float32
_MIN_ROWS = 16  # llama-imatrix leaves smaller batches out
_PRODUCT, _EXPERTS_PRODUCT = b"MUL_MAT", b"MUL_MAT_ID"  # ggml's names; their numbers change


class _Tensor(ctypes.Structure):
    """struct ggml_tensor of ggml.h."""


_Tensor._fields_ = [
    ("type", ctypes.c_int),
    ("buffer", ctypes.c_void_p),
    ("ne", ctypes.c_int64 * 4),
    ("nb", ctypes.c_size_t * 4),
    ("op", ctypes.c_int),
    ("op_params", ctypes.c_int32 * 16),
    ("flags", ctypes.c_int32),
    ("src", ctypes.POINTER(_Tensor) * 10),
    ("view_src", ctypes.c_void_p),
    ("view_offs", ctypes.c_size_t),
    ("data", ctypes.c_void_p),
    ("name", ctypes.c_char * 64),
    ("extra", ctypes.c_void_p),
    ("padding", ctypes.c_char * 8),
]


class _Sums:
    """What is collected for one matrix, or for a stack of one an expert."""

    def __init__(self, n_matrices: int, n_counts: int, n_inputs: int) -> None:
        self.sums: NDArray[np.float64] = np.zeros((n_matrices, n_inputs))
        self.counts: NDArray[np.int64] = np.zeros(n_counts, dtype=np.int64)

    def entry(self) -> Entry:
        return Entry(self.sums.astype(np.float32).ravel(), self.counts)


class Collector:
    """The eval callback and what it has seen.

    Attributes:
        error: what went wrong in the callback, which cannot raise; the evaluation ends then.
    """

    def __init__(self, *, process_output: bool = False) -> None:
        """`process_output`: take the output matrix too, which is better quantized without; as in llama-imatrix."""
        self.error: QuantizeError | None = None
        self._found: dict[str, _Sums] = {}
        self._process_output = process_output
        self._ggml = _ggml()
        self._laid_out_as_known = False
        self.callback = bindings().ggml_backend_sched_eval_callback(self._see)

    def entries(self) -> dict[str, Entry]:
        """What was collected, by the weight's name."""
        return {name: sums.entry() for name, sums in sorted(self._found.items())}

    def _see(self, address: int, ask: bool, _user_data: object) -> bool:
        try:
            tensor, operator = _Tensor.from_address(address), self._ggml.ggml_op_desc(address)
            if ask:
                return operator in (_PRODUCT, _EXPERTS_PRODUCT) and self._wants(tensor, operator)
            self._take(tensor, operator)
        except QuantizeError as exc:
            self.error = exc
        except Exception as exc:  # noqa: BLE001 - it would be lost in the C code that calls
            self.error = QuantizeError(f"an operator's inputs could not be read: {exc!r}")
        return self.error is None

    def _wants(self, tensor: _Tensor, operator: bytes) -> bool:
        weight, inputs = tensor.src[0].contents, tensor.src[1].contents
        self._check_layout(tensor.src[0])
        if inputs.type != _F32_TYPE:
            return False
        name = _weight_name(weight)
        if operator == _EXPERTS_PRODUCT:
            return name.startswith("blk.")
        if inputs.ne[1] < _MIN_ROWS:
            return False
        return name.startswith("blk.") or (self._process_output and name == "output.weight")

    def _check_layout(self, weight: Any) -> None:
        if self._laid_out_as_known:
            return
        address = ctypes.cast(weight, ctypes.c_void_p)
        tensor = weight.contents
        known = (self._ggml.ggml_get_name(address), self._ggml.ggml_nelements(address))
        if known != (tensor.name, int(np.prod(tensor.ne))) or self._ggml.ggml_get_data(address) != tensor.data:
            raise QuantizeError(
                "this llama.cpp lays its tensors out in another way than version 0.3.36 of llama-cpp-python: install it"
            )
        self._laid_out_as_known = True

    def _take(self, tensor: _Tensor, operator: bytes) -> None:
        weight, inputs = tensor.src[0].contents, tensor.src[1].contents
        name = _weight_name(weight)
        values = self._values(inputs, np.dtype(np.float32))  # [n3, n2, n_rows, n_inputs]
        if operator == _EXPERTS_PRODUCT:
            found = self._sums(name, weight.ne[2], weight.ne[2], inputs.ne[0])
            experts = self._values(tensor.src[2].contents, np.dtype(np.int32))[0, 0]  # [n_tokens, n_used]
            _add_experts(found, values[0], experts)
        else:
            found = self._sums(name, weight.ne[2] * weight.ne[3], 1, inputs.ne[0])
            _add(found, values, (weight.ne[2], weight.ne[3]))
        if not (found.sums <= _LARGEST).all():
            raise QuantizeError(f"the inputs of {name} are not numbers (NaN or Inf): the model's weights are damaged")

    def _sums(self, name: str, n_matrices: int, n_counts: int, n_inputs: int) -> _Sums:
        found = self._found.setdefault(name, _Sums(n_matrices, n_counts, n_inputs))
        if found.sums.shape != (n_matrices, n_inputs):
            raise QuantizeError(f"{name} has inputs of {found.sums.shape} and of {(n_matrices, n_inputs)}")
        return found

    def _values(self, tensor: _Tensor, dtype: np.dtype[Any]) -> NDArray[Any]:
        """A copy of a tensor's elements wherever they lie. [ne3, ne2, ne1, ne0]"""
        shape, strides = tuple(tensor.ne)[::-1], tuple(tensor.nb)[::-1]
        n_bytes = dtype.itemsize + sum((length - 1) * stride for length, stride in zip(shape, strides, strict=True))
        data = np.empty(n_bytes, dtype=np.uint8)
        self._ggml.ggml_backend_tensor_get(ctypes.byref(tensor), data.ctypes.data, 0, n_bytes)
        values: NDArray[Any] = np.ndarray(shape, dtype, data, strides=strides)
        return values


def _add(found: _Sums, values: F32, n_matrices: tuple[int, int]) -> None:
    """Sum up the inputs of a matrix, or of a stack whose matrices take turns."""
    for i3, plane in enumerate(values):
        for i2, rows in enumerate(plane):
            matrix = (i3 % n_matrices[1]) * n_matrices[0] + i2 % n_matrices[0]
            found.sums[matrix] += np.square(rows, dtype=np.float64).sum(axis=0)
    found.counts += values.shape[0] * values.shape[1] * values.shape[2] // len(found.sums)


def _add_experts(found: _Sums, values: F32, experts: NDArray[np.int32]) -> None:
    """Sum up the inputs of the experts that each token went to.

    Args:
        found: what is collected.
        values: one input for all experts of a token, or one for each. [n_tokens, 1 or n_used, n_inputs]
        experts: the experts' numbers. [n_tokens, n_used]
    """
    if experts.min() < 0 or experts.max() >= len(found.counts):
        raise QuantizeError(f"a token went to expert {experts.max()} of {len(found.counts)}")
    for used in range(experts.shape[1]):
        squares = np.square(values[:, used % values.shape[1]], dtype=np.float64)
        for expert in np.unique(experts[:, used]):
            chosen = experts[:, used] == expert
            found.sums[expert] += squares[chosen].sum(axis=0)
            found.counts[expert] += int(chosen.sum())


def read_window(model: Evaluator, window: NDArray[np.int32], collector: Collector) -> None:
    """Let a model that was opened with a collector's callback read one window.

    Raises:
        QuantizeError: the inputs cannot be collected.
        GenerationError: llama.cpp failed.
    """
    try:
        for _ in model.logits(window, 0):  # of every token: else the last layer computes only those that are wanted
            pass
    except GenerationError:
        if collector.error is None:
            raise
    if collector.error is not None:
        raise QuantizeError(f"{model.path}: {collector.error}") from collector.error


def _weight_name(weight: _Tensor) -> str:
    """The weight's name; one that was copied to a device is called DEVICE#NAME#NUMBER there."""
    name: str = weight.name.decode("utf-8", "replace")
    parts = name.split("#")
    return parts[1] if len(parts) > 1 else name


@functools.cache
def _ggml() -> Any:
    """libggml-base, the one that libllama uses."""
    llama_cpp = bindings()
    from llama_cpp._ctypes_extensions import load_shared_library

    library: Any = load_shared_library("ggml-base", Path(llama_cpp._base_path))
    for name, result in (
        ("ggml_op_desc", ctypes.c_char_p),
        ("ggml_get_name", ctypes.c_char_p),
        ("ggml_get_data", ctypes.c_void_p),
        ("ggml_nelements", ctypes.c_int64),
    ):
        getattr(library, name).argtypes, getattr(library, name).restype = [ctypes.c_void_p], result
    library.ggml_backend_tensor_get.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t]
    library.ggml_backend_tensor_get.restype = None
    return library
