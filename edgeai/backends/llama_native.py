"""llama.cpp's bindings, its log and its abort switch, set up once for the process."""

from __future__ import annotations

import collections
import ctypes
import functools
import importlib
import importlib.util
import logging
import os
import sys
import threading
from types import ModuleType
from typing import Any

from edgeai.errors import ModelError
from edgeai.lasting_thread import LastingThread

logger = logging.getLogger(__name__)

_importing = threading.Lock()  # sessions may be opened in several threads at once
_WARNING, _ERROR = 3, 4  # of ggml_log_level in ggml.h; an error's lines also become the text of an exception

recent_errors: collections.deque[str] = collections.deque(maxlen=4)
"""llama.cpp's last error lines: the reason for a failure that its API tells only as NULL."""


def bindings() -> Any:
    """The module `llama_cpp.llama_cpp`, with logging sent to Python's.

    The log is taken anew at each call: importing all of `llama_cpp` elsewhere in the process takes it away.

    Raises:
        ModelError: llama-cpp-python is missing or its library cannot be loaded.
    """
    with _importing:
        llama_cpp = _initialized()
    llama_cpp.llama_log_set(_log_callback(llama_cpp), ctypes.c_void_p(0))
    return llama_cpp


def media_bindings() -> Any:
    """The module `llama_cpp.mtmd_cpp`, with logging sent to Python's.

    Raises:
        ModelError: as `bindings`.
    """
    llama_cpp = bindings()
    with _importing:
        mtmd = _import_bindings("llama_cpp.mtmd_cpp")
    mtmd.mtmd_helper_log_set(_log_callback(llama_cpp), ctypes.c_void_p(0))
    return mtmd


@functools.cache
def _initialized() -> Any:
    llama_cpp = _import_bindings("llama_cpp.llama_cpp")
    llama_cpp.llama_log_set(_log_callback(llama_cpp), ctypes.c_void_p(0))
    llama_cpp.llama_backend_init()
    return llama_cpp


def _import_bindings(name: str) -> ModuleType:
    """Import bindings without the package's high-level half.

    `import llama_cpp` also imports its `Llama` class, numpy, jinja2 and diskcache: 160 ms and 30 MB that nothing here
    needs. So the package stands in `sys.modules` unexecuted while the bindings are imported, and is taken away again,
    so that an application's own `import llama_cpp` gets all of it.
    """
    if "llama_cpp" in sys.modules:
        return importlib.import_module(name)
    spec = importlib.util.find_spec("llama_cpp")
    if spec is None:
        raise ModelError("llama-cpp-python is not installed: pip install llama-cpp-python")
    sys.modules["llama_cpp"] = importlib.util.module_from_spec(spec)
    try:
        return importlib.import_module(name)
    except (RuntimeError, OSError) as exc:
        raise ModelError(f"llama-cpp-python cannot load its library ({exc}): install it again") from exc
    finally:
        del sys.modules["llama_cpp"]


@functools.cache
def _log_callback(llama_cpp: Any) -> Any:
    def write(level: int, text: bytes, _user_data: object) -> None:
        line = text.decode("utf-8", "replace").strip()
        if level == _ERROR and line:
            recent_errors.append(line)
        logger.log(logging.INFO if level in (_WARNING, _ERROR) else logging.DEBUG, "%s", line)

    return llama_cpp.llama_log_callback(write)


def last_error() -> str:
    """llama.cpp's reasons, newest last, in one line; empties the list."""
    lines = "; ".join(recent_errors)
    recent_errors.clear()
    return lines or "llama.cpp gave no reason"


@functools.cache
def engine_thread() -> LastingThread:
    """The one thread of the process that computes; sessions take turns, token by token. A forked child gets its own.

    OpenMP keeps a team of threads for every thread that ever computed. Once there are more of them than cores, all its
    waiting turns from spinning to sleeping: answers made in a thread of their own were measured at 37 tokens/s where
    one and the same thread made 90 (two cores, SmolLM2 Q4_1).
    """
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=engine_thread.cache_clear)
    return LastingThread("edgeai-engine")


class AbortSwitch:
    """Ends a running `llama_decode` from any thread.

    llama.cpp asks an abort callback before every operator. A Python callback would take the interpreter's lock
    thousands of times a token, so the callback is C's own `strlen` on a two-byte buffer: 0, false, for the empty
    string; 1, true, once the first byte is set.
    """

    def __init__(self, llama_cpp: Any) -> None:
        libc = ctypes.CDLL(None) if sys.platform != "win32" else ctypes.CDLL("msvcrt")
        self._buffer = ctypes.create_string_buffer(2)
        address = ctypes.cast(libc.strlen, ctypes.c_void_p).value
        self.callback = llama_cpp.ggml_abort_callback(address)
        self.data = ctypes.cast(self._buffer, ctypes.c_void_p)

    @property
    def is_set(self) -> bool:
        """Whether the running evaluation is to end."""
        return self._buffer[0] != b"\0"

    def set(self) -> None:
        """End the running evaluation."""
        self._buffer[0] = b"\1"

    def clear(self) -> None:
        """Let the next evaluation run."""
        self._buffer[0] = b"\0"
