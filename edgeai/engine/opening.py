"""Which backend opens a model: llama.cpp a .gguf file, ONNX Runtime the folder of a graph."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from edgeai.backends.decoding import DecodingBackend
from edgeai.engine.wire import Load
from edgeai.onnx_folder import is_graph

Opener = Callable[["Callable[[float], None] | None"], DecodingBackend]
"""Loads a model; told where to report the share that is loaded."""


def opener(load: Load) -> Opener:
    """What opens a model. All libraries are imported here, and folders looked at: no sandbox is entered before.

    Raises:
        ModelError: a library is missing.
        ModelFormatError: what stands around a graph is not what it must be.
    """
    path, states_dir = Path(load.path), Path(load.states_dir) if load.states_dir else None
    if is_graph(path):
        return _onnx_opener(path, load, states_dir)
    from edgeai.backends.llama import LlamaBackend

    return lambda on_progress: LlamaBackend(
        path,
        load.options,
        n_ctx=load.n_ctx,
        max_threads=load.max_threads,
        states_dir=states_dir,
        max_picture_ratio=load.max_picture_ratio,
        n_picture_tokens=load.n_picture_tokens,
        on_progress=on_progress,
    )


def _onnx_opener(path: Path, load: Load, states_dir: Path | None) -> Opener:
    from edgeai.backends.onnx import OnnxBackend
    from edgeai.backends.onnx_graph import import_onnx
    from edgeai.backends.onnx_session import import_onnxruntime
    from edgeai.backends.onnx_tokenizer import import_tokenizers
    from edgeai.onnx_folder import TOKENIZER_NAME, read_folder

    folder = read_folder(path)
    import_onnx(folder.graph)
    import_onnxruntime()
    if folder.tokenizer == TOKENIZER_NAME:
        import_tokenizers(folder.path)
    return lambda on_progress: OnnxBackend(
        folder,
        load.options,
        n_ctx=load.n_ctx,
        max_threads=load.max_threads,
        states_dir=states_dir,
        on_progress=on_progress,
    )
