"""From a model's name or path to a loaded backend, with every check that can be made before."""

from __future__ import annotations

import contextlib
import functools
import importlib
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edgeai.backends.base import Backend
from edgeai.engine.examine import Examined, check_scoring, examine, policy
from edgeai.errors import EngineCrashedError
from edgeai.options import LoadOptions

if TYPE_CHECKING:
    from edgeai.backends.decoding import DecodingBackend
    from edgeai.catalog import ResolvedModel
    from edgeai.engine.backend import ProcessBackend
    from edgeai.engine.process import EngineProcess
    from edgeai.engine.wire import Load
    from edgeai.kv_store.store import StateStore

_log = logging.getLogger(__name__)
_started: list[EngineProcess] = []


@dataclass(frozen=True, slots=True)
class Loaded:
    """A loaded model.

    Attributes:
        backend: ready to generate.
        name: the name to show.
        load_ms: how long it took.
        sampling: sampling options that the model's makers recommend.
        system: a system message for conversations that have none.
        check_scoring: raises ModelTooLargeError where there is no memory to score in as well.
    """

    backend: Backend
    name: str
    load_ms: float = 0.0
    sampling: Mapping[str, Any] = field(default_factory=dict)
    system: str = ""
    check_scoring: Callable[[], None] = lambda: None


def load(
    model: str | os.PathLike[str] | None,
    options: LoadOptions,
    on_progress: Callable[[float], None] | None = None,
) -> Loaded:
    """Find a model, check its file and the memory it needs, and load it.

    Raises:
        ModelNotFoundError: neither installed nor a file.
        ModelFormatError: the file is corrupted or of an unknown kind, or it has crashed the engine twice.
        ModelTooLargeError: it does not fit the memory that is free.
        ModelError: no engine process can be started here.
        OptionError: n_ctx is beyond what the model was trained for, or an option is for models of another kind.
        EngineCrashedError: the engine crashed or hung while it loaded the model.
    """
    from edgeai.catalog import Catalog

    started = time.perf_counter()
    found = Catalog.load().resolve(model)
    if options.isolation == "process":
        backend, examined = _load_in_process(found, options, on_progress)
    else:
        backend, examined = _load_here(found, options, on_progress)
    load_ms = (time.perf_counter() - started) * 1000
    entry = found.entry or examined.entry
    check = functools.partial(check_scoring, examined)
    if entry is None:
        return Loaded(backend, found.name, load_ms, check_scoring=check)
    return Loaded(backend, found.name, load_ms, entry.sampling, entry.system, check)


@contextlib.contextmanager
def engine_ahead() -> Iterator[None]:
    """Start the engine's process before it is needed: it imports its libraries while documents are read.

    The next model that is loaded takes it; one that nobody takes is ended.
    """
    from edgeai.engine.process import EngineProcess

    process = EngineProcess()
    _started.append(process)
    try:
        yield
    finally:
        if process in _started:
            _started.remove(process)
            process.close()


def _engine_process() -> EngineProcess:
    """The process that was started ahead, or a new one."""
    from edgeai.engine.process import EngineProcess

    while _started:
        process = _started.pop()
        if process.is_alive:
            return process
        process.close()
    return EngineProcess()


def _load_here(
    found: ResolvedModel, options: LoadOptions, on_progress: Callable[[float], None] | None
) -> tuple[Backend, Examined]:
    from edgeai.engine.opening import opener

    examined = examine(found, options)
    store = _store(examined)
    _import_meanwhile(options)
    return _storing(opener(_request(examined, store))(on_progress), store, found.name), examined


def _load_in_process(
    found: ResolvedModel, options: LoadOptions, on_progress: Callable[[float], None] | None
) -> tuple[Backend, Examined]:
    from edgeai.engine import crash_marks

    path, name = found.path, found.name
    if not options.retry_crashed:
        crash_marks.check(path, name)
    process = _engine_process()  # it imports its libraries while the file is checked here
    try:
        opened = _open(process, found, options, on_progress)
    except EngineCrashedError as exc:
        crash_marks.note_crash(path, exc)
        raise
    except BaseException:
        process.close()
        raise
    if crash_marks.marks_path().exists():
        crash_marks.forget(path)
    return opened


def _open(
    process: EngineProcess,
    found: ResolvedModel,
    options: LoadOptions,
    on_progress: Callable[[float], None] | None,
) -> tuple[Backend, Examined]:
    from edgeai.engine.backend import ProcessBackend

    examined = examine(found, options)
    store = _store(examined)
    _import_meanwhile(options)
    backend = ProcessBackend(
        process,
        _request(examined, store),
        size_bytes=examined.n_file_bytes,
        watchdog_s=None if options.watchdog_s == "auto" else options.watchdog_s,
        on_progress=on_progress,
    )
    return _storing(backend, store, found.name), examined


def _request(examined: Examined, store: StateStore | None) -> Load:
    """What an engine is told to load."""
    from edgeai.engine.wire import Load

    states_dir = str(store.engine_dir.absolute()) if store else None
    return Load(
        str(examined.path.absolute()),
        examined.options,
        examined.n_ctx,
        examined.max_threads,
        policy(examined, states_dir),
        states_dir,
        examined.max_picture_ratio,
        examined.n_picture_tokens,
    )


def _store(examined: Examined) -> StateStore | None:
    """Where the states of this model are kept; None where they are not to be, or cannot."""
    options, n_ctx = examined.options, examined.n_ctx
    if not options.keep_states:
        return None
    from edgeai.kv_store.key import state_key
    from edgeai.kv_store.room import limit_bytes, states_dir
    from edgeai.kv_store.store import StateStore

    root = states_dir()
    try:
        if not (most := limit_bytes(root)):
            return None
        store = StateStore(root, state_key(examined.files, options, n_ctx, root), most)
        store.verify_ahead()
        return store
    except OSError as exc:
        _log.warning("%s: no evaluated states are kept (%s)", root, exc.strerror or exc)
        return None


def _storing(backend: DecodingBackend | ProcessBackend, store: StateStore | None, name: str) -> Backend:
    if store is None:
        return backend
    from edgeai.kv_store.backend import StoringBackend

    return StoringBackend(backend, store, name)


def _import_meanwhile(options: LoadOptions) -> None:
    """What is needed as soon as the model is loaded: the template engine, and where states are kept, documents."""
    names = ["edgeai.templating.compiled", *(["edgeai.grounding"] if options.keep_states else [])]
    threading.Thread(target=lambda: [importlib.import_module(name) for name in names], daemon=True).start()
