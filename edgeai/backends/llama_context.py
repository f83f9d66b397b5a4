"""A llama.cpp context: a KV cache of one sequence, or of many that share cells, and the buffers to evaluate in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgeai.backends.llama_model import LlamaModel
from edgeai.backends.llama_native import AbortSwitch, bindings, last_error
from edgeai.errors import ModelTooLargeError
from edgeai.options import LoadOptions


def make_context(
    model: LlamaModel, path: Path, options: LoadOptions, n_ctx: int, n_threads: int, abort: AbortSwitch
) -> Any:
    """Open a context; the caller frees it with `llama_free`.

    Args:
        model: closed where that fails.
        path: its file, for messages.
        options: how to open it.
        n_ctx: tokens of the window.
        n_threads: threads, to begin with.
        abort: ends an evaluation.
    Raises:
        ModelTooLargeError: the KV cache or the buffers cannot be allocated.
    """
    llama_cpp = bindings()
    params = _params(llama_cpp, options, n_threads, abort)
    params.n_ctx = n_ctx
    params.n_batch = options.n_batch
    params.n_ubatch = min(options.n_ubatch, options.n_batch)
    params.n_outputs_max = 1  # only the last token's logits are read: no [n_ubatch, n_vocab] buffer
    params.swa_full = options.swa_full
    context = llama_cpp.llama_init_from_model(model.handle, params)
    if not context:
        model.close()
        raise ModelTooLargeError(f"{path}: cannot open a context of n_ctx = {n_ctx:,}: {last_error()}")
    return context


def make_scoring_context(
    model: LlamaModel,
    path: Path,
    options: LoadOptions,
    n_threads: int,
    abort: AbortSwitch,
    *,
    n_cells: int,
    n_batch: int,
    n_seqs: int,
    n_outputs: int,
) -> Any:
    """Open a second context on the same weights, in which sequences share the cells of their common beginning.

    Args:
        model: stays open where that fails.
        path: its file, for messages.
        options: how to open it.
        n_threads: threads, to begin with.
        abort: ends an evaluation.
        n_cells: of the KV cache, for all sequences together.
        n_batch: tokens of a batch.
        n_seqs: sequences.
        n_outputs: tokens of a batch whose logits are read, at most; not fewer than n_seqs.
    Raises:
        ModelTooLargeError: the KV cache or the buffers cannot be allocated.
    """
    llama_cpp = bindings()
    params = _params(llama_cpp, options, n_threads, abort)
    params.n_ctx = n_cells
    params.n_batch = n_batch
    params.n_ubatch = min(options.n_ubatch, n_batch)
    params.n_seq_max, params.n_outputs_max = n_seqs, n_outputs
    params.kv_unified = True
    params.swa_full = True  # a cell that left one sequence's window would be given away, and the others need it
    context = llama_cpp.llama_init_from_model(model.handle, params)
    if not context:
        raise ModelTooLargeError(
            f"{path}: cannot open a second context of {n_cells:,} tokens for scoring: {last_error()}: free memory, or "
            "open the model with less n_ctx"
        )
    return context


def _params(llama_cpp: Any, options: LoadOptions, n_threads: int, abort: AbortSwitch) -> Any:
    """What all contexts of a model have in common."""
    params = llama_cpp.llama_context_default_params()
    params.n_threads = params.n_threads_batch = n_threads
    params.type_k = _kv_type(llama_cpp, options.type_k)
    params.type_v = _kv_type(llama_cpp, options.type_v)
    if options.fused_attention is not None:
        params.flash_attn_type = int(options.fused_attention)
    params.abort_callback = abort.callback
    params.abort_callback_data = abort.data
    return params


def _kv_type(llama_cpp: Any, name: str) -> int:
    """ggml's number of a type of KV_TYPES; the bindings have no name for bf16."""
    return 30 if name == "bf16" else int(getattr(llama_cpp, f"GGML_TYPE_{name.upper()}"))
