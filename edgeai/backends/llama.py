"""GGUF models on llama.cpp's C API."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeai.backends.base import GenerateRequest, ScoreEvent, ScoreRequest
from edgeai.backends.decoding import DecodingBackend
from edgeai.backends.llama_cache import LlamaCache, Runs
from edgeai.backends.llama_context import make_context, make_scoring_context
from edgeai.backends.llama_media import LlamaMedia
from edgeai.backends.llama_model import LlamaModel
from edgeai.backends.llama_native import AbortSwitch, bindings
from edgeai.backends.llama_projector import LlamaProjector
from edgeai.backends.threads import ThreadTuner
from edgeai.errors import ModelFormatError
from edgeai.media import Medium
from edgeai.options import LoadOptions

if TYPE_CHECKING:
    from edgeai.backends.llama_scorer import LlamaScorer


class LlamaBackend(DecodingBackend):
    """One GGUF model with one KV cache; see `edgeai.backends.base.Backend`."""

    def __init__(
        self,
        path: Path,
        options: LoadOptions,
        *,
        n_ctx: int,
        max_threads: int,
        states_dir: Path | None = None,
        max_picture_ratio: int = 0,
        n_picture_tokens: int = 0,
        on_progress: Callable[[float], None] | None = None,
    ) -> None:
        """Load a model. The files' headers have been checked before (edgeai.gguf_header, edgeai.gguf_projector).

        Args:
            path: the .gguf file.
            options: how to load it; mmproj_path is its projector, or nothing.
            n_ctx: tokens of the context window.
            max_threads: threads; with n_threads="auto" fewer are used while fewer are faster.
            states_dir: where states are read and written; None for nowhere.
            max_picture_ratio: of a picture's longer side to its shorter one; 0 without eyes.
            n_picture_tokens: see ModelInfo.
            on_progress: told the share that is loaded, 0..1.

        Raises:
            ModelFormatError: llama.cpp refuses a file.
            ModelTooLargeError: the KV cache or the buffers cannot be allocated.
        """
        super().__init__(states_dir)
        self._llama = bindings()
        self._abort: AbortSwitch = AbortSwitch(self._llama)
        self._n_threads = (max_threads, max_threads)  # for single tokens, for pieces of a prompt
        self._tuner = ThreadTuner(max_threads) if options.n_threads == "auto" and max_threads > 1 else None
        self._vocabulary: LlamaModel = LlamaModel(self._llama, path, options, on_progress)
        self._context = make_context(self._vocabulary, path, options, n_ctx, max_threads, self._abort)
        self._cache: LlamaCache = LlamaCache(
            self._llama,
            self._context,
            n_batch=min(options.n_batch, self._llama.llama_n_batch(self._context)),  # a short window has smaller ones
            n_swa=0 if options.swa_full else self._vocabulary.n_swa,
            recurrent=self._vocabulary.has_recurrent_layers,
        )
        self._info = self._vocabulary.info(self._llama.llama_n_ctx(self._context))
        self._open_scoring = functools.partial(
            make_scoring_context, self._vocabulary, path, options, max_threads, self._abort
        )
        self._scorer: LlamaScorer | None = None
        self._media: LlamaMedia | None = None
        self._chunks: frozenset[int] = frozenset()  # where those of media begin in the prompt
        if options.mmproj_path:
            self._media = self._make_media(Path(options.mmproj_path), options, max_threads, max_picture_ratio)
            hears, sees = self._media.hears, self._media.sees
            self._info = replace(self._info, hears=hears, sees=sees, n_picture_tokens=n_picture_tokens)

    def _make_media(self, path: Path, options: LoadOptions, max_threads: int, max_ratio: int) -> LlamaMedia:
        def open_projector() -> LlamaProjector:
            return LlamaProjector(
                path,
                self._vocabulary.handle,
                n_threads=max_threads,
                use_gpu=options.n_gpu_layers != 0,
                n_ubatch=self._llama.llama_n_ubatch(self._context),
                max_ratio=max_ratio,
                image_max_tokens=options.image_max_tokens,
            )

        try:
            return LlamaMedia(open_projector, self._context, self._states_dir)
        except ModelFormatError:
            self.close()
            raise

    def media_tokens(self, medium: Medium) -> list[int]:
        """What stands for a medium in a prompt; see Backend."""
        if self._media is None:
            return super().media_tokens(medium)
        with self._run():
            return self._media.tokens(medium)

    def _begin(self, request: GenerateRequest) -> Runs:
        if self._tuner is not None:
            self._tuner.resume(request.caller_cpu_s)
            self._set_threads(self._tuner)
        runs = self._media.runs(request) if self._media is not None else ()
        self._chunks = frozenset(run.start for run in runs)
        return runs

    def _evaluate_at(self, start: int, tokens: Sequence[int]) -> bool:
        return self._evaluate_medium(tokens) if start in self._chunks else self._evaluate(tokens)

    def _saved_at(self, start: int, tokens: Sequence[int]) -> str:
        return (self._media.save(tokens) or "") if start in self._chunks and self._media is not None else ""

    def score(self, request: ScoreRequest) -> Iterator[ScoreEvent]:
        """Score continuations; see ScoringBackend."""
        with self._run():
            if self._tuner is not None:
                self._tuner.resume(request.caller_cpu_s)
            if self._scorer is None:
                self._scorer = self._make_scorer()
            yield from self._scorer.score(request)

    def _make_scorer(self) -> LlamaScorer:
        from edgeai.backends.llama_scorer import LlamaScorer  # a session that only talks does without it

        return LlamaScorer(
            self._llama,
            self._open_scoring,
            n_ctx=self._info.n_ctx,
            n_vocab=self._vocabulary.n_vocab,
            recurrent=self._vocabulary.has_recurrent_layers,
            keep_n_ctx=self._vocabulary.depends_on_n_ctx,
            evaluated=self._scored,
            is_aborted=lambda: self._abort.is_set,
        )

    def _scored(self, context: Any, n_tokens: int, seconds: float) -> None:
        """Follow the machine's load while the other context evaluates."""
        if self._tuner is not None:
            self._tuner.record(max(n_tokens, 2), seconds)  # only the times of a conversation's single tokens compare
            self._llama.llama_set_n_threads(context, self._tuner.n_threads, self._tuner.n_threads_batch)

    def _sample(self, sampler: Any) -> int:
        return int(self._llama.llama_sampler_sample(sampler, self._context, -1))

    def _logits(self) -> Any:
        import numpy as np

        pointer = self._llama.llama_get_logits_ith(self._context, -1)
        return np.ctypeslib.as_array(pointer, (self._vocabulary.n_vocab,))

    def _evaluate(self, tokens: Sequence[int]) -> bool:
        """Evaluate a piece with the number of threads that is best now; False when it was cancelled."""
        if self._tuner is None:
            return super()._evaluate(tokens)
        started = time.perf_counter()
        done = super()._evaluate(tokens)
        if done:
            self._tuner.record(len(tokens), time.perf_counter() - started)
            self._set_threads(self._tuner)
        return done

    def _evaluate_medium(self, tokens: Sequence[int]) -> bool:
        """Evaluate a chunk of a medium; False when it was cancelled."""
        assert self._media is not None
        decode = self._media.decoder(tokens, self._cache.position(len(self._cache.tokens)), self._cache.n_batch)
        return not self._abort.is_set and self._cache.extend(tokens, decode)

    def _set_threads(self, tuner: ThreadTuner) -> None:
        wanted = (tuner.n_threads, tuner.n_threads_batch)
        if wanted != self._n_threads:
            self._n_threads = wanted
            self._llama.llama_set_n_threads(self._context, *wanted)

    def _free(self) -> None:
        if self._media is not None:
            self._media.close()
        if self._scorer is not None:
            self._scorer.close()
        self._llama.llama_free(self._context)
        self._vocabulary.close()
