"""llama.cpp's own quantizer and its logits, through llama-cpp-python's bindings: the oracle in person."""

from __future__ import annotations

import ctypes
import functools
import importlib
import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tests.quantize.tiny_weights import F32


def quantize_file(source: Path, target: Path, ftype: str, importance: Mapping[str, F32] | None = None) -> None:
    """`llama_model_quantize` a GGUF.

    Args:
        source: a GGUF of float type.
        target: the file to write.
        ftype: as in llama.h, without LLAMA_FTYPE_MOSTLY_.
        importance: tensor's name → mean squares of its inputs. [n_inputs]
    """
    llama = _library()
    parameters = llama.llama_model_quantize_default_params()
    parameters.ftype = getattr(llama, "LLAMA_FTYPE_ALL_F32" if ftype == "F32" else f"LLAMA_FTYPE_MOSTLY_{ftype}")
    parameters.nthread = 1
    kept = {
        name.encode(): np.ascontiguousarray(values, dtype=np.float32) for name, values in (importance or {}).items()
    }
    if importance is not None:
        rows = (llama.llama_model_imatrix_data * (len(kept) + 1))()  # one of zeros ends the list
        for row, (name, values) in zip(rows, kept.items(), strict=False):
            row.name, row.size = name, values.size
            row.data = values.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
        parameters.imatrix = rows
    status = llama.llama_model_quantize(bytes(source), bytes(target), ctypes.byref(parameters))
    if status:
        raise RuntimeError(f"llama_model_quantize of {source} to {ftype}: status {status}")


def llama_logits(path: Path, tokens: Sequence[int], *, n_ctx: int | None = None) -> F32:
    """llama.cpp's logits at each place of a text. [n_tokens, n_vocab]

    Args:
        path: a GGUF.
        tokens: the text.
        n_ctx: context window, tokens; the least that holds the text where None. It decides whether a long-context
            model uses its long factors.
    """
    llama = _library()
    loading = llama.llama_model_default_params()
    loading.n_gpu_layers = 0
    model = llama.llama_model_load_from_file(bytes(path), loading)
    if not model:
        raise RuntimeError(f"llama.cpp cannot load {path}")
    context = None
    try:
        options = llama.llama_context_default_params()
        options.n_ctx = n_ctx or -(-len(tokens) // 256) * 256
        options.n_batch = options.n_ubatch = len(tokens)
        options.n_threads = options.n_threads_batch = 1
        options.flash_attn_type = llama.LLAMA_FLASH_ATTN_TYPE_DISABLED
        options.type_k = options.type_v = llama.GGML_TYPE_F32
        context = llama.llama_init_from_model(model, options)
        return _decode(llama, model, context, tokens)
    finally:
        if context:
            llama.llama_free(context)
        llama.llama_model_free(model)


def _decode(llama: Any, model: Any, context: Any, tokens: Sequence[int]) -> F32:
    batch = llama.llama_batch_init(len(tokens), 0, 1)
    try:
        batch.n_tokens = len(tokens)
        for place, token in enumerate(tokens):
            batch.token[place], batch.pos[place] = token, place
            batch.n_seq_id[place], batch.seq_id[place][0], batch.logits[place] = 1, 0, 1
        if status := llama.llama_decode(context, batch):
            raise RuntimeError(f"llama_decode: status {status}")
        n_vocab = llama.llama_vocab_n_tokens(llama.llama_model_get_vocab(model))
        pointer = ctypes.cast(llama.llama_get_logits(context), ctypes.POINTER(ctypes.c_float))
        values: F32 = np.ctypeslib.as_array(pointer, (len(tokens), n_vocab)).copy()
        return values
    finally:
        llama.llama_batch_free(batch)


@functools.cache
def _library() -> Any:
    """The bindings, with llama.cpp's log kept off the terminal.

    The oracle is made where edgeai is not installed; in the tests its bindings are there, whose log others read.
    """
    if importlib.util.find_spec("edgeai") is not None:
        return importlib.import_module("edgeai.backends.llama_native").bindings()
    llama: Any = importlib.import_module("llama_cpp.llama_cpp")
    _KEPT.append(llama.llama_log_callback(lambda _level, _text, _data: None))
    llama.llama_log_set(_KEPT[0], None)
    llama.llama_backend_init()
    return llama


_KEPT: list[Any] = []  # a callback that is collected crashes llama.cpp's next line
