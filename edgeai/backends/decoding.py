"""One way from a prompt to an answer for all engines: evaluated in pieces, then one token after the other."""

from __future__ import annotations

import functools
import threading
from abc import ABC, abstractmethod
from collections.abc import Collection, Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

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
from edgeai.backends.llama_cache import Runs
from edgeai.backends.llama_native import bindings
from edgeai.backends.llama_sampler import make_sampler
from edgeai.backends.run_clock import RunClock
from edgeai.backends.text_stream import TextStream
from edgeai.errors import GenerationError, SessionClosedError, UnsupportedModalityError
from edgeai.media import Medium
from edgeai.response import FinishReason

if TYPE_CHECKING:
    from edgeai.backends.grammar import TokenMaskFactory


class Vocabulary(Protocol):
    """A model's tokens; see `edgeai.backends.llama_model.LlamaModel`."""

    @property
    def n_vocab(self) -> int: ...
    @property
    def control_ids(self) -> Collection[int]: ...
    @property
    def end_id(self) -> int: ...
    def is_end(self, token: int) -> bool: ...
    def tokenize(self, data: bytes, *, add_special: bool, parse_special: bool) -> list[int]: ...
    def token_bytes(self, token: int, *, special: bool) -> bytes: ...
    def text(self, tokens: Sequence[int]) -> str: ...


class Cache(Protocol):
    """What stands evaluated; see `edgeai.backends.llama_cache.LlamaCache`."""

    @property
    def tokens(self) -> list[int]: ...
    def reuse(self, prompt: Sequence[int], runs: Runs = ()) -> int: ...
    def boundaries(self, wanted: Sequence[int], n_prompt: int) -> frozenset[int]: ...
    def pieces(self, n_start: int, n_end: int, boundaries: frozenset[int]) -> Iterator[tuple[int, int]]: ...
    def evaluate(self, tokens: Sequence[int]) -> bool: ...
    def checkpoint(self) -> None: ...
    def save(self, path: Path) -> bool: ...
    def load(self, path: Path, prompt: Sequence[int], n_tokens: int, n_same: int) -> int: ...


class Abort(Protocol):
    """Ends a running evaluation, from any thread."""

    @property
    def is_set(self) -> bool: ...
    def set(self) -> None: ...
    def clear(self) -> None: ...


class DecodingBackend(ABC):
    """What all backends have in common; see `edgeai.backends.base.Backend`. A subclass sets what is only declared."""

    _info: ModelInfo
    _vocabulary: Vocabulary
    _cache: Cache
    _abort: Abort

    def __init__(self, states_dir: Path | None) -> None:
        """`states_dir` is where states are read and written; None for nowhere."""
        self._states_dir = states_dir
        self._lock = threading.Lock()
        self._running = False
        self._closed = False

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
        data = text.encode("utf-8", "replace")
        return self._vocabulary.tokenize(data, add_special=add_special, parse_special=parse_special)

    def media_tokens(self, medium: Medium) -> list[int]:
        """What stands for a medium in a prompt; see Backend."""
        raise UnsupportedModalityError(
            f"{self._info.name}: it takes in neither pictures nor sounds: open it with its projector"
        )

    def detokenize(self, tokens: Sequence[int]) -> str:
        """The text of token ids, control tokens included."""
        return self._vocabulary.text(tokens)

    def generate(self, request: GenerateRequest) -> Iterator[Event]:
        """Continue a prompt; see Backend."""
        n_prompt, n_ctx = len(request.tokens), self._info.n_ctx
        if not 0 < n_prompt < n_ctx:
            raise GenerationError(f"a prompt of {n_prompt:,} tokens: expected 1 to {n_ctx - 1:,} for n_ctx = {n_ctx:,}")
        with self._run():
            run = RunClock(request)
            runs = self._begin(request)
            n_cached = run.n_cached = self._reuse(request, runs)
            reason = yield from self._prefill(request, n_cached)
            if reason is None:
                run.prefilled()
                reason = yield from self._decode(request, run)
            yield run.finished(reason)

    @abstractmethod
    def score(self, request: ScoreRequest) -> Iterator[ScoreEvent]:
        """Score continuations; see ScoringBackend."""

    def _reuse(self, request: GenerateRequest, runs: Runs) -> int:
        """The tokens of the prompt that need not be evaluated: those in the KV cache, or in a file."""
        file, tokens = request.restore, request.tokens
        n_cached = self._cache.reuse(tokens, runs)
        if file is None or self._states_dir is None or min(file.n_same, len(tokens) - 1) <= n_cached:
            return n_cached
        return self._cache.load(self._states_dir / file.name, tokens, file.n_tokens, file.n_same)

    def _prefill(self, request: GenerateRequest, n_cached: int) -> Generator[Event, None, FinishReason | None]:
        tokens, n_total = request.tokens, len(request.tokens)
        yield PrefillProgress(n_cached, n_total, n_cached)
        boundaries = self._cache.boundaries((*request.checkpoint_at, *request.keep_at), n_total)
        files = {file.n_tokens: file.name for file in request.save_as}
        for start, end in self._cache.pieces(n_cached, n_total, boundaries.union(request.keep_at)):
            if not self._evaluate_at(start, tokens[start:end]):
                return "cancelled"
            if end in boundaries:
                self._cache.checkpoint()
            yield PrefillProgress(end, n_total, n_cached)
            if name := self._saved_at(start, tokens[start:end]):
                yield StateSaved(name)
            if end in files and self._states_dir is not None and self._cache.save(self._states_dir / files[end]):
                yield StateSaved(files[end])
        return None

    def _decode(self, request: GenerateRequest, run: RunClock) -> Generator[Event, None, FinishReason]:
        vocabulary, options, n_ctx = self._vocabulary, request.sampling, self._info.n_ctx
        stream = TextStream(options.stop)
        max_tokens = options.max_tokens or n_ctx
        mask = self._masks.mask(request.grammar) if request.grammar is not None else None
        sampler = make_sampler(bindings(), options, n_vocab=vocabulary.n_vocab, prompt=request.tokens)
        try:
            while True:
                if mask is not None:
                    mask.apply(self._logits())
                token = self._sample(sampler)
                run.sampled()
                if vocabulary.is_end(token):
                    reason: FinishReason = "stop"
                    break
                run.tokens.append(token)
                if mask is not None:
                    mask.accept(token)
                text = stream.push(vocabulary.token_bytes(token, special=request.show_special))
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
            bindings().llama_sampler_free(sampler)
        if rest := stream.flush():
            yield Piece(rest, len(run.tokens))
        return reason

    @functools.cached_property
    def _masks(self) -> TokenMaskFactory:
        from edgeai.backends.grammar import TokenMaskFactory

        vocabulary = self._vocabulary
        return TokenMaskFactory(
            [vocabulary.token_bytes(token, special=True) for token in range(vocabulary.n_vocab)],
            special_ids=vocabulary.control_ids,
            end_ids=[vocabulary.end_id],
            tokenize=lambda data: vocabulary.tokenize(data, add_special=False, parse_special=False),
        )

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
        self._free()

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

    # --- what an engine does ---

    def _begin(self, request: GenerateRequest) -> Runs:
        """A generation begins. Where its media stand in the prompt."""
        return ()

    def _evaluate(self, tokens: Sequence[int]) -> bool:
        """Evaluate at most a piece after what stands in the cache; False when it was cancelled."""
        return not self._abort.is_set and self._cache.evaluate(tokens)

    def _evaluate_at(self, start: int, tokens: Sequence[int]) -> bool:
        """The same of the piece of a prompt that begins at `start`."""
        return self._evaluate(tokens)

    def _saved_at(self, start: int, tokens: Sequence[int]) -> str:
        """The file that was written of a piece's medium; "" for none."""
        return ""

    @abstractmethod
    def _sample(self, sampler: Any) -> int:
        """Choose the next token by the last one's logits, and tell llama.cpp's sampler chain of it."""

    @abstractmethod
    def _logits(self) -> Any:
        """The last token's logits, the engine's own memory, which `_sample` reads. float32 [n_vocab]"""

    @abstractmethod
    def _free(self) -> None:
        """Free native memory."""
