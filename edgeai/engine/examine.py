"""What is known of a model before native code sees its files: that they can be loaded, how, and within which bounds."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgeai.errors import ModelError, UnsupportedModalityError
from edgeai.options import LoadOptions

if TYPE_CHECKING:
    from edgeai.catalog import ResolvedModel
    from edgeai.gguf_header import GGUFHeader
    from edgeai.gguf_projector import Projector
    from edgeai.model_shape import ModelShape
    from edgeai.sandbox import Policy

_log = logging.getLogger(__name__)
_HEADROOM_BYTES = 2**30  # address space that is reserved and never used: arenas, thread stacks, lazy imports
_IMAGE_TOKENS = 1024
"""Of a picture that is seen in its own shape: at 4,096 the masks of Qwen2.5-VL's windows alone take 2.5 GiB."""
_THREAD_BYTES = 80 * 2**20  # of address space: a stack and an arena


@dataclass(frozen=True, slots=True)
class Examined:
    """A model whose files have been checked, and how it is going to be opened.

    Attributes:
        header: of the model's file.
        options: with the projector's path, absolute, or "".
        shape: the model's, with the projector in its weights.
        n_ctx: context window, tokens.
        max_threads: threads at most.
        n_file_bytes: of both files.
        max_picture_ratio: of a picture's longer side to its shorter one; 0 without eyes.
        n_picture_tokens: of a picture, or of a tile of one, at most; likewise.
    """

    header: GGUFHeader
    options: LoadOptions
    shape: ModelShape
    n_ctx: int
    max_threads: int
    n_file_bytes: int
    max_picture_ratio: int = 0
    n_picture_tokens: int = 0


def examine(found: ResolvedModel, options: LoadOptions) -> Examined:
    """Check a model's files, and find out how to open them.

    Raises:
        ModelFormatError: a file is corrupted or of an unknown kind.
        UnsupportedModalityError: the projector that was asked for is of a kind that is not known.
        ModelTooLargeError: it does not fit the memory that is free.
        OptionError: n_ctx is beyond what the model was trained for.
    """
    from edgeai.fit import ModelShape, choose_n_ctx
    from edgeai.gguf_header import read_header
    from edgeai.machine import available_memory_bytes, usable_cores

    header = read_header(found.path)
    shape, n_file_bytes = ModelShape.from_header(header), header.n_file_bytes
    projector = _projector(found, options, header)
    if projector is not None:
        shape = replace(shape, weights_bytes=shape.weights_bytes + projector.weights_bytes + projector.buffer_bytes)
        n_file_bytes += projector.path.stat().st_size
        options = _for_pictures(options, projector)
    n_ctx = choose_n_ctx(shape, options, available_memory_bytes())
    options = replace(options, mmproj_path=str(projector.path.absolute()) if projector is not None else "")
    max_threads = usable_cores() if options.n_threads == "auto" else options.n_threads
    max_ratio = projector.max_ratio if projector is not None else 0
    n_picture_tokens = projector.n_picture_tokens if projector is not None else 0
    return Examined(header, options, shape, n_ctx, max_threads, n_file_bytes, max_ratio, n_picture_tokens)


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
    from edgeai.installed import projector_beside

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


def policy(examined: Examined, states_dir: str | None) -> Policy:
    """What the engine may do: read its model, keep states in one folder, and take the memory that it was estimated to
    need, with headroom.

    A GPU's driver opens devices and reserves address space as it likes: there, neither is bounded.
    """
    from edgeai.fit import estimate_for
    from edgeai.sandbox import Policy

    options = examined.options
    if options.n_gpu_layers:
        return Policy(readable=None)
    need = estimate_for(examined.shape, options, examined.n_ctx)
    paths = [examined.header.path, *([Path(options.mmproj_path)] if options.mmproj_path else [])]
    return Policy(
        readable=tuple(str(path.resolve()) for path in paths),
        writable=(states_dir,) if states_dir else (),
        file_bytes=2 * need.kv_bytes + _HEADROOM_BYTES if states_dir else 0,
        memory_bytes=examined.n_file_bytes
        + 2 * need.total_bytes
        + examined.max_threads * _THREAD_BYTES
        + _HEADROOM_BYTES,
    )
