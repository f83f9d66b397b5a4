"""Media into a llama.cpp context, through libmtmd: a projector turns them into what stands in the place of tokens."""

from __future__ import annotations

import contextlib
import ctypes
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from edgeai.backends.base import EncodedFile, GenerateRequest
from edgeai.backends.llama_cache import Run
from edgeai.backends.llama_native import engine_thread, media_bindings
from edgeai.backends.llama_projector import Chunk, CutMedium, LlamaProjector
from edgeai.errors import GenerationError
from edgeai.media import Medium

MAX_EMBEDDING_BYTES = 64 * 2**20
"""Of encoded chunks, the newest of which are kept: prompts are cut back and evaluated again."""


class LlamaMedia:
    """One projector beside one context. What it computes runs in the thread that computes.

    Attributes:
        n_encoded: chunks that went through the encoder.
        hears: whether it takes sounds in.
        sees: whether it takes pictures in.
    """

    def __init__(self, open_projector: Callable[[], LlamaProjector], context: Any, states_dir: Path | None) -> None:
        """Load a projector.

        Args:
            open_projector: does it.
            context: the text model's, llama.cpp's own.
            states_dir: where encoded media are read and written; None for nowhere.
        Raises:
            ModelFormatError: libmtmd refuses the file.
        """
        self.n_encoded = 0
        self._mtmd, self._thread = media_bindings(), engine_thread()
        self._context, self._states_dir = context, states_dir
        self._media: dict[str, CutMedium] = {}
        self._embeddings: OrderedDict[tuple[str, int], ctypes.Array[ctypes.c_float]] = OrderedDict()
        self._files: dict[str, EncodedFile] = {}
        self._projector = self._thread.run(open_projector)
        self.hears, self.sees = self._projector.hears, self._projector.sees

    def tokens(self, medium: Medium) -> list[int]:
        """What stands for a medium in a prompt: text tokens around its chunks' ids. It is kept until `runs`.

        Raises:
            UnsupportedModalityError: it cannot be put into this context.
            PictureError: a picture of such a shape cannot be.
            GenerationError: libmtmd failed.
        """
        if medium.sha256 not in self._media:
            self._media[medium.sha256] = self._thread.run(lambda: self._projector.cut(medium))
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
                self._projector.handle,
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
        self._projector.close()

    def _chunk(self, tokens: list[int]) -> Chunk:
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

    def _embedding(self, chunk: Chunk) -> ctypes.Array[ctypes.c_float]:
        """A chunk, encoded: the vectors that stand in the place of tokens. [n_tokens, width]"""
        if chunk.key not in self._embeddings:
            self._load(chunk.key[0])
        found = self._embeddings.pop(chunk.key, None)
        if found is None:
            found = self._projector.encode(chunk)
            self.n_encoded += 1
        self._remember(chunk, found)
        return found

    def _load(self, sha256: str) -> None:
        """Take a medium's chunks from its file, where there is one that holds exactly them."""
        file, chunks = self._files.get(sha256), self._media[sha256].chunks
        if file is None or not file.is_kept or self._states_dir is None:
            return
        sizes = [len(chunk.ids) * self._projector.width for chunk in chunks]
        with contextlib.suppress(OSError):
            data = (self._states_dir / file.name).read_bytes()
            if len(data) != ctypes.sizeof(ctypes.c_float) * sum(sizes):
                return
            for chunk, size in zip(chunks, sizes, strict=True):
                piece, data = data[: 4 * size], data[4 * size :]
                self._remember(chunk, (ctypes.c_float * size).from_buffer_copy(piece))

    def _remember(self, chunk: Chunk, encoded: ctypes.Array[ctypes.c_float]) -> None:
        self._embeddings[chunk.key] = encoded
        while len(self._embeddings) > 1 and sum(map(ctypes.sizeof, self._embeddings.values())) > MAX_EMBEDDING_BYTES:
            self._embeddings.popitem(last=False)
