"""How much memory a model needs, before it is loaded, and what of it fits.

The parts are what llama.cpp allocates on a CPU: the weights (mapped, and all of them read for every token), the KV
cache (filled with zeros when it is opened, so all of it counts), the buffers of the largest graph, and the processes
of the session and of its engine, with the vocabulary. Constants were fitted to llama-cpp-python 0.3.36 on Linux;
tests/test_fit.py compares with what the two processes really use. Weights that llama.cpp repacks for the CPU count
once: their pages in the file stay mapped, but are given back when memory is short.

Source of the formulas: llama_kv_cache, llama_kv_cache_iswa, llama_memory_recurrent and llama_context::sched_reserve of
ggml-org/llama.cpp.
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass, replace

from edgeai.errors import ModelTooLargeError, OptionError
from edgeai.gguf_types import TENSOR_TYPES
from edgeai.model_shape import KVLayers, ModelShape
from edgeai.options import LoadOptions

__all__ = [
    "Estimate",
    "KVLayers",
    "KVTypes",
    "ModelShape",
    "check_fit",
    "check_scoring",
    "choose_n_ctx",
    "estimate",
    "estimate_for",
    "fits",
    "largest_n_ctx",
    "scoring_bytes",
    "smaller_kv_types",
    "what_fits",
]

AUTO_N_CTX = 4096
"""What n_ctx = "auto" takes at most, tokens."""

_CELLS = 256  # llama.cpp rounds caches up to so many tokens
_F32_BYTES, _F16_BYTES = 4, 2
_PROCESS_BYTES = 60 * 2**20  # Python twice, edgeai, llama.cpp's library and graphs
_VOCABULARY_ENTRY_BYTES = 160  # a token's or a merge's text in llama.cpp's tables
_LOGIT_BYTES = 24  # a token's logit and its entry in the sampler
_ONNX_PROCESS_BYTES = 133 * 2**20  # the same with ONNX Runtime 1.32, numpy and tokenizers
_ONNX_VOCABULARY_ENTRY_BYTES = 400  # in the tables of tokenizers
_SMALLER_KV_TYPES = ("q8_0", "q4_0")  # the least lossy first
_KV_BLOCK = 32  # their elements with a common scale: a head's width is a multiple of it
_SCORING_CELLS, _SCORING_BATCH = 512, 257  # beside the window, and tokens of a batch: see backends/llama_scorer.py
_SCORING_STATES = 3  # of recurrent layers
_SCORING_ROWS = (32, 256, 64 * 2**20)  # of logits: at least, at most, and bytes between the two
_LEAST_N_CTX = 512  # "auto" takes no window too small for a question and its answer
_BITS_BY_TYPE = {kind.name.lower(): 8 * kind.block_bytes / kind.block_size for kind in TENSOR_TYPES.values()}


@dataclass(frozen=True, slots=True)
class Estimate:
    """Memory that a model needs, bytes.

    Attributes:
        weights_bytes: the weights.
        kv_bytes: the KV cache and the state of recurrent layers.
        compute_bytes: buffers of the graph.
        runtime_bytes: the process and the vocabulary.
    """

    weights_bytes: int
    kv_bytes: int
    compute_bytes: int
    runtime_bytes: int

    @property
    def total_bytes(self) -> int:
        """All of it."""
        return self.weights_bytes + self.kv_bytes + self.compute_bytes + self.runtime_bytes


def estimate(
    shape: ModelShape,
    *,
    n_ctx: int,
    n_ubatch: int = 128,
    type_k: str = "f16",
    type_v: str = "f16",
    swa_full: bool = False,
    flash_attn: bool | None = False,
) -> Estimate:
    """The memory that a model needs.

    Args:
        shape: the model.
        n_ctx: context window, tokens.
        n_ubatch: tokens of one physical batch.
        type_k: element type of the K cache.
        type_v: element type of the V cache.
        swa_full: keep the whole cache of sliding-window layers.
        flash_attn: fused attention; None, llama.cpp's own choice, counts as on.
    """
    cells = _padded(n_ctx)
    n_ubatch = min(n_ubatch, cells)
    window_cells = cells if swa_full else _padded(min(cells, shape.n_swa + n_ubatch))
    kv_bytes = sum(
        group.n_layer
        * (window_cells if group.windowed else cells)
        * (group.k_width * _BITS_BY_TYPE[type_k] + group.v_width * _BITS_BY_TYPE[type_v])
        / 8
        for group in shape.kv_layers
    )
    return Estimate(
        weights_bytes=shape.weights_bytes,
        kv_bytes=int(kv_bytes) + shape.state_bytes,
        compute_bytes=_compute_bytes(shape, cells, window_cells, n_ubatch, fused=flash_attn is not False),
        runtime_bytes=_PROCESS_BYTES + _VOCABULARY_ENTRY_BYTES * (shape.n_vocab + shape.n_merges),
    )


def _compute_bytes(shape: ModelShape, cells: int, window_cells: int, n_ubatch: int, *, fused: bool) -> int:
    """The largest graph's buffers: what is alive at once for each token of a batch, and the attention masks."""
    width = max(shape.n_embd, shape.n_head * shape.head_dim)
    per_token = max(3 * shape.n_ff + 4 * width, 6 * shape.d_inner + 2 * shape.n_embd) * _F32_BYTES
    masks = {group.windowed: window_cells if group.windowed else cells for group in shape.kv_layers}
    per_token += sum(masks.values()) * _F16_BYTES
    if not fused:
        per_token += shape.n_head * max(masks.values(), default=0) * _F32_BYTES
    return n_ubatch * per_token + _LOGIT_BYTES * shape.n_vocab


def fits(need: Estimate, available_bytes: int) -> bool:
    """Whether so much memory is enough."""
    return need.total_bytes <= available_bytes


def largest_n_ctx(shape: ModelShape, options: LoadOptions, available_bytes: int, at_most: int) -> int:
    """The largest context window that fits, a multiple of 256 or `at_most` itself; 0 where none does."""
    steps = [*range(_CELLS, at_most, _CELLS), at_most]
    n_fit = bisect.bisect_left(
        steps, True, key=lambda n_ctx: not fits(estimate_for(shape, options, n_ctx), available_bytes)
    )
    return steps[n_fit - 1] if n_fit else 0


def choose_n_ctx(shape: ModelShape, options: LoadOptions, available_bytes: int) -> int:
    """The context window to open: the one that was asked for, or for "auto" what fits, at most AUTO_N_CTX.

    Memory is not checked for a model that goes to a GPU (n_gpu_layers): it has its own.

    Raises:
        OptionError: n_ctx is beyond what the model was trained for.
        ModelTooLargeError: it does not fit; the message says what would.
    """
    trained = shape.n_ctx_train
    if options.n_ctx != "auto":
        if trained is not None and options.n_ctx > trained:
            raise OptionError(
                f"n_ctx = {options.n_ctx:,}: {shape.name} was trained for {trained:,} tokens; "
                f"choose n_ctx = {trained:,} or less"
            )
        check_fit(shape, options, options.n_ctx, available_bytes)
        return options.n_ctx
    wanted = min(trained or AUTO_N_CTX, AUTO_N_CTX)
    if options.uses_gpu:
        return wanted
    n_ctx = largest_n_ctx(shape, options, available_bytes, wanted)
    if n_ctx < min(wanted, _LEAST_N_CTX):
        check_fit(shape, options, min(wanted, _LEAST_N_CTX), available_bytes)
    return n_ctx


def check_fit(shape: ModelShape, options: LoadOptions, n_ctx: int, available_bytes: int) -> None:
    """Refuse what does not fit into memory.

    Raises:
        ModelTooLargeError: with the numbers, and the nearest thing that would fit.
    """
    need = estimate_for(shape, options, n_ctx)
    if options.uses_gpu or fits(need, available_bytes):
        return
    raise ModelTooLargeError(
        f"{shape.name} needs {_size(need.total_bytes)} of memory with n_ctx = {n_ctx:,} "
        f"(weights {_size(need.weights_bytes)}, KV cache {_size(need.kv_bytes)}, "
        f"buffers {_size(need.compute_bytes + need.runtime_bytes)}) and {_size(available_bytes)} is free: "
        f"{what_fits(shape, options, n_ctx, available_bytes)}"
    )


def what_fits(shape: ModelShape, options: LoadOptions, n_ctx: int, available_bytes: int) -> str:
    """What to do about a context window that does not fit: the settings that fit, nearest to the wanted ones first."""
    smaller = largest_n_ctx(shape, options, available_bytes, n_ctx)
    settings = [f"n_ctx = {smaller:,}"] if smaller else []
    settings += [
        f'n_ctx = {found.n_ctx:,} and type_k = type_v = "{found.name}" (--type-k {found.name} --type-v {found.name})'
        for found in smaller_kv_types(shape, options, n_ctx, available_bytes)
    ]
    if not settings:
        return "take a smaller or more strongly quantized model"
    return f"it fits with {', or with '.join(settings)}"


@dataclass(frozen=True, slots=True)
class KVTypes:
    """A type for both caches, K and V, and the context window that fits with it.

    Attributes:
        name: one of KV_TYPES.
        n_ctx: tokens.
    """

    name: str
    n_ctx: int


def smaller_kv_types(shape: ModelShape, options: LoadOptions, n_ctx: int, available_bytes: int) -> tuple[KVTypes, ...]:
    """The quantized KV caches with which more of a context window fits than with the wanted types.

    Args:
        shape: the model.
        options: how it was to be opened.
        n_ctx: the context window that is wanted, tokens.
        available_bytes: memory that is free.
    Returns:
        The least lossy first, each with a larger window than the one before; benchmarks/kv_types.py measures losses.
    """
    found: list[KVTypes] = []
    if shape.is_onnx or options.flash_attn is False or shape.head_dim % _KV_BLOCK:
        return ()
    largest = largest_n_ctx(shape, options, available_bytes, n_ctx)
    for name in _SMALLER_KV_TYPES:
        n_fit = largest_n_ctx(shape, replace(options, type_k=name, type_v=name), available_bytes, n_ctx)
        if n_fit > largest:
            found.append(KVTypes(name, n_fit))
            largest = n_fit
    return tuple(found)


def estimate_for(shape: ModelShape, options: LoadOptions, n_ctx: int) -> Estimate:
    """The memory that a model needs when it is loaded in this way."""
    if shape.is_onnx:
        return _estimate_onnx(shape, n_ctx, min(options.n_batch, n_ctx))
    return estimate(
        shape,
        n_ctx=n_ctx,
        n_ubatch=min(options.n_ubatch, options.n_batch),
        type_k=options.type_k,
        type_v=options.type_v,
        swa_full=options.swa_full,
        flash_attn=options.fused_attention,
    )


def scoring_bytes(shape: ModelShape, options: LoadOptions, n_ctx: int) -> int:
    """The memory that scoring takes beside a loaded model: caches of its own, and the logits of many tokens.

    llama.cpp's are a second context on the same weights, in which windows keep all cells; logits stand there twice, in
    the graph and copied out of it.
    """
    row_bytes = _F32_BYTES * shape.n_vocab
    if shape.is_onnx:
        need = estimate_for(shape, options, n_ctx)
        return need.kv_bytes + need.compute_bytes + min(options.n_batch, n_ctx) * row_bytes
    least, most, most_bytes = _SCORING_ROWS
    n_rows = max(least, min(most, most_bytes // row_bytes))
    n_seqs = _SCORING_STATES if shape.state_bytes else n_rows
    n_tokens = -(-min(options.n_ubatch, options.n_batch, _SCORING_BATCH) // n_seqs) * n_seqs  # as llama.cpp reserves
    wider = replace(options, swa_full=True, n_batch=n_tokens, n_ubatch=n_tokens)
    need = estimate_for(shape, wider, n_ctx + _SCORING_CELLS)
    state_bytes = (_SCORING_STATES - 1) * shape.state_bytes
    return need.kv_bytes + state_bytes + max(need.compute_bytes, n_rows * row_bytes) + n_rows * row_bytes


def check_scoring(shape: ModelShape, options: LoadOptions, n_ctx: int, available_bytes: int) -> None:
    """Refuse to score where there is no memory for it.

    Args:
        shape: a model that is loaded.
        options: how it was opened.
        n_ctx: its context window, tokens.
        available_bytes: what is free beside it.
    Raises:
        ModelTooLargeError: with the numbers, and a context window that leaves room.
    """
    need = scoring_bytes(shape, options, n_ctx)
    if options.uses_gpu or need <= available_bytes:
        return
    room = available_bytes + estimate_for(shape, options, n_ctx).total_bytes
    smaller = [
        n for n in range(_CELLS, n_ctx, _CELLS)
        if estimate_for(shape, options, n).total_bytes + scoring_bytes(shape, options, n) <= room
    ]  # fmt: skip
    raise ModelTooLargeError(
        f"{shape.name} needs {_size(need)} more of memory to tell probabilities with n_ctx = {n_ctx:,} (a second KV "
        f"cache and its buffers) and {_size(max(available_bytes, 0))} is free: "
        + (f"it fits with n_ctx = {smaller[-1]:,}" if smaller else "take a smaller or more strongly quantized model")
    )


def _estimate_onnx(shape: ModelShape, n_ctx: int, n_batch: int) -> Estimate:
    """The same for ONNX Runtime: weights are packed as it likes them, K and V are float32, attention is fused."""
    kv_bytes = sum(group.n_layer * (group.k_width + group.v_width) for group in shape.kv_layers) * n_ctx * _F32_BYTES
    width = 3 * shape.n_ff + 4 * max(shape.n_embd, shape.n_head * shape.head_dim)
    return Estimate(
        weights_bytes=shape.weights_bytes,
        kv_bytes=kv_bytes,
        compute_bytes=n_batch * width * _F32_BYTES + _LOGIT_BYTES * shape.n_vocab,
        runtime_bytes=_ONNX_PROCESS_BYTES + _ONNX_VOCABULARY_ENTRY_BYTES * shape.n_vocab,
    )


def _padded(n_cells: int) -> int:
    return -(-n_cells // _CELLS) * _CELLS


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 2**30:.1f} GiB" if n_bytes >= 2**30 else f"{n_bytes / 2**20:.0f} MiB"
