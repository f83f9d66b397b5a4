"""What the evaluating process may do: read its models, and take the memory that they were estimated to need."""

from __future__ import annotations

import math
from collections.abc import Sequence

from edgeai.fit import ModelShape, estimate_for
from edgeai.gguf_header import TensorInfo
from edgeai.machine import usable_cores
from edgeai.onnx_folder import OnnxFolder
from edgeai.options import LoadOptions
from edgeai.sandbox import Policy
from quantize.subjects import Subject, files

# of address space
_HEADROOM_BYTES = 2**30  # reserved and never used: arenas, thread stacks, lazy imports
_THREAD_BYTES = 80 * 2**20  # a stack and an arena
_LOGIT_BYTES = 4096  # a token of the vocabulary: the logits of a piece, and what scoring makes of some of them
_TEXT_BYTES = 64  # a byte of text: a token at most, in llama.cpp's tables and in ours
_ONNX_COPIES = 4  # of weights: mapped, read, packed for the processor; of K and V: past, present and on their way
_SUM_BYTES = 32  # an input of a matrix: its sum of squares, and copies of it


def policy(headers: Sequence[Subject], n_ctx: int, n_threads: int | None, n_text_bytes: int) -> Policy:
    """The sandbox for models that are open together.

    Raises:
        ModelFormatError: a file is no language model that we can run.
    """
    n_bytes = _HEADROOM_BYTES + (n_threads or usable_cores()) * _THREAD_BYTES + _TEXT_BYTES * n_text_bytes
    return Policy(
        readable=tuple(str(path) for header in headers for path in files(header)),
        memory_bytes=n_bytes + sum(_model_bytes(header, n_ctx) for header in headers),
    )


def n_inputs(tensor: TensorInfo) -> int:
    """Inputs of a matrix, or of a stack of them."""
    return tensor.n_elements // math.prod(tensor.shape[1:2])


def _model_bytes(header: Subject, n_ctx: int) -> int:
    if isinstance(header, OnnxFolder):
        return _onnx_bytes(header, n_ctx)
    shape = ModelShape.from_header(header)
    need = estimate_for(shape, LoadOptions(swa_full=True), n_ctx)
    sums_bytes = _SUM_BYTES * sum(n_inputs(tensor) for tensor in header.tensors)
    return header.n_file_bytes + 2 * need.total_bytes + _LOGIT_BYTES * shape.n_vocab + sums_bytes


def _onnx_bytes(folder: OnnxFolder, n_ctx: int) -> int:
    decoder = folder.decoder
    kv_bytes = 2 * 4 * decoder.n_layer * decoder.n_head_kv * decoder.head_dim * n_ctx
    return _ONNX_COPIES * (folder.n_file_bytes + kv_bytes) + _LOGIT_BYTES * decoder.n_vocab
