"""An embedding model in a sandboxed process of its own, whose crash or hang becomes an error."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from edgeai import errors
from edgeai.engine import crash_marks
from edgeai.engine.embed_limits import Plan, plan
from edgeai.engine.embed_wire import Embed, Embedded, Open, Opened, Pooling, Reply
from edgeai.engine.link import Link
from edgeai.engine.process import ChildProcess
from edgeai.engine.watchdog import Pace
from edgeai.engine.wire import Failed, Loading
from edgeai.errors import EdgeAIError, EngineCrashedError, GenerationError, SessionClosedError
from edgeai.files import sha256
from edgeai.gguf_header import read_header
from edgeai.gguf_keys import MAX_WIDTH
from edgeai.machine import usable_cores
from edgeai.safe_text import one_line

N_BATCH = 512
"""Tokens that are evaluated together: more are no faster, and a text may be longer than this."""
_START = "import sys; sys.path[:] = sys.argv[2:]; from edgeai.engine.embed_child import main; main(int(sys.argv[1]))"
_LEAST_TOKENS = 32  # so few take as long as one: the pace of a short question says little of a passage
_MOST_TEXTS, _MOST_BYTES = 256, 4 * 2**20  # in one request
_CHARS_A_TOKEN = 32  # what is longer would be cut; only so much is sent
_MAX_LOADING = 1000  # messages
_MAX_MESSAGE_CHARS = 2000
_FLOAT_BYTES = 4
_KINDS = ("ModelError", "ModelFormatError", "ModelTooLargeError", "GenerationError")


class EmbeddingEngine:
    """One model. Any thread may call; they take turns. A call that finds the process dead starts a new one.

    Attributes:
        path: the .gguf file.
        sha256: of its content.
        architecture: llama.cpp's name of it.
        name: the model's own name, in one line.
        dimension: numbers in a vector.
        n_ctx: tokens of a text; what is longer is cut.
        sandbox: what bounds the process.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        n_ctx: int | None = None,
        n_batch: int = N_BATCH,
        n_threads: int | None = None,
        pooling: Pooling | None = None,
        watchdog_s: float | None = None,
    ) -> None:
        """Check the file and load it.

        Args:
            path: the .gguf file.
            n_ctx: tokens of a text; None takes what the model was trained for, at most 2,048.
            n_batch: tokens that are evaluated together, where several texts fit.
            n_threads: None follows the free cores.
            pooling: None takes the model's own.
            watchdog_s: seconds without progress after which the process is ended; None follows the measured speed.

        Raises:
            ModelNotFoundError: no such file.
            ModelFormatError: the file is damaged, no embedding model, or it has crashed the engine twice.
            ModelTooLargeError: it does not fit the memory that is free.
            EngineCrashedError: the engine crashed or hung while it loaded the model.
        """
        self.path = Path(path)
        self._n_batch, self._n_threads, self._watchdog_s = n_batch, n_threads, watchdog_s
        self._lock = threading.Lock()
        self._closed = False
        header = read_header(self.path)
        crash_marks.check(self.path, str(self.path))
        self._plan = plan(header, n_ctx=n_ctx, pooling=pooling, max_threads=self._max_threads)
        self.name, self.architecture, self.n_ctx = one_line(header.name), header.architecture, self._plan.n_ctx
        self._n_bytes = header.n_file_bytes
        self._link = self._start()
        try:
            self.sha256 = sha256(self.path)  # while the process imports its libraries
            self._load(self._link)
        except BaseException as exc:
            self._link.close()
            if isinstance(exc, EngineCrashedError):
                crash_marks.note_crash(self.path, exc)
            raise

    @property
    def pid(self) -> int:
        """The number of the engine's process."""
        return self._link.process.pid

    @property
    def plan(self) -> Plan:
        """How the model is opened."""
        return self._plan

    def embed(self, texts: Sequence[str]) -> bytes:
        """The vectors of texts, in order: little-endian float32, of any length. [n_texts, dimension]

        Raises:
            EngineCrashedError: the engine crashed or hung; the next call starts a new one.
            GenerationError: llama.cpp failed, or the file has changed.
            SessionClosedError: it was closed.
        """
        with self._lock:
            try:
                return b"".join(self._embed(request) for request in self._requests(texts))
            except EdgeAIError as exc:
                if self._closed and not isinstance(exc, SessionClosedError):  # that is what ended its process
                    raise self._closed_error() from exc
                raise

    def close(self) -> None:
        """End the process. May be called twice."""
        self._closed = True
        self._link.close()

    def _requests(self, texts: Sequence[str]) -> Iterator[list[bytes]]:
        """As much of the texts as can count, without lone surrogates, in portions that one message holds."""
        request: list[bytes] = []
        n_bytes = 0
        for text in texts:
            data = text[: _CHARS_A_TOKEN * self.n_ctx].encode("utf-8", "replace")
            if request and (len(request) == _MOST_TEXTS or n_bytes + len(data) > _MOST_BYTES):
                yield request
                request, n_bytes = [], 0
            request.append(data)
            n_bytes += len(data)
        if request:
            yield request

    def _embed(self, texts: list[bytes]) -> bytes:
        doing = f"embedding {len(texts):,} texts with {self.path}"
        self._ensure()
        link = self._link
        try:
            with link.watched():
                link.send(Embed(texts), doing)
                replies = self._replies(link, len(texts), doing)
        except BaseException:
            link.close()  # else what is still to come would answer the next request
            raise
        if isinstance(replies, Failed):
            raise _error(replies)
        return b"".join(reply.vectors for reply in replies)

    def _replies(self, link: Link[Reply], n_texts: int, doing: str) -> list[Embedded] | Failed:
        found: list[Embedded] = []
        while n_texts:
            started = time.perf_counter()
            reply = link.receive(link.pace.limit_s("embed", self.n_ctx), doing)
            if isinstance(reply, Failed):
                return reply
            found.append(self._checked(reply, n_texts, doing))
            n_texts -= found[-1].n_texts
            link.pace.record("embed", max(found[-1].n_tokens, _LEAST_TOKENS), time.perf_counter() - started)
        return found

    def _checked(self, reply: Reply, n_left: int, doing: str) -> Embedded:
        if not isinstance(reply, Embedded):
            raise self._link.distrusted(f"{type(reply).__name__} came instead of vectors", doing)
        n_bytes = reply.n_texts * self.dimension * _FLOAT_BYTES
        if not 0 < reply.n_texts <= n_left or len(reply.vectors) != n_bytes or reply.n_tokens > self.n_ctx:
            raise self._link.distrusted(
                f"{len(reply.vectors):,} bytes for {reply.n_texts:,} of {n_left:,} texts, {reply.n_tokens:,} tokens",
                doing,
            )
        return reply

    # --- the process ---

    @property
    def _max_threads(self) -> int:
        return self._n_threads or usable_cores()

    def _start(self) -> Link[Reply]:
        process: ChildProcess[Reply] = ChildProcess(Reply, _START)
        return Link(process, Pace(self._n_bytes, self._watchdog_s))

    def _ensure(self) -> None:
        """Start and load anew where the process is dead."""
        if self._closed:
            raise self._closed_error()
        process = self._link.process
        if process.is_alive:
            return
        if not process.is_ours:
            raise GenerationError(f"{self.path} was opened before a fork, in another process: open it again here")
        self._link.close()
        try:
            unchanged = sha256(self.path) == self.sha256
        except OSError:
            unchanged = False
        if not unchanged:
            raise GenerationError(f"{self.path} has changed since it was loaded: open it again")
        before = self.dimension
        self._link = self._start()
        if self._closed:  # meanwhile: `close` has seen the old process alone
            self._link.close()
            raise self._closed_error()
        self._load(self._link)
        if self.dimension != before:
            raise self._link.distrusted(f"vectors of {self.dimension:,} numbers instead of {before:,}", self._loading)

    def _closed_error(self) -> SessionClosedError:
        return SessionClosedError(f"{self.path}: the embedding model is closed: open it again")

    @property
    def _loading(self) -> str:
        return f"loading the model {self.path}"

    def _load(self, link: Link[Reply]) -> None:
        opening = Open(
            path=str(self.path.absolute()),
            n_ctx=self.n_ctx,
            n_batch=self._n_batch,
            pooling=self._plan.pooling,
            max_threads=self._max_threads,
            follow_load=self._n_threads is None,
            policy=self._plan.policy,
        )
        try:
            with link.watched():
                link.send(opening, self._loading)
                self._opened(link, self._loaded(link))
        except BaseException:
            link.close()
            raise

    def _loaded(self, link: Link[Reply]) -> Reply:
        for _ in range(_MAX_LOADING):
            reply = link.receive(link.pace.limit_s("load"), self._loading)
            if not isinstance(reply, Loading):
                return reply
        raise link.distrusted(f"{_MAX_LOADING:,} messages about loading", self._loading)

    def _opened(self, link: Link[Reply], reply: Reply) -> None:
        if isinstance(reply, Failed):
            raise _error(reply)
        if not isinstance(reply, Opened) or not 0 < reply.dimension <= MAX_WIDTH:
            raise link.distrusted(f"{type(reply).__name__} that no model gives", self._loading)
        self.dimension, self.sandbox = reply.dimension, reply.sandbox


def _error(failed: Failed) -> EdgeAIError:
    """The error that a reply tells of; kinds that an engine has no reason for become GenerationError."""
    kind = getattr(errors, failed.kind) if failed.kind in _KINDS else GenerationError
    error: EdgeAIError = kind(one_line(failed.message)[:_MAX_MESSAGE_CHARS])
    return error
