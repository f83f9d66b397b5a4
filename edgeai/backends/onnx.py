"""ONNX folders on plain ONNX Runtime: the KV cache is ours, which onnxruntime-genai would hide."""

from __future__ import annotations

import ctypes
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgeai.backends.base import ModelInfo, ScoreEvent, ScoreRequest
from edgeai.backends.decoding import DecodingBackend
from edgeai.backends.llama_native import bindings
from edgeai.backends.onnx_cache import OnnxCache
from edgeai.backends.onnx_graph import read_graph
from edgeai.backends.onnx_session import OnnxSession, TerminateSwitch
from edgeai.backends.onnx_tokenizer import open_vocabulary
from edgeai.errors import GenerationError, ModelFormatError
from edgeai.onnx_folder import OnnxFolder
from edgeai.options import LoadOptions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgeai.backends.onnx_scorer import OnnxScorer

_log = logging.getLogger(__name__)


class OnnxBackend(DecodingBackend):
    """One ONNX folder with one KV cache; see `edgeai.backends.base.Backend`."""

    def __init__(
        self,
        folder: OnnxFolder,
        options: LoadOptions,
        *,
        n_ctx: int,
        max_threads: int,
        states_dir: Path | None = None,
        on_progress: Callable[[float], None] | None = None,
    ) -> None:
        """Load a model.

        Args:
            folder: it, read and checked (`edgeai.onnx_folder`).
            options: how to load it; `provider` is a name, not "auto".
            n_ctx: tokens of the context window.
            max_threads: threads.
            states_dir: where states are read and written; None for nowhere.
            on_progress: told the share that is loaded, 0..1.

        Raises:
            ModelFormatError: a file is not what it must be.
            ModelTooLargeError: there is no memory for it.
            OptionError: the installed onnxruntime has no such provider.
            ModelError: a library is missing.
        """
        super().__init__(states_dir)
        report = on_progress or (lambda _share: None)
        graph = read_graph(folder)
        n_batch = min(options.n_batch, n_ctx)
        self._session = OnnxSession(
            folder, graph, n_ctx=n_ctx, n_batch=n_batch, n_threads=max_threads, provider=options.provider
        )
        report(0.5)
        self._vocabulary, texts = open_vocabulary(folder)
        self._abort: TerminateSwitch = self._session.abort
        self._cache: OnnxCache = OnnxCache(self._session, n_batch)
        self._scorer: OnnxScorer | None = None
        self._candidates = _Candidates(folder.decoder.n_vocab)
        self._info = ModelInfo(
            path=str(folder.graph),
            name=folder.name,
            architecture=folder.architecture,
            n_ctx=n_ctx,
            n_ctx_train=folder.n_ctx_train,
            n_vocab=folder.decoder.n_vocab,
            n_params=folder.n_params,
            size_bytes=folder.weights_bytes,
            chat_template=folder.chat_template,
            bos_token=texts.bos_token,
            eos_token=texts.eos_token,
            add_bos=texts.add_bos,
            special_tokens=texts.special_tokens,
            provider=self._session.provider,
        )
        self._try_out(folder)
        report(1.0)
        _log.info("%s runs on %s (ONNX Runtime)", folder.name, self._session.provider)

    def _try_out(self, folder: OnnxFolder) -> None:
        """One token, so that a graph which cannot be run is told of now, and its weights are in memory."""
        try:
            self._cache.evaluate((0,))
        except GenerationError as exc:
            raise ModelFormatError(f"{folder.graph}: it cannot be run ({exc}): build it again") from exc
        if not np.isfinite(self._session.logits).all():
            raise ModelFormatError(f"{folder.graph}: its logits are no numbers: build it again")
        self._cache.tokens.clear()

    def score(self, request: ScoreRequest) -> Iterator[ScoreEvent]:
        """Score continuations; see ScoringBackend."""
        with self._run():
            if self._scorer is None:
                self._scorer = self._make_scorer()
            yield from self._scorer.score(request)

    def _make_scorer(self) -> OnnxScorer:
        from edgeai.backends.onnx_scorer import OnnxScorer  # a session that only talks does without it

        return OnnxScorer(
            self._session.beside(),
            n_ctx=self._info.n_ctx,
            n_vocab=self._info.n_vocab,
            n_batch=self._cache.n_batch,
            is_aborted=lambda: self._abort.is_set,
        )

    def _sample(self, sampler: Any) -> int:
        return self._candidates.choose(sampler, self._session.logits)

    def _logits(self) -> Any:
        return self._session.logits

    def _free(self) -> None:
        if self._scorer is not None:
            self._scorer.close()
        self._session.close()
        if hasattr(self._vocabulary, "close"):
            self._vocabulary.close()


_NO_TOKEN = "no token is left to choose from: expected logits that are numbers"


class _Candidates:
    """All tokens with their logits, as llama.cpp's samplers take them."""

    def __init__(self, n_vocab: int) -> None:
        self._llama = bindings()
        kind = np.dtype([("id", "<i4"), ("logit", "<f4"), ("p", "<f4")])
        self._fresh = np.zeros(n_vocab, kind)
        self._fresh["id"] = np.arange(n_vocab)
        self._data = self._fresh.copy()
        self._array = self._llama.llama_token_data_array()

    def choose(self, sampler: Any, logits: NDArray[np.float32]) -> int:
        """Choose a token, and tell the sampler chain of it, as `llama_sampler_sample` does.

        Args:
            sampler: llama.cpp's.
            logits: [n_vocab]
        """
        llama_cpp, data, array = self._llama, self._data, self._array
        if llama_cpp.llama_sampler_chain_n(sampler) == 1:  # only greedy comes alone: the first of the best
            token = int(logits.argmax())
            if not logits[token] > -np.inf:
                raise GenerationError(_NO_TOKEN)
            return token
        data[:] = self._fresh  # samplers sort, and drop what is unlikely
        data["logit"] = logits
        array.data = ctypes.cast(data.ctypes.data, llama_cpp.llama_token_data_p)
        array.size, array.selected, array.sorted = len(data), -1, False
        llama_cpp.llama_sampler_apply(sampler, ctypes.byref(array))
        if not 0 <= array.selected < array.size:
            raise GenerationError(_NO_TOKEN)
        token = int(array.data[array.selected].id)
        llama_cpp.llama_sampler_accept(sampler, token)
        return token
