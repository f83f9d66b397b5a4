"""What libmtmd's encoder is given of a picture: the values after resizing, cutting and normalizing.

libmtmd has no function for them; they are read from the encoder's graph, whose input is called `inp_raw` (clip.cpp of
ggml-org/llama.cpp), just before its first node is computed. Nothing is encoded: the graph is ended there.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from llama_cpp.llama_cpp import ggml_backend_sched_eval_callback
from numpy.typing import NDArray

from benchmarks.bare import Bare
from edgeai.backends.llama_native import media_bindings

F32 = NDArray[np.float32]
_INPUT = b"inp_raw"
_F32 = 0


class _Tensor(ctypes.Structure):
    """`struct ggml_tensor` of ggml.h."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("buffer", ctypes.c_void_p),
        ("ne", ctypes.c_int64 * 4),
        ("nb", ctypes.c_size_t * 4),
        ("op", ctypes.c_int),
        ("op_params", ctypes.c_int32 * 16),
        ("flags", ctypes.c_int32),
        ("src", ctypes.c_void_p * 10),
        ("view_src", ctypes.c_void_p),
        ("view_offs", ctypes.c_size_t),
        ("data", ctypes.c_void_p),
        ("name", ctypes.c_char * 64),
    )


@dataclass
class Eyes:
    """A projector that says what it is given.

    Attributes:
        mtmd: the bindings.
        context: libmtmd's own.
        bare: the text model beside it.
        found: the last inputs of the encoder. [n_parts] of [3, height, width]
    """

    mtmd: Any
    context: Any
    bare: Bare
    found: list[F32] = field(default_factory=list)

    def pixels(self, picture: NDArray[np.uint8]) -> list[F32]:
        """What the encoder is given of each part of a picture, in the order in which the text model gets them.

        Args:
            picture: [height, width, 3]
        Returns:
            [n_parts] of [3, height, width]
        """
        mtmd, (height, width, _) = self.mtmd, picture.shape
        data = (ctypes.c_uint8 * picture.size).from_buffer_copy(picture.tobytes())
        bitmap, chunks = mtmd.mtmd_bitmap_init(width, height, data), mtmd.mtmd_input_chunks_init()
        text = mtmd.mtmd_default_marker()
        given, bitmaps = mtmd.mtmd_input_text(text, len(text), False, True), (ctypes.c_void_p * 1)(bitmap)
        assert mtmd.mtmd_tokenize(self.context, chunks, ctypes.byref(given), bitmaps, 1) == 0
        self.found.clear()
        for index in range(mtmd.mtmd_input_chunks_size(chunks)):
            chunk = mtmd.mtmd_input_chunks_get(chunks, index)
            if mtmd.mtmd_input_chunk_get_type(chunk) == mtmd.MTMD_INPUT_CHUNK_TYPE_IMAGE:
                mtmd.mtmd_encode_chunk(self.context, chunk)
        mtmd.mtmd_bitmap_free(bitmap)
        mtmd.mtmd_input_chunks_free(chunks)
        return list(self.found)


@contextmanager
def opened_eyes(text_path: Path, projector_path: Path, **options: int) -> Iterator[Eyes]:
    """Load a projector beside its text model.

    Args:
        text_path: the model's .gguf file.
        projector_path: the projector's.
        options: of libmtmd, such as image_max_tokens.
    """
    mtmd, bare = media_bindings(), Bare(text_path, n_ctx=64, n_batch=64, n_ubatch=64)
    params = mtmd.mtmd_context_params_default()
    params.use_gpu, params.n_threads, params.print_timings, params.warmup = False, 1, False, False
    for name, value in options.items():
        setattr(params, name, value)
    found: list[F32] = []

    def on_node(address: int, ask: bool, _data: int | None) -> bool:
        """llama.cpp asks before a node whether to stop behind it, and there whether to go on."""
        sources = (_Tensor.from_address(source) for source in _Tensor.from_address(address).src if source)
        raw = next((source for source in sources if source.name == _INPUT), None)
        if ask and raw is not None:
            found.append(_values(raw))
        return ask and raw is not None

    params.cb_eval = callback = ggml_backend_sched_eval_callback(on_node)
    context = mtmd.mtmd_init_from_file(bytes(projector_path), bare.model, params)
    assert context
    try:
        yield Eyes(mtmd, context, bare, found)
    finally:
        mtmd.mtmd_free(context)
        bare.close()
        del callback


def _values(tensor: _Tensor) -> F32:
    assert tensor.type == _F32
    width, height, n_channels, n_pictures = tensor.ne
    assert (n_channels, n_pictures) == (3, 1)
    values = (ctypes.c_float * (width * height * n_channels)).from_address(tensor.data)
    return np.array(values, np.float32).reshape(n_channels, height, width)
