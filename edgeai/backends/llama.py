"""GGUF models on llama.cpp's C API: prefill in pieces, then one token after the other."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeai.backends.base import (
    Event,
    GenerateRequest,
    ModelInfo,
    Piece,
    PrefillProgress,
    ScoreEvent,
    ScoreRequest,
    StateSaved,
)
from edgeai.backends.llama_cache import LlamaCache, Runs
from edgeai.backends.llama_context import make_context, make_scoring_context
from edgeai.backends.llama_media import LlamaMedia
from edgeai.backends.llama_model import LlamaModel
from edgeai.backends.llama_native import AbortSwitch, bindings
from edgeai.backends.llama_projector import LlamaProjector
from edgeai.backends.llama_sampler import make_sampler
from edgeai.backends.run_clock import RunClock
from edgeai.backends.text_stream import TextStream
from edgeai.backends.threads import ThreadTuner
from edgeai.errors import (
    GenerationError,
    ModelFormatError,
    SessionClosedError,
    UnsupportedModalityError,
)
from edgeai.media import Medium
from edgeai.options import LoadOptions
from edgeai.response import FinishReason

if TYPE_CHECKING:
    from edgeai.backends.grammar import TokenMaskFactory
    from edgeai.backends.llama_scorer import LlamaScorer


class LlamaBackend:
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
        self._states_dir = states_dir
        self._llama = bindings()
        self._abort = AbortSwitch(self._llama)
        self._lock = threading.Lock()
        self._running = False
        self._closed = False
        self._n_threads = (max_threads, max_threads)  # for single tokens, for pieces of a prompt
        self._tuner = ThreadTuner(max_threads) if options.n_threads == "auto" and max_threads > 1 else None
        self._model = LlamaModel(self._llama, path, options, on_progress)
        self._context = make_context(self._model, path, options, n_ctx, max_threads, self._abort)
        self._cache = LlamaCache(
            self._llama,
            self._context,
            n_batch=min(options.n_batch, self._llama.llama_n_batch(self._context)),  # a short window has smaller ones
            n_swa=0 if options.swa_full else self._model.n_swa,
            recurrent=self._model.has_recurrent_layers,
        )
        self._info = self._model.info(self._llama.llama_n_ctx(self._context))
        self._open_scoring = functools.partial(
            make_scoring_context, self._model, path, options, max_threads, self._abort
        )
        self._scorer: LlamaScorer | None = None
        self._media: LlamaMedia | None = None
        if options.mmproj_path:
            self._media = self._make_media(Path(options.mmproj_path), options, max_threads, max_picture_ratio)
            hears, sees = self._media.hears, self._media.sees
            self._info = replace(self._info, hears=hears, sees=sees, n_picture_tokens=n_picture_tokens)

    def _make_media(self, path: Path, options: LoadOptions, max_threads: int, max_ratio: int) -> LlamaMedia:
        def open_projector() -> LlamaProjector:
            return LlamaProjector(
                path,
                self._model.handle,
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

    @property
    def info(self) -> ModelInfo:
        """What is known of the model."""
        return self._info

    @property
    def n_evaluated(self) -> int:
        """Tokens that stand in the KV cache."""
        return len(self._cache.tokens)

    def tokenize(self, text: str, *, add_special: bool = False, parse_special: bool = False) -> list[int]:
        """Token ids of a text; see Backend."""
        return self._model.tokenize(
            text.encode("utf-8", "replace"), add_special=add_special, parse_special=parse_special
        )

    def media_tokens(self, medium: Medium) -> list[int]:
        """What stands for a medium in a prompt; see Backend."""
        if self._media is None:
            raise UnsupportedModalityError(
                f"{self._info.name}: it takes in neither pictures nor sounds: open it with its projector"
            )
        with self._run():
            return self._media.tokens(medium)

    def detokenize(self, tokens: Sequence[int]) -> str:
        """The text of token ids, control tokens included."""
        return self._model.text(tokens)

    def generate(self, request: GenerateRequest) -> Iterator[Event]:
        """Continue a prompt; see Backend."""
        n_prompt, n_ctx = len(request.tokens), self._info.n_ctx
        if not 0 < n_prompt < n_ctx:
            raise GenerationError(f"a prompt of {n_prompt:,} tokens: expected 1 to {n_ctx - 1:,} for n_ctx = {n_ctx:,}")
        with self._run():
            run = RunClock(request)
            if self._tuner is not None:
                self._tuner.resume(request.caller_cpu_s)
                self._set_threads(self._tuner)
            runs = self._media.runs(request) if self._media is not None else ()
            n_cached = run.n_cached = self._reuse(request, runs)
            reason = yield from self._prefill(request, runs, n_cached)
            if reason is None:
                run.prefilled()
                reason = yield from self._decode(request, run)
            yield run.finished(reason)

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
            n_vocab=self._model.n_vocab,
            recurrent=self._model.has_recurrent_layers,
            keep_n_ctx=self._model.depends_on_n_ctx,
            evaluated=self._scored,
            is_aborted=lambda: self._abort.is_set,
        )

    def _scored(self, context: Any, n_tokens: int, seconds: float) -> None:
        """Follow the machine's load while the other context evaluates."""
        if self._tuner is not None:
            self._tuner.record(max(n_tokens, 2), seconds)  # only the times of a conversation's single tokens compare
            self._llama.llama_set_n_threads(context, self._tuner.n_threads, self._tuner.n_threads_batch)

    def _reuse(self, request: GenerateRequest, runs: Runs) -> int:
        """The tokens of the prompt that need not be evaluated: those in the KV cache, or in a file."""
        file, tokens = request.restore, request.tokens
        n_cached = self._cache.reuse(tokens, runs)
        if file is None or self._states_dir is None or min(file.n_same, len(tokens) - 1) <= n_cached:
            return n_cached
        return self._cache.load(self._states_dir / file.name, tokens, file.n_tokens, file.n_same)

    def _prefill(
        self, request: GenerateRequest, runs: Runs, n_cached: int
    ) -> Generator[Event, None, FinishReason | None]:
        tokens, n_total = request.tokens, len(request.tokens)
        yield PrefillProgress(n_cached, n_total, n_cached)
        boundaries = self._cache.boundaries((*request.checkpoint_at, *request.keep_at), n_total)
        files = {file.n_tokens: file.name for file in request.save_as}
        chunks = {run.start for run in runs}
        for start, end in self._cache.pieces(n_cached, n_total, boundaries.union(request.keep_at)):
            evaluate = self._evaluate_medium if start in chunks else self._evaluate
            if not evaluate(tokens[start:end]):
                return "cancelled"
            if end in boundaries:
                self._cache.checkpoint()
            yield PrefillProgress(end, n_total, n_cached)
            if start in chunks and self._media is not None and (name := self._media.save(tokens[start:end])):
                yield StateSaved(name)
            if end in files and self._states_dir is not None and self._cache.save(self._states_dir / files[end]):
                yield StateSaved(files[end])
        return None

    def _decode(self, request: GenerateRequest, run: RunClock) -> Generator[Event, None, FinishReason]:
        llama_cpp, context, model = self._llama, self._context, self._model
        options, n_ctx = request.sampling, self._info.n_ctx
        stream = TextStream(options.stop)
        max_tokens = options.max_tokens or n_ctx
        mask = self._masks.mask(request.grammar) if request.grammar is not None else None
        sampler = make_sampler(llama_cpp, options, n_vocab=model.n_vocab, prompt=request.tokens)
        try:
            while True:
                if mask is not None:
                    mask.apply(self._logits())
                token = llama_cpp.llama_sampler_sample(sampler, context, -1)
                run.sampled()
                if model.is_end(token):
                    reason: FinishReason = "stop"
                    break
                run.tokens.append(token)
                if mask is not None:
                    mask.accept(token)
                text = stream.push(model.token_bytes(token, special=request.show_special))
                yield Piece(text, len(run.tokens))
                if stream.stopped or (mask is not None and mask.is_finished):
                    reason = "stop"
                    break
                if len(run.tokens) >= max_tokens:
                    reason = "length"
                    break
                if len(self._cache.tokens) >= n_ctx:
                    reason = "context_full"
                    break
                if not self._evaluate((token,)):
                    reason = "cancelled"
                    break
        finally:
            llama_cpp.llama_sampler_free(sampler)
        if rest := stream.flush():
            yield Piece(rest, len(run.tokens))
        return reason

    @functools.cached_property
    def _masks(self) -> TokenMaskFactory:
        from edgeai.backends.grammar import TokenMaskFactory

        model = self._model
        return TokenMaskFactory(
            [model.token_bytes(token, special=True) for token in range(model.n_vocab)],
            special_ids=model.control_ids,
            end_ids=[model.end_id],
            tokenize=lambda data: model.tokenize(data, add_special=False, parse_special=False),
        )

    def _logits(self) -> Any:
        """The last token's logits, llama.cpp's own memory. float32 [n_vocab]"""
        import numpy as np

        pointer = self._llama.llama_get_logits_ith(self._context, -1)
        return np.ctypeslib.as_array(pointer, (self._model.n_vocab,))

    def _evaluate(self, tokens: Sequence[int]) -> bool:
        """Evaluate a piece with the number of threads that is best now; False when it was cancelled."""
        if self._abort.is_set:
            return False
        if self._tuner is None:
            return self._cache.evaluate(tokens)
        started = time.perf_counter()
        done = self._cache.evaluate(tokens)
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

    @contextmanager
    def _run(self) -> Iterator[None]:
        with self._lock:
            if self._closed:
                raise SessionClosedError("the model is closed: open a new session")
            self._running = True
        try:
            yield
        finally:
            with self._lock:
                self._running = False
                self._abort.clear()

    def save_state(self, name: str) -> int:
        """Write the state of all that stands in the KV cache; the tokens that the file holds, 0 for no file."""
        with self._run():
            if self._states_dir is None or not self._cache.tokens or not self._cache.save(self._states_dir / name):
                return 0
            return len(self._cache.tokens)

    def cancel(self) -> None:
        """End the generation that is running; see Backend."""
        with self._lock:
            if self._running:
                self._abort.set()

    def close(self) -> None:
        """Free native memory. May be called twice, but not while a generation runs."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        if self._media is not None:
            self._media.close()
        if self._scorer is not None:
            self._scorer.close()
        self._llama.llama_free(self._context)
        self._model.close()
