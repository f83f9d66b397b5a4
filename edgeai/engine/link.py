"""The way to a child process: requests there, replies back, under a watchdog; its end becomes an error."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any, Generic

import msgspec

from edgeai.engine.process import ChildProcess, EngineProcess
from edgeai.engine.watchdog import Pace, Watchdog
from edgeai.engine.wire import Cancel, Incoming, Reply
from edgeai.errors import EngineCrashedError, GenerationError


class Link(Generic[Incoming]):
    """One child process at a time, and how long it may take.

    Attributes:
        process: the present one.
        pace: what it has needed so far.
    """

    def __init__(self, process: ChildProcess[Incoming], pace: Pace) -> None:
        self.process = process
        self.pace = pace
        self._watchdog = Watchdog()
        self._sending = threading.Lock()
        self._hung_s: float | None = None

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """While the block sends and receives, the process is ended if it makes no progress."""
        self._hung_s = None
        self._watchdog.watch(self._bite)
        try:
            yield
        finally:
            self._watchdog.rest()

    def close(self) -> None:
        """End the process, reap it, end the watchdog."""
        self._watchdog.close()
        self.process.close()

    def send(self, request: msgspec.Struct, doing: str) -> None:
        """Send a request.

        Raises:
            EngineCrashedError: the process is gone.
            GenerationError: the request is too long.
        """
        self._watchdog.wait(self.pace.limit_s("text"))
        try:
            with self._sending:
                self.process.pipe.send(request)
        except OSError as exc:
            raise self._crashed(doing) from exc
        except ValueError as exc:
            raise GenerationError(f"the engine cannot be asked: {exc}") from exc
        finally:
            self._watchdog.waited()

    def receive(self, limit_s: float, doing: str) -> Incoming:
        """Wait for a reply, at most so long.

        Raises:
            EngineCrashedError: the process ended, took too long, or sent what is no message.
        """
        self._watchdog.wait(limit_s)
        try:
            return self.process.pipe.receive()
        except (EOFError, OSError) as exc:
            raise self._crashed(doing) from exc
        except (ValueError, RecursionError) as exc:
            raise self.distrusted(str(exc), doing) from exc
        finally:
            self._watchdog.waited()

    def distrusted(self, what: str, doing: str) -> EngineCrashedError:
        """The process sent what it never should: it is ended. The error to raise."""
        self.process.kill()
        self.process.wait()
        return self._error(doing, broken=what)

    def _crashed(self, doing: str) -> EngineCrashedError:
        """What became of the process, as an error; it is reaped."""
        signal, exit_code = self.process.wait()
        return self._error(doing, signal=signal, exit_code=exit_code, hung_s=self._hung_s)

    def _error(self, doing: str, **how: Any) -> EngineCrashedError:
        process = self.process
        return EngineCrashedError(doing=doing, log=process.last_lines(), last_words=process.last_words, **how)

    def _bite(self) -> None:
        """Called by the watchdog."""
        self._hung_s = self._watchdog.limit_s
        self.process.kill()


class EngineLink(Link[Reply]):
    """The way to a session's engine, which can be started anew and asked to stop."""

    def restart(self) -> None:
        """Put a new process in place of the dead one."""
        self.process.close()
        self.process = EngineProcess()

    def hurry(self) -> None:
        """From now on until the watched block's end, all waiting together may take only a moment."""
        self._watchdog.hurry(self.pace.polite_s)

    def cancel(self, number: int) -> None:
        """Ask for the end of a generation, if nothing else is being sent: whoever sends looks for the wish himself."""
        if self._sending.acquire(blocking=False):
            try:
                self.process.pipe.send(Cancel(number))
            except (OSError, ValueError):
                pass  # whoever receives finds out
            finally:
                self._sending.release()
