"""What an embedding model may take: the length of a text, the pooling, the memory, the sandbox."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from edgeai.backends.llama_embed import POOLINGS
from edgeai.engine.embed_wire import Pooling
from edgeai.errors import ModelFormatError, ModelTooLargeError, OptionError
from edgeai.gguf_header import GGUFHeader
from edgeai.machine import available_memory_bytes
from edgeai.sandbox import Policy

AUTO_N_CTX = 2048
"""Tokens of a text at most where nothing else is asked for: a passage has some hundred."""
_ENCODERS = ("bert", "embedding")  # part of the names of llama.cpp's architectures that can do nothing else
_RERANKER = 4  # of llama_pooling_type: it gives a score, no vector
_F32_BYTES, _F16_BYTES = 4, 2
_PROCESS_BYTES = 60 * 2**20  # Python twice, edgeai, llama.cpp's library and graphs
_VOCABULARY_ENTRY_BYTES = 160
_HEADROOM_BYTES = 2**30  # address space that is reserved and never used
_THREAD_BYTES = 80 * 2**20


@dataclass(frozen=True, slots=True)
class Plan:
    """How a model is opened.

    Attributes:
        n_ctx: tokens of a text at most.
        pooling: how a text's vector is made of its tokens'.
        policy: the sandbox.
    """

    n_ctx: int
    pooling: Pooling
    policy: Policy


def plan(header: GGUFHeader, *, n_ctx: int | None, pooling: Pooling | None, max_threads: int) -> Plan:
    """Look at a checked header.

    Args:
        header: the model's.
        n_ctx: tokens of a text at most; None takes what the model was trained for, at most AUTO_N_CTX.
        pooling: None takes the model's own.
        max_threads: of the process.
    Raises:
        ModelFormatError: no embedding model.
        ModelTooLargeError: it does not fit the memory that is free.
        OptionError: n_ctx is not what the model can take.
    """
    if header.architecture == "clip":
        raise ModelFormatError(f"{header.path}: a projector (mmproj), not an embedding model: choose another file")
    pooling = pooling or _own_pooling(header)
    n_ctx = _n_ctx(header, n_ctx)
    need = _need_bytes(header, n_ctx)
    available = available_memory_bytes()
    if need > available:
        raise ModelTooLargeError(
            f"{header.path} needs {need / 2**20:,.0f} MiB of memory for texts of n_ctx = {n_ctx:,} tokens and "
            f"{available / 2**20:,.0f} MiB is free: take shorter texts (n_ctx = 512) or a smaller model"
        )
    unused = header.n_vocab * n_ctx * _F32_BYTES  # room for logits, which llama.cpp reserves and does not touch
    return Plan(
        n_ctx,
        pooling,
        Policy(
            readable=(str(header.path.resolve()),),
            memory_bytes=header.n_file_bytes + 2 * need + unused + max_threads * _THREAD_BYTES + _HEADROOM_BYTES,
        ),
    )


def _own_pooling(header: GGUFHeader) -> Pooling:
    number, key = header["pooling_type"], f"{header.architecture}.pooling_type"
    own: dict[int, Pooling] = {1: "mean", 2: "cls", 3: "last"}
    if isinstance(number, int) and number in own:
        return own[number]
    if number == _RERANKER:
        raise ModelFormatError(f"{header.path}: a reranker ({key} = 4), not an embedding model: choose another file")
    if number in (None, 0) and any(part in header.architecture for part in _ENCODERS):
        return "mean"
    expected = ", ".join(f"{number} ({name})" for name, number in POOLINGS.items())
    raise ModelFormatError(f"{header.path}: {key} = {number!r:.40}, expected {expected}: choose an embedding model")


def _n_ctx(header: GGUFHeader, wanted: int | None) -> int:
    trained: int = header["context_length"]  # which every checked header has
    if wanted is None:
        return min(trained, AUTO_N_CTX)
    if not 2 <= wanted <= trained:
        raise OptionError(f"n_ctx = {wanted:,}: expected 2 to {trained:,}, what {header.path} was trained for")
    return wanted


def _need_bytes(header: GGUFHeader, n_ctx: int) -> int:
    """The weights, the largest graph's buffers for one batch of n_ctx tokens, a KV cache, and two processes."""
    width = _most(header, "embedding_length")
    layer = 3 * _most(header, "feed_forward_length") + 8 * width  # numbers alive at once for a token
    masks = (_most(header, "attention.head_count") + 1) * n_ctx  # attention, where it is not fused
    cache = 2 * _most(header, "block_count") * width * _F16_BYTES
    compute = n_ctx * ((layer + masks) * _F32_BYTES + cache)
    return header.tensor_bytes + compute + _PROCESS_BYTES + _VOCABULARY_ENTRY_BYTES * header.n_vocab


def _most(header: GGUFHeader, name: str) -> int:
    """A number of the header, or the largest where each layer has its own."""
    value: Any = header[name]
    return max(value) if isinstance(value, tuple) else int(value or 0)
