"""Media into a llama.cpp context, through libmtmd: a projector turns them into what stands in the place of tokens."""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeai.backends.base import EncodedFile, GenerateRequest
from edgeai.backends.llama_cache import Run
from edgeai.backends.llama_native import bindings, engine_thread, last_error, media_bindings, recent_errors
from edgeai.errors import GenerationError, ModelFormatError, UnsupportedModalityError
from edgeai.media import Medium, chunk_ids

MAX_EMBEDDING_BYTES = 64 * 2**20
"""Of encoded chunks, the newest of which are kept: prompts are cut back and evaluated again."""


@dataclass(frozen=True, slots=True, eq=False)
class _Chunk:
    """What the encoder takes at once: half a minute of sound, a picture or a tile of it."""

    key: tuple[str, int]
    handle: Any
    ids: list[int]
    n_positions: int


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
        hears: whether it takes sounds in.
        sees: whether it takes pictures in.
    """

    def __init__(
        self,
        path: Path,
        model: Any,
        context: Any,
        *,
        n_threads: int,
        use_gpu: bool,
        n_ubatch: int,
        states_dir: Path | None = None,
    ) -> None:
        """Load a projector. Its header has been checked before (edgeai.gguf_projector).

        Args:
            path: the projector's .gguf file.
            model: the text model, llama.cpp's own.
            context: its context, likewise.
            n_threads: that encode.
            use_gpu: encode on a GPU where llama.cpp was built for one.
            n_ubatch: of the context, tokens.
            states_dir: where encoded media are read and written; None for nowhere.
        Raises:
            ModelFormatError: libmtmd refuses the file.
        """
        self.n_encoded = 0
        self._llama, self._mtmd = bindings(), media_bindings()
        self._thread = engine_thread()
        self._path, self._context, self._n_ubatch, self._states_dir = path, context, n_ubatch, states_dir
        self._width = int(self._llama.llama_model_n_embd_inp(model))
        self._media: dict[str, _Medium] = {}
        self._embeddings: OrderedDict[tuple[str, int], ctypes.Array[ctypes.c_float]] = OrderedDict()
        self._files: dict[str, EncodedFile] = {}
        params = self._mtmd.mtmd_context_params_default()
        params.use_gpu, params.n_threads, params.print_timings = use_gpu, n_threads, False
        recent_errors.clear()
        self._handle = self._thread.run(lambda: self._mtmd.mtmd_init_from_file(os.fsencode(path), model, params))
        if not self._handle:
            raise ModelFormatError(f"{path}: llama.cpp cannot load this projector: {last_error()}")
        self.hears = bool(self._mtmd.mtmd_support_audio(self._handle))
        self.sees = bool(self._mtmd.mtmd_support_vision(self._handle))

    def tokens(self, medium: Medium) -> list[int]:
        """What stands for a medium in a prompt: text tokens around its chunks' ids. It is kept until `runs`.

        Raises:
            UnsupportedModalityError: it cannot be put into this context.
            GenerationError: libmtmd failed.
        """
        if medium.sha256 not in self._media:
            self._media[medium.sha256] = self._thread.run(lambda: self._cut(medium))
        return list(self._media[medium.sha256].tokens)

    def runs(self, request: GenerateRequest) -> list[Run]:
        """Where the chunks of its media stand in a prompt. All other media are forgotten.

        Raises:
            GenerationError: its tokens do not fit its media.
        """
        self._keep({medium.sha256 for medium in request.media})
        self._files = {file.sha256: file for file in request.encoded if self._states_dir is not None}
        if not request.media:
            return []
        for medium in request.media:
            self.tokens(medium)
        tokens, at, found = list(request.tokens), 0, list[Run]()
        while at < len(tokens):
            n_tokens = 1
            if tokens[at] < 0:
                chunk = self._chunk(tokens[at:])
                n_tokens = len(chunk.ids)
                found.append(Run(at, at + n_tokens, chunk.n_positions))
            at += n_tokens
        if found and found[-1].end == len(tokens):
            raise GenerationError("the prompt ends in a medium: expected text after it")
        return found

    def decoder(self, ids: Sequence[int], position: int, n_batch: int) -> Callable[[], int]:
        """What evaluates a chunk, in the thread that computes.

        Args:
            ids: its ids.
            position: of its first token in the sequence.
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
                position,
                0,
                n_batch,
                ctypes.byref(end),
                no_callback,
                None,
            )
            return status

        return decode

    def save(self, ids: Sequence[int]) -> str | None:
        """Write the medium of a chunk, where it is to be kept and all of it is encoded; the name of its file."""
        sha256, _ = self._chunk(list(ids)).key
        file, chunks = self._files.get(sha256), self._media[sha256].chunks
        if file is None or file.is_kept or self._states_dir is None:
            return None
        if any(chunk.key not in self._embeddings for chunk in chunks):
            return None
        del self._files[sha256]
        path = self._states_dir / file.name
        try:
            path.write_bytes(b"".join(bytes(self._embeddings[chunk.key]) for chunk in chunks))
        except OSError:  # the disk is full: it is encoded again
            path.unlink(missing_ok=True)
            return None
        return file.name

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
        if not (self.hears if medium.is_sound else self.sees):
            raise UnsupportedModalityError(
                f"{self._path}: a projector that cannot take in {_shown(medium)}: take another model"
            )
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
        mtmd, part = self._mtmd, self._mtmd.mtmd_input_part()
        part.bitmap = bitmap = self._bitmap(medium)
        parts = (ctypes.POINTER(mtmd.mtmd_input_part) * 1)(ctypes.pointer(part))
        try:
            status = mtmd.mtmd_tokenize_from_parts(self._handle, chunks, parts, 1, False)
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
            n_positions = int(mtmd.mtmd_input_chunk_get_n_pos(handle))
            if not 0 < n_positions <= n_tokens:
                raise UnsupportedModalityError(
                    f"{self._path}: {n_tokens} tokens of a medium take {n_positions} positions, expected no more than "
                    "tokens; take another model"
                )
            yield ids, [_Chunk((medium.sha256, number), handle, ids, n_positions)]
            number += 1

    def _check(self, chunk: Any, n_tokens: int) -> None:
        """Refuse what would end the process."""
        if n_tokens > self._n_ubatch and self._mtmd.mtmd_decode_use_non_causal(self._handle, chunk):
            raise UnsupportedModalityError(
                f"{self._path}: a medium has {n_tokens} tokens that are evaluated at once, and n_ubatch = "
                f"{self._n_ubatch}: open the model with n_ubatch = n_batch = {n_tokens} or more"
            )

    def _embedding(self, chunk: _Chunk) -> ctypes.Array[ctypes.c_float]:
        """A chunk, encoded: the vectors that stand in the place of tokens. [n_tokens, width]"""
        if chunk.key not in self._embeddings:
            self._load(chunk.key[0])
        found = self._embeddings.pop(chunk.key, None) or self._encoded(chunk)
        self._remember(chunk, found)
        return found

    def _encoded(self, chunk: _Chunk) -> ctypes.Array[ctypes.c_float]:
        recent_errors.clear()
        if self._mtmd.mtmd_encode_chunk(self._handle, chunk.handle) != 0:
            raise GenerationError(f"{self._path}: the projector failed: {last_error()}")
        self.n_encoded += 1
        encoded = (ctypes.c_float * (len(chunk.ids) * self._width))()
        ctypes.memmove(encoded, self._mtmd.mtmd_get_output_embd(self._handle), ctypes.sizeof(encoded))
        return encoded

    def _load(self, sha256: str) -> None:
        """Take a medium's chunks from its file, where there is one that holds exactly them."""
        file, chunks = self._files.get(sha256), self._media[sha256].chunks
        if file is None or not file.is_kept or self._states_dir is None:
            return
        sizes = [len(chunk.ids) * self._width for chunk in chunks]
        with contextlib.suppress(OSError):
            data = (self._states_dir / file.name).read_bytes()
            if len(data) != ctypes.sizeof(ctypes.c_float) * sum(sizes):
                return
            for chunk, size in zip(chunks, sizes, strict=True):
                piece, data = data[: 4 * size], data[4 * size :]
                self._remember(chunk, (ctypes.c_float * size).from_buffer_copy(piece))

    def _remember(self, chunk: _Chunk, encoded: ctypes.Array[ctypes.c_float]) -> None:
        self._embeddings[chunk.key] = encoded
        while len(self._embeddings) > 1 and sum(map(ctypes.sizeof, self._embeddings.values())) > MAX_EMBEDDING_BYTES:
            self._embeddings.popitem(last=False)


def _shown(medium: Medium) -> str:
    """What a medium is, for an error."""
    if medium.is_sound:
        return f"{medium.duration_s:.1f} s of sound"
    return f"a picture of {medium.width:,} x {medium.height:,} pixels"
