"""A GGUF file loaded by llama.cpp: its weights, its metadata, its vocabulary."""

from __future__ import annotations

import ctypes
import functools
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from edgeai.backends.base import ModelInfo
from edgeai.backends.llama_native import last_error, recent_errors
from edgeai.errors import GenerationError, ModelFormatError
from edgeai.options import LoadOptions

_PIECE_BYTES = 256


class LlamaModel:
    """Weights and vocabulary.

    Attributes:
        handle: llama.cpp's model, for the backend only.
        n_vocab: tokens in the vocabulary.
    """

    def __init__(
        self,
        llama_cpp: Any,
        path: Path,
        options: LoadOptions,
        on_progress: Callable[[float], None] | None,
        *,
        vocab_only: bool = False,
    ) -> None:
        self._llama = llama_cpp
        self._path = path
        params = llama_cpp.llama_model_default_params()
        params.n_gpu_layers = options.n_gpu_layers
        params.load_mode = _load_mode(llama_cpp, options)
        params.use_extra_bufts = not _has_amx(llama_cpp)
        params.vocab_only = vocab_only
        if on_progress is not None:
            params.progress_callback = _progress_callback(llama_cpp, on_progress)
        recent_errors.clear()
        self.handle = llama_cpp.llama_model_load_from_file(os.fsencode(path), params)
        if not self.handle:
            raise ModelFormatError(f"{path}: llama.cpp cannot load this model: {last_error()}")
        self._vocab = llama_cpp.llama_model_get_vocab(self.handle)
        self.n_vocab: int = llama_cpp.llama_vocab_n_tokens(self._vocab)
        self._buffer = ctypes.create_string_buffer(_PIECE_BYTES)

    @property
    def n_swa(self) -> int:
        """Tokens of the sliding window, 0 without one."""
        return int(self._llama.llama_model_n_swa(self.handle))

    @property
    def has_recurrent_layers(self) -> bool:
        """Whether some layers hold one state instead of a cache."""
        llama_cpp = self._llama
        return bool(llama_cpp.llama_model_is_recurrent(self.handle) or llama_cpp.llama_model_is_hybrid(self.handle))

    @property
    def depends_on_n_ctx(self) -> bool:
        """Whether what it computes may depend on the context window that it is opened with: models with two sets of
        rotary factors (Phi-3) take one of them by it."""
        key = f"{self._metadata('general.architecture')}.rope.scaling.original_context_length"
        return bool(self._metadata(key))

    def info(self, n_ctx: int) -> ModelInfo:
        """What is known of the model."""
        llama_cpp, vocab = self._llama, self._vocab
        template = llama_cpp.llama_model_chat_template(self.handle, None)
        return ModelInfo(
            path=str(self._path),
            name=self._metadata("general.name") or self._path.stem,
            architecture=self._metadata("general.architecture"),
            n_ctx=n_ctx,
            n_ctx_train=llama_cpp.llama_model_n_ctx_train(self.handle),
            n_vocab=self.n_vocab,
            n_params=llama_cpp.llama_model_n_params(self.handle),
            size_bytes=llama_cpp.llama_model_size(self.handle),
            chat_template=template.decode("utf-8", "replace") if template else None,
            bos_token=self._text_of(llama_cpp.llama_vocab_bos(vocab)),
            eos_token=self._text_of(llama_cpp.llama_vocab_eos(vocab)),
            add_bos=bool(llama_cpp.llama_vocab_get_add_bos(vocab)),
            special_tokens=tuple(self._text_of(token) for token in sorted(self.control_ids)),
        )

    def _metadata(self, key: str) -> str:
        buffer = ctypes.create_string_buffer(512)
        n_bytes = self._llama.llama_model_meta_val_str(self.handle, key.encode(), buffer, len(buffer))
        return buffer.value.decode("utf-8", "replace") if n_bytes >= 0 else ""

    @functools.cached_property
    def control_ids(self) -> frozenset[int]:
        """Tokens that steer the model and are no text: those that are read with parse_special only."""
        llama_cpp, vocab = self._llama, self._vocab
        mask = llama_cpp.LLAMA_TOKEN_ATTR_CONTROL | llama_cpp.LLAMA_TOKEN_ATTR_UNKNOWN
        attributes = llama_cpp.llama_vocab_get_attr
        return frozenset(token for token in range(self.n_vocab) if attributes(vocab, token) & mask)

    def is_end(self, token: int) -> bool:
        """Whether a token ends an answer."""
        return bool(self._llama.llama_vocab_is_eog(self._vocab, token))

    @property
    def end_id(self) -> int:
        """The token that ends a turn."""
        eot = self._llama.llama_vocab_eot(self._vocab)
        return int(eot if eot >= 0 else self._llama.llama_vocab_eos(self._vocab))

    def tokenize(self, data: bytes, *, add_special: bool, parse_special: bool) -> list[int]:
        """Token ids of UTF-8 text."""
        n_tokens = len(data) + 2
        while True:
            tokens = (ctypes.c_int32 * n_tokens)()
            n_found = self._llama.llama_tokenize(
                self._vocab, data, len(data), tokens, n_tokens, add_special, parse_special
            )
            if n_found >= 0:
                return list(tokens[:n_found])
            if -n_found <= n_tokens:
                raise GenerationError(f"a text of {len(data):,} bytes is too long to be tokenized")
            n_tokens = -n_found

    def token_bytes(self, token: int, *, special: bool) -> bytes:
        """A token's bytes, which may be part of a character; control tokens are empty unless `special`."""
        buffer = self._buffer
        n_bytes = self._llama.llama_token_to_piece(self._vocab, token, buffer, len(buffer), 0, special)
        if n_bytes < 0:
            buffer = ctypes.create_string_buffer(-n_bytes)
            n_bytes = self._llama.llama_token_to_piece(self._vocab, token, buffer, len(buffer), 0, special)
        return ctypes.string_at(buffer, n_bytes)

    def text(self, tokens: Sequence[int]) -> str:
        """The text of tokens, control tokens included; ids of media have none."""
        pieces = (self.token_bytes(token, special=True) for token in tokens if token >= 0)
        return b"".join(pieces).decode("utf-8", "replace")

    def _text_of(self, token: int) -> str:
        return self.text([token]) if token >= 0 else ""

    def close(self) -> None:
        """Unmap the weights."""
        self._llama.llama_model_free(self.handle)


def _has_amx(llama_cpp: Any) -> bool:
    """Whether this build would repack weights for Intel AMX.

    Its tile configuration is optimized away by common compilers and the first matrix product ends the process
    (ggml-org/llama.cpp issue 20824, pull request 26954). Without repacked weights all else works.
    """
    return b"AMX_INT8 = 1" in llama_cpp.llama_print_system_info()


def _load_mode(llama_cpp: Any, options: LoadOptions) -> int:
    if options.use_mlock:
        return int(llama_cpp.LLAMA_LOAD_MODE_MMAP_MLOCK if options.use_mmap else llama_cpp.LLAMA_LOAD_MODE_MLOCK)
    return int(llama_cpp.LLAMA_LOAD_MODE_MMAP if options.use_mmap else llama_cpp.LLAMA_LOAD_MODE_NONE)


def _progress_callback(llama_cpp: Any, on_progress: Callable[[float], None]) -> Any:
    def report(share: float, _user_data: object) -> bool:
        on_progress(min(max(share, 0.0), 1.0))
        return True

    return llama_cpp.llama_progress_callback(report)
