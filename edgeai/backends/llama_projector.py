"""A projector on libmtmd: cuts a medium into the chunks that it encodes at once, and encodes them."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeai.backends.llama_native import bindings, last_error, media_bindings, recent_errors
from edgeai.errors import GenerationError, ModelFormatError, PictureError, UnsupportedModalityError
from edgeai.media import Medium, chunk_ids


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """What the encoder takes at once: half a minute of sound, a picture or a tile of it.

    Attributes:
        key: the medium's sha256, and the chunk's number in it.
        handle: libmtmd's own.
        ids: what stands for it in a prompt.
        n_positions: of the sequence that it takes; with M-RoPE fewer than tokens.
    """

    key: tuple[str, int]
    handle: Any
    ids: list[int]
    n_positions: int


@dataclass(frozen=True, slots=True, eq=False)
class CutMedium:
    """A medium cut into chunks.

    Attributes:
        handle: owns their memory; to be freed with `mtmd_input_chunks_free`.
        tokens: what stands for it in a prompt: text tokens around the chunks' ids.
        chunks: in their order.
    """

    handle: Any
    tokens: list[int]
    chunks: list[Chunk]


class LlamaProjector:
    """All of it runs in the thread that computes.

    Attributes:
        handle: libmtmd's own.
        hears: whether it takes sounds in.
        sees: whether it takes pictures in.
        width: of an encoded token, float32 numbers.
    """

    def __init__(
        self,
        path: Path,
        model: Any,
        *,
        n_threads: int,
        use_gpu: bool,
        n_ubatch: int,
        max_ratio: int = 0,
        image_max_tokens: int = 0,
    ) -> None:
        """Load a projector. Its header has been checked before (edgeai.gguf_projector).

        Args:
            path: the projector's .gguf file.
            model: the text model, llama.cpp's own.
            n_threads: that encode.
            use_gpu: encode on a GPU where llama.cpp was built for one.
            n_ubatch: of the text model's context, tokens.
            max_ratio: of a picture's longer side to its shorter one; libmtmd ends the process over others.
            image_max_tokens: of a picture; 0 leaves it to the projector.
        Raises:
            ModelFormatError: libmtmd refuses the file.
        """
        self._mtmd, self._path, self._n_ubatch, self._max_ratio = media_bindings(), path, n_ubatch, max_ratio
        self.width = int(bindings().llama_model_n_embd_inp(model))
        params = self._mtmd.mtmd_context_params_default()
        params.use_gpu, params.n_threads, params.print_timings = use_gpu, n_threads, False
        params.image_max_tokens = image_max_tokens or -1
        recent_errors.clear()
        self.handle = self._mtmd.mtmd_init_from_file(os.fsencode(path), model, params)
        if not self.handle:
            raise ModelFormatError(f"{path}: llama.cpp cannot load this projector: {last_error()}")
        self.hears = bool(self._mtmd.mtmd_support_audio(self.handle))
        self.sees = bool(self._mtmd.mtmd_support_vision(self.handle))

    def cut(self, medium: Medium) -> CutMedium:
        """Cut a medium.

        Raises:
            UnsupportedModalityError: it cannot be put into this context.
            PictureError: a picture of such a shape cannot be.
            GenerationError: libmtmd failed.
        """
        if not (self.hears if medium.is_sound else self.sees):
            raise UnsupportedModalityError(
                f"{self._path}: a projector that cannot take in {_shown(medium)}: take another model"
            )
        if max(medium.size) > self._max_ratio * min(medium.size):
            raise PictureError(
                f"{_shown(medium)}: the model takes in sides of at most 1 to {self._max_ratio:,}; pad it, or give a "
                "part of it"
            )
        if not medium.data:
            raise GenerationError(f"the engine has not got the medium {medium.sha256[:8]}: ask again")
        recent_errors.clear()
        handle = self._mtmd.mtmd_input_chunks_init()
        try:
            self._tokenize(medium, handle)
            cut = CutMedium(handle, [], [])
            for ids, chunk in self._pieces(medium, handle):
                cut.tokens.extend(ids)
                cut.chunks.extend(chunk)
        except BaseException:
            self._mtmd.mtmd_input_chunks_free(handle)
            raise
        return cut

    def _tokenize(self, medium: Medium, chunks: Any) -> None:
        mtmd, part = self._mtmd, self._mtmd.mtmd_input_part()
        part.bitmap = bitmap = self._bitmap(medium)
        parts = (ctypes.POINTER(mtmd.mtmd_input_part) * 1)(ctypes.pointer(part))
        try:
            status = mtmd.mtmd_tokenize_from_parts(self.handle, chunks, parts, 1, False)
        finally:
            mtmd.mtmd_bitmap_free(bitmap)
        if status != 0:
            raise GenerationError(f"{self._path}: libmtmd refuses {_shown(medium)}: {last_error()}")

    def _bitmap(self, medium: Medium) -> Any:
        """What libmtmd calls a medium, with a copy of its data."""
        if medium.is_sound:
            n_samples = len(medium.data) // ctypes.sizeof(ctypes.c_float)
            samples = (ctypes.c_float * n_samples).from_buffer_copy(medium.data)
            return self._mtmd.mtmd_bitmap_init_from_audio(n_samples, samples)
        pixels = (ctypes.c_ubyte * len(medium.data)).from_buffer_copy(medium.data)
        return self._mtmd.mtmd_bitmap_init(medium.width, medium.height, pixels)

    def _pieces(self, medium: Medium, chunks: Any) -> Iterator[tuple[list[int], list[Chunk]]]:
        """The ids of each part of a tokenized medium, and the chunk that they stand for unless they are text."""
        mtmd, number = self._mtmd, 0
        for index in range(mtmd.mtmd_input_chunks_size(chunks)):
            handle = mtmd.mtmd_input_chunks_get(chunks, index)
            n_tokens = int(mtmd.mtmd_input_chunk_get_n_tokens(handle))
            if mtmd.mtmd_input_chunk_get_type(handle) == mtmd.MTMD_INPUT_CHUNK_TYPE_TEXT:
                text = mtmd.mtmd_input_chunk_get_tokens_text(handle, ctypes.byref(ctypes.c_size_t()))
                if min(text[:n_tokens], default=0) < 0:
                    raise UnsupportedModalityError(
                        f"{self._path}: the text model has no tokens for the beginning and end of a medium: expected "
                        "the projector's own model"
                    )
                yield text[:n_tokens], []
                continue
            n_positions = int(mtmd.mtmd_input_chunk_get_n_pos(handle))
            self._check(handle, n_tokens, n_positions)
            ids = chunk_ids(medium.sha256, number, n_tokens)
            yield ids, [Chunk((medium.sha256, number), handle, ids, n_positions)]
            number += 1

    def _check(self, chunk: Any, n_tokens: int, n_positions: int) -> None:
        """Refuse what would end the process, or leave holes in the sequence."""
        if not 0 < n_positions <= n_tokens:
            raise UnsupportedModalityError(
                f"{self._path}: {n_tokens} tokens of a medium take {n_positions} positions, expected no more than "
                "tokens; take another model"
            )
        if n_tokens > self._n_ubatch and self._mtmd.mtmd_decode_use_non_causal(self.handle, chunk):
            raise UnsupportedModalityError(
                f"{self._path}: a medium has {n_tokens} tokens that are evaluated at once, and n_ubatch = "
                f"{self._n_ubatch}: open the model with n_ubatch = n_batch = {n_tokens} or more"
            )

    def encode(self, chunk: Chunk) -> ctypes.Array[ctypes.c_float]:
        """The vectors that stand in the place of a chunk's tokens. [n_tokens, width]

        Raises:
            GenerationError: libmtmd failed.
        """
        recent_errors.clear()
        if self._mtmd.mtmd_encode_chunk(self.handle, chunk.handle) != 0:
            raise GenerationError(f"{self._path}: the projector failed: {last_error()}")
        encoded = (ctypes.c_float * (len(chunk.ids) * self.width))()
        ctypes.memmove(encoded, self._mtmd.mtmd_get_output_embd(self.handle), ctypes.sizeof(encoded))
        return encoded

    def close(self) -> None:
        """Free native memory."""
        self._mtmd.mtmd_free(self.handle)


def _shown(medium: Medium) -> str:
    """What a medium is, for an error."""
    if medium.is_sound:
        return f"{medium.duration_s:.1f} s of sound"
    return f"a picture of {medium.width:,} x {medium.height:,} pixels"
