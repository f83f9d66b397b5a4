"""What is known of a model before native code sees its files: that they can be loaded, how, and within which bounds."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgeai.errors import ModelError, OptionError, UnsupportedModalityError
from edgeai.options import LoadOptions

if TYPE_CHECKING:
    from edgeai.catalog import ResolvedModel
    from edgeai.catalog_entry import CatalogEntry
    from edgeai.gguf_header import GGUFHeader
    from edgeai.gguf_projector import Projector
    from edgeai.model_shape import ModelShape
    from edgeai.sandbox import Policy

_log = logging.getLogger(__name__)
_HEADROOM_BYTES = 2**30  # address space that is reserved and never used: arenas, thread stacks, lazy imports
_IMAGE_TOKENS = 1024
"""Of a picture that is seen in its own shape: at 4,096 the masks of Qwen2.5-VL's windows alone take 2.5 GiB."""
_FOR_GGUF = (
    *("n_ubatch", "n_gpu_layers", "type_k", "type_v", "flash_attn", "use_mmap", "use_mlock", "swa_full"),
    *("mmproj_path", "image_max_tokens"),
)
_THREAD_BYTES = 80 * 2**20  # of address space: a stack and an arena


@dataclass(frozen=True, slots=True)
class Examined:
    """A model whose files have been checked, and how it is going to be opened.

    Attributes:
        path: the model's file; of an ONNX folder the graph.
        files: what the engine reads.
        entry: the catalog's, of a model that says itself that it is this one.
        options: with the projector's path, absolute, or ""; and a provider's name.
        shape: the model's, with the projector in its weights.
        n_ctx: context window, tokens.
        max_threads: threads at most.
        n_file_bytes: of all its files.
        max_picture_ratio: of a picture's longer side to its shorter one; 0 without eyes.
        n_picture_tokens: of a picture, or of a tile of one, at most; likewise.
        available_bytes: memory that was free before it was loaded.
    """

    path: Path
    files: tuple[Path, ...]
    entry: CatalogEntry | None
    options: LoadOptions
    shape: ModelShape
    n_ctx: int
    max_threads: int
    n_file_bytes: int
    max_picture_ratio: int = 0
    n_picture_tokens: int = 0
    available_bytes: int = 0


def examine(found: ResolvedModel, options: LoadOptions) -> Examined:
    """Check a model's files, and find out how to open them.

    Raises:
        ModelFormatError: a file is corrupted or of an unknown kind.
        UnsupportedModalityError: the projector that was asked for is of a kind that is not known.
        ModelTooLargeError: it does not fit the memory that is free.
        OptionError: n_ctx is beyond what the model was trained for, or an option is for models of another kind.
    """
    from edgeai.onnx_folder import is_graph

    return _examine_onnx(found, options) if is_graph(found.path) else _examine_gguf(found, options)


def _examine_gguf(found: ResolvedModel, options: LoadOptions) -> Examined:
    from edgeai.catalog import Catalog
    from edgeai.fit import ModelShape, choose_n_ctx
    from edgeai.gguf_header import read_header
    from edgeai.machine import available_memory_bytes

    if options.provider != "auto":
        raise OptionError(
            f"provider = {options.provider!r} is for ONNX models: leave it out, or set n_gpu_layers for a GGUF file"
        )
    header = read_header(found.path)
    shape, n_file_bytes = ModelShape.from_header(header), header.n_file_bytes
    projector = _projector(found, options, header)
    if projector is not None:
        shape = replace(shape, weights_bytes=shape.weights_bytes + projector.weights_bytes + projector.buffer_bytes)
        n_file_bytes += projector.path.stat().st_size
        options = _for_pictures(options, projector)
    available_bytes = available_memory_bytes()
    n_ctx = choose_n_ctx(shape, options, available_bytes)
    options = replace(options, mmproj_path=str(projector.path.absolute()) if projector is not None else "")
    return Examined(
        path=header.path,
        files=(header.path, *([projector.path] if projector is not None else [])),
        entry=Catalog.load().entry_of(header),
        options=options,
        shape=shape,
        n_ctx=n_ctx,
        max_threads=_max_threads(options),
        n_file_bytes=n_file_bytes,
        max_picture_ratio=projector.max_ratio if projector is not None else 0,
        n_picture_tokens=projector.n_picture_tokens if projector is not None else 0,
        available_bytes=available_bytes,
    )


def _examine_onnx(found: ResolvedModel, options: LoadOptions) -> Examined:
    from edgeai.catalog import Catalog
    from edgeai.fit import ModelShape, choose_n_ctx
    from edgeai.machine import available_memory_bytes
    from edgeai.onnx_folder import read_folder
    from edgeai.onnx_providers import choose_provider

    folder = read_folder(found.path)
    for name in _FOR_GGUF:
        value = getattr(options, name)
        if value and value != getattr(LoadOptions(), name):
            raise OptionError(
                f"{name} = {value!r:.60} is for GGUF models, and {folder.path} is an ONNX folder: leave it out"
            )
    options = replace(options, mmproj_path="", provider=choose_provider(options.provider))
    shape, available_bytes = ModelShape.from_onnx(folder), available_memory_bytes()
    sizes = {"n_layer": shape.n_layer, "n_embd": shape.n_embd}
    return Examined(
        path=folder.graph,
        files=(folder.graph, *(path for path in folder.files if path != folder.graph)),
        entry=Catalog.load().entry_like(folder.name, folder.architecture, sizes),
        options=options,
        shape=shape,
        n_ctx=choose_n_ctx(shape, options, available_bytes),
        max_threads=_max_threads(options),
        n_file_bytes=folder.n_file_bytes,
        available_bytes=available_bytes,
    )


def _max_threads(options: LoadOptions) -> int:
    from edgeai.machine import usable_cores

    return usable_cores() if options.n_threads == "auto" else options.n_threads


def _for_pictures(options: LoadOptions, projector: Projector) -> LoadOptions:
    """Batches that hold what has to be evaluated at once, and as many tokens of a picture as it may have."""
    n_tokens = 0 if projector.is_causal else projector.n_picture_tokens
    return replace(
        options,
        n_batch=max(options.n_batch, n_tokens),
        n_ubatch=max(options.n_ubatch, n_tokens),
        image_max_tokens=projector.image_max_tokens,
    )


def _projector(found: ResolvedModel, options: LoadOptions, header: GGUFHeader) -> Projector | None:
    """The projector that was asked for; where none was, the one beside the model, if it can be used."""
    from edgeai.model_files import projector_beside

    if options.mmproj_path == "":
        return None
    beside = found.mmproj_path or projector_beside(found.path)
    path = Path(options.mmproj_path) if options.mmproj_path is not None else beside
    if path is None:
        return None
    from edgeai.gguf_projector import input_width, read_projector  # most models have none

    try:
        most = options.image_max_tokens or _IMAGE_TOKENS
        return read_projector(path, input_width(header), header.architecture, most)
    except ModelError as exc:
        if options.mmproj_path is not None:
            raise
        level = logging.INFO if isinstance(exc, UnsupportedModalityError) else logging.WARNING
        _log.log(level, "the model is opened without its projector: %s", exc)
        return None


def check_scoring(examined: Examined) -> None:
    """See that a loaded model has room to score beside what it was opened with, before native code asks for it.

    Raises:
        ModelTooLargeError: it has not.
    """
    from edgeai import fit
    from edgeai.machine import available_memory_bytes

    options, n_ctx = examined.options, examined.n_ctx
    # pages of the weights' file count as free all the time, so what was free before counts too
    taken = fit.estimate_for(examined.shape, options, n_ctx).total_bytes
    available = min(examined.available_bytes - taken, available_memory_bytes())
    fit.check_scoring(examined.shape, options, n_ctx, available)


def policy(examined: Examined, states_dir: str | None) -> Policy:
    """What the engine may do: read its model, keep states in one folder, and take the memory that it was estimated to
    need, for scoring too, with headroom.

    A GPU's driver opens devices and reserves address space as it likes: there, neither is bounded.
    """
    from edgeai.fit import estimate_for, scoring_bytes
    from edgeai.sandbox import Policy

    options = examined.options
    if options.uses_gpu:
        return Policy(readable=None)
    need = estimate_for(examined.shape, options, examined.n_ctx)
    return Policy(
        readable=tuple(str(path.resolve()) for path in examined.files),
        writable=(states_dir,) if states_dir else (),
        file_bytes=2 * need.kv_bytes + _HEADROOM_BYTES if states_dir else 0,
        memory_bytes=examined.n_file_bytes
        + 2 * need.total_bytes
        + scoring_bytes(examined.shape, options, examined.n_ctx)
        + examined.max_threads * _THREAD_BYTES
        + _HEADROOM_BYTES,
    )
