"""Media into a llama.cpp context, through libmtmd: a projector turns them into what stands in the place of tokens."""

from __future__ import annotations

import ctypes
import os
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeai.backends.base import GenerateRequest
from edgeai.backends.llama_native import bindings, engine_thread, last_error, media_bindings, recent_errors
from edgeai.errors import GenerationError, ModelFormatError, UnsupportedModalityError
from edgeai.media import Medium, chunk_ids

MAX_EMBEDDING_BYTES = 64 * 2**20
"""Of encoded chunks, the newest of which are kept: prompts are cut back and evaluated again."""


@dataclass(frozen=True, slots=True, eq=False)
class _Chunk:
    """What the encoder takes at once: half a minute of sound."""

    key: tuple[str, int]
    handle: Any
    ids: list[int]


@dataclass(frozen=True, slots=True, eq=False)
class _Medium:
    """A medium cut into chunks; `handle` owns their memory."""

    handle: Any
    tokens: list[int]
    chunks: list[_Chunk]


class LlamaMedia:
    """One projector beside one context. What it computes runs in the thread that computes.

    Attributes:
        n_encoded: chunks that went through the encoder.
    """

    def __init__(self, path: Path, model: Any, context: Any, *, n_threads: int, use_gpu: bool, n_ubatch: int) -> None:
        """Load a projector. Its header has been checked before (edgeai.gguf_projector).

        Args:
            path: the projector's .gguf file.
            model: the text model, llama.cpp's own.
            context: its context, likewise.
            n_threads: that encode.
            use_gpu: encode on a GPU where llama.cpp was built for one.
            n_ubatch: of the context, tokens.
        Raises:
            ModelFormatError: libmtmd refuses the file.
        """
        self.n_encoded = 0
        self._llama, self._mtmd = bindings(), media_bindings()
        self._thread = engine_thread()
        self._path, self._context, self._n_ubatch = path, context, n_ubatch
        self._width = int(self._llama.llama_model_n_embd_inp(model))
        self._media: dict[str, _Medium] = {}
        self._embeddings: OrderedDict[tuple[str, int], ctypes.Array[ctypes.c_float]] = OrderedDict()
        params = self._mtmd.mtmd_context_params_default()
        params.use_gpu, params.n_threads, params.print_timings = use_gpu, n_threads, False
        recent_errors.clear()
        self._handle = self._thread.run(lambda: self._mtmd.mtmd_init_from_file(os.fsencode(path), model, params))
        if not self._handle:
            raise ModelFormatError(f"{path}: llama.cpp cannot load this projector: {last_error()}")

    def tokens(self, medium: Medium) -> list[int]:
        """What stands for a medium in a prompt: text tokens around its chunks' ids. It is kept until `runs`.

        Raises:
            UnsupportedModalityError: it cannot be put into this context.
            GenerationError: libmtmd failed.
        """
        if medium.sha256 not in self._media:
            self._media[medium.sha256] = self._thread.run(lambda: self._cut(medium))
        return list(self._media[medium.sha256].tokens)

    def runs(self, request: GenerateRequest) -> list[tuple[int, int]]:
        """Where the chunks of its media stand in a prompt. All other media are forgotten.

        Raises:
            GenerationError: its tokens do not fit its media.
        """
        self._keep({medium.sha256 for medium in request.media})
        if not request.media:
            return []
        for medium in request.media:
            self.tokens(medium)
        tokens, at, found = list(request.tokens), 0, list[tuple[int, int]]()
        while at < len(tokens):
            n_tokens = 1
            if tokens[at] < 0:
                n_tokens = len(self._chunk(tokens[at:]).ids)
                found.append((at, at + n_tokens))
            at += n_tokens
        if found and found[-1][1] == len(tokens):
            raise GenerationError("the prompt ends in a medium: expected text after it")
        return found

    def decoder(self, ids: Sequence[int], n_past: int, n_batch: int) -> Callable[[], int]:
        """What evaluates a chunk, in the thread that computes.

        Args:
            ids: its ids.
            n_past: tokens in the KV cache.
            n_batch: tokens that are evaluated in one piece at most.
        Returns:
            See `LlamaCache.extend`.
        """
        chunk = self._chunk(list(ids))
        end, no_callback = ctypes.c_int32(), self._mtmd.mtmd_helper_post_decode_callback()

        def decode() -> int:
            embedding = self._embedding(chunk)
            status: int = self._mtmd.mtmd_helper_decode_image_chunk(
                self._handle,
                self._context,
                chunk.handle,
                embedding,
                n_past,
                0,
                n_batch,
                ctypes.byref(end),
                no_callback,
                None,
            )
            return status

        return decode

    def close(self) -> None:
        """Free native memory."""
        self._keep(())
        self._mtmd.mtmd_free(self._handle)

    def _chunk(self, tokens: list[int]) -> _Chunk:
        """The chunk whose ids these tokens begin with."""
        for medium in self._media.values():
            for chunk in medium.chunks:
                if tokens[: len(chunk.ids)] == chunk.ids:
                    return chunk
        raise GenerationError(f"the prompt's token {tokens[0]} stands for no medium: expected those of the request")

    def _keep(self, named: Iterable[str]) -> None:
        for sha256 in self._media.keys() - set(named):
            self._mtmd.mtmd_input_chunks_free(self._media.pop(sha256).handle)

    # --- in the thread that computes ---

    def _cut(self, medium: Medium) -> _Medium:
        if not medium.data:
            raise GenerationError(f"the engine has not got the medium {medium.sha256[:8]}: ask again")
        recent_errors.clear()
        handle = self._mtmd.mtmd_input_chunks_init()
        try:
            self._tokenize(medium, handle)
            cut = _Medium(handle, [], [])
            for ids, chunk in self._pieces(medium, handle):
                cut.tokens.extend(ids)
                cut.chunks.extend(chunk)
        except BaseException:
            self._mtmd.mtmd_input_chunks_free(handle)
            raise
        return cut

    def _tokenize(self, medium: Medium, chunks: Any) -> None:
        mtmd, n_samples = self._mtmd, len(medium.data) // ctypes.sizeof(ctypes.c_float)
        samples = (ctypes.c_float * n_samples).from_buffer_copy(medium.data)
        part = mtmd.mtmd_input_part()
        part.bitmap = bitmap = mtmd.mtmd_bitmap_init_from_audio(n_samples, samples)
        parts = (ctypes.POINTER(mtmd.mtmd_input_part) * 1)(ctypes.pointer(part))
        try:
            status = mtmd.mtmd_tokenize_from_parts(self._handle, chunks, parts, 1, False)
        finally:
            mtmd.mtmd_bitmap_free(bitmap)
        if status != 0:
            raise GenerationError(f"{self._path}: libmtmd refuses {medium.duration_s:.1f} s of sound: {last_error()}")

    def _pieces(self, medium: Medium, chunks: Any) -> Iterator[tuple[list[int], list[_Chunk]]]:
        """The ids of each part of a tokenized medium, and the chunk that they stand for unless they are text."""
        mtmd, number = self._mtmd, 0
        for index in range(mtmd.mtmd_input_chunks_size(chunks)):
            handle = mtmd.mtmd_input_chunks_get(chunks, index)
            n_tokens = int(mtmd.mtmd_input_chunk_get_n_tokens(handle))
            if mtmd.mtmd_input_chunk_get_type(handle) == mtmd.MTMD_INPUT_CHUNK_TYPE_TEXT:
                text = mtmd.mtmd_input_chunk_get_tokens_text(handle, ctypes.byref(ctypes.c_size_t()))
                yield text[:n_tokens], []
                continue
            self._check(handle, n_tokens)
            ids = chunk_ids(medium.sha256, number, n_tokens)
            yield ids, [_Chunk((medium.sha256, number), handle, ids)]
            number += 1

    def _check(self, chunk: Any, n_tokens: int) -> None:
        """Refuse what the KV cache cannot hold as so many tokens, and what would end the process."""
        n_positions = self._mtmd.mtmd_input_chunk_get_n_pos(chunk)
        if n_positions != n_tokens:
            raise UnsupportedModalityError(
                f"{self._path}: {n_tokens} tokens of a medium take {n_positions} positions (M-RoPE): expected as many; "
                "take another model"
            )
        if n_tokens > self._n_ubatch and self._mtmd.mtmd_decode_use_non_causal(self._handle, chunk):
            raise UnsupportedModalityError(
                f"{self._path}: a medium has {n_tokens} tokens that are evaluated at once, and n_ubatch = "
                f"{self._n_ubatch}: open the model with n_ubatch = n_batch = {n_tokens} or more"
            )

    def _embedding(self, chunk: _Chunk) -> ctypes.Array[ctypes.c_float]:
        """A chunk, encoded: the vectors that stand in the place of tokens. [n_tokens, width]"""
        found = self._embeddings.pop(chunk.key, None)
        if found is None:
            recent_errors.clear()
            if self._mtmd.mtmd_encode_chunk(self._handle, chunk.handle) != 0:
                raise GenerationError(f"{self._path}: the projector failed: {last_error()}")
            self.n_encoded += 1
            found = (ctypes.c_float * (len(chunk.ids) * self._width))()
            ctypes.memmove(found, self._mtmd.mtmd_get_output_embd(self._handle), ctypes.sizeof(found))
        self._embeddings[chunk.key] = found
        while len(self._embeddings) > 1 and sum(map(ctypes.sizeof, self._embeddings.values())) > MAX_EMBEDDING_BYTES:
            self._embeddings.popitem(last=False)
        return found
