"""From a model's name or path to a loaded backend, with every check that can be made before."""

from __future__ import annotations

import importlib
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from edgeai.backends.base import Backend
from edgeai.options import LoadOptions


@dataclass(frozen=True, slots=True)
class Loaded:
    """A loaded model.

    Attributes:
        backend: ready to generate.
        name: the name to show.
        load_ms: how long it took.
        sampling: sampling options that the model's makers recommend.
        system: a system message for conversations that have none.
    """

    backend: Backend
    name: str
    load_ms: float = 0.0
    sampling: Mapping[str, Any] = field(default_factory=dict)
    system: str = ""


def load(
    model: str | os.PathLike[str] | None,
    options: LoadOptions,
    on_progress: Callable[[float], None] | None = None,
) -> Loaded:
    """Find a model, check its file and the memory it needs, and load it.

    Raises:
        ModelNotFoundError: neither installed nor a file.
        ModelFormatError: the file is corrupted or of an unknown kind.
        ModelTooLargeError: it does not fit the memory that is free.
        OptionError: n_ctx is beyond what the model was trained for.
    """
    from edgeai.backends.llama import LlamaBackend
    from edgeai.catalog import Catalog
    from edgeai.fit import ModelShape, choose_n_ctx
    from edgeai.gguf_header import read_header
    from edgeai.machine import available_memory_bytes, usable_cores

    started = time.perf_counter()
    # The template engine is needed as soon as the model is loaded; llama.cpp loads without Python's lock.
    threading.Thread(target=importlib.import_module, args=("edgeai.templating.compiled",), daemon=True).start()
    found = Catalog.load().resolve(model)
    header = read_header(found.path)
    n_ctx = choose_n_ctx(ModelShape.from_header(header), options, available_memory_bytes())
    max_threads = usable_cores() if options.n_threads == "auto" else options.n_threads
    backend = LlamaBackend(found.path, options, n_ctx=n_ctx, max_threads=max_threads, on_progress=on_progress)
    load_ms = (time.perf_counter() - started) * 1000
    if found.entry is None:
        return Loaded(backend, found.name, load_ms)
    return Loaded(backend, found.name, load_ms, found.entry.sampling, found.entry.system)
