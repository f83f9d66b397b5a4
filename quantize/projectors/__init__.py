"""Projectors (mmproj): what turns a picture into the text model's input, as a GGUF file beside it.

    checkpoint = Checkpoint.open("gemma-3-4b-it")
    projector = open_projector(checkpoint, n_embd=2560, qtype="F16")

One file each for a family's encoder, as in `quantize.families`.

Source: conversion/ and tools/mtmd/clip.cpp of ggml-org/llama.cpp.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeai.errors import CheckpointError, ModelError, QuantizeError
from edgeai.gguf_projector import read_projector
from quantize.base import Checkpoint, Meta, Tensor
from quantize.checkpoint import Checkpoint as FolderCheckpoint
from quantize.families.general import general_metadata
from quantize.families.parts import arranged, u32
from quantize.ftypes import FTYPES
from quantize.ggml import tensor_type
from quantize.gguf_format import tensor_bytes
from quantize.gguf_source import read_gguf
from quantize.plan import Planned, write_sparse
from quantize.projectors.common import Vision, pictures_part
from quantize.projectors.gemma3 import Gemma3Vision
from quantize.projectors.idefics3 import Idefics3Vision
from quantize.projectors.qwen import Qwen3Vision, Qwen25Vision

__all__ = [
    "QTYPES",
    "VISIONS",
    "Projector",
    "check_loads",
    "converted_projector",
    "has_pictures",
    "open_projector",
    "projector_of",
    "vision_of",
]

_log = logging.getLogger(__name__)

QTYPES = ("F16", "Q8_0")
VISIONS: tuple[Vision, ...] = (Gemma3Vision(), Idefics3Vision(), Qwen25Vision(), Qwen3Vision())
_QUANTIZATION_VERSION = 2  # GGML_QNT_VERSION of ggml.h


@dataclass(frozen=True, slots=True)
class Projector:
    """A projector that is to be written.

    Attributes:
        metadata: its keys.
        planned: its tensors and their types.
        qtype: the type of most of its weights, a name of QTYPES.
    """

    metadata: list[Meta]
    planned: list[Planned]
    qtype: str


def has_pictures(config: Mapping[str, Any]) -> bool:
    """Whether a model sees, by its config.json."""
    return isinstance(config.get("vision_config"), Mapping)


def vision_of(config: Mapping[str, Any]) -> Vision | None:
    """The encoder of a checkpoint, by its config.json; None where it is none that we know."""
    names = config.get("architectures")
    name = names[0] if isinstance(names, list) and names else None
    return next((vision for vision in VISIONS if name in vision.architectures), None)


def projector_of(source: Path, text: Sequence[Meta], qtype: str | None) -> Projector | None:
    """The projector of a model that sees; None for others, and where its encoder is none that we know.

    Args:
        source: its folder, or a GGUF file, which has none.
        text: the metadata of its text model.
        qtype: a name of QTYPES; None for no projector.
    Raises:
        CheckpointError: the part that sees is incomplete, damaged or hostile.
        QuantizeError: edgeai would not open it.
    """
    if qtype is None or not source.is_dir():
        return None
    checkpoint = FolderCheckpoint.open(source)
    if not has_pictures(checkpoint.config):
        return None
    vision = vision_of(checkpoint.config)
    if vision is None:
        _log.warning(
            "%s: its encoder of pictures is not known here, and the text model is written alone: "
            "llama.cpp's own converter writes its projector too (--converter PATH)",
            source,
        )
        return None
    projector = open_projector(checkpoint, vision, int(_text_value(text, ".embedding_length")), qtype)
    check_loads(projector, text)
    return projector


def open_projector(checkpoint: Checkpoint, vision: Vision, n_embd: int, qtype: str) -> Projector:
    """The projector of a checkpoint. No tensor is read yet.

    Args:
        checkpoint: the folder.
        vision: its encoder.
        n_embd: width of its text model.
        qtype: a name of QTYPES.
    Raises:
        CheckpointError: a file lacks a value or has one that makes no sense, or tensors are missing, left over or of
            another shape than config.json says.
    """
    try:
        parts = vision.parts(checkpoint, n_embd)
        tensors = arranged(pictures_part(checkpoint), parts)
        metadata = vision.metadata(checkpoint, n_embd)
    except CheckpointError as exc:
        raise CheckpointError(f"{exc}, or write the text model alone with --projector none") from exc
    keys = [
        *general_metadata(checkpoint, "clip", tensors, kind="mmproj"),
        u32("general.file_type", FTYPES[qtype]),
        *metadata,
        u32("general.quantization_version", _QUANTIZATION_VERSION),
    ]
    kept = vision.kept_types(qtype)
    return Projector(keys, [_planned(tensor, kept, qtype) for tensor in tensors], qtype)


def check_loads(projector: Projector, text: Sequence[Meta]) -> None:
    """Refuse a projector that would end the process that loads it.

    Args:
        projector: its head alone is looked at.
        text: the metadata of the text model.
    Raises:
        QuantizeError: edgeai would not open it.
    """
    with tempfile.TemporaryDirectory(prefix="quantize-") as folder:
        header = Path(folder) / "mmproj.gguf"
        try:
            infos = [(item.tensor.name, item.tensor.shape, item.qtype) for item in projector.planned]
            write_sparse(header, projector.metadata, infos)
            read_projector(header, _input_width(text), str(_text_value(text, "general.architecture")))
        except ModelError as exc:
            reason = str(exc).replace(f"{header}: ", "").partition(";")[0]
            raise QuantizeError(
                f"the projector would not load in edgeai: {reason}; correct the checkpoint, or write the text model "
                "alone with --projector none"
            ) from exc
        except OSError as exc:
            raise QuantizeError(f"{header}: cannot be written: {exc.strerror}; set TMPDIR to another folder") from exc


def _text_value(text: Sequence[Meta], key: str) -> Any:
    """A value of the text model's metadata; None where it has none. Keys of the architecture begin with a dot."""
    arch = next(str(meta.value) for meta in text if meta.key == "general.architecture")
    name = f"{arch}{key}" if key.startswith(".") else key
    return next((meta.value for meta in text if meta.key == name), None)


def _input_width(text: Sequence[Meta]) -> int:
    """Width of what the text model takes in: some take in several rows of their own width."""
    return int(_text_value(text, ".embedding_length")) * (1 + int(_text_value(text, ".n_deepstack_layers") or 0))


def converted_projector(path: Path, qtype: str) -> Projector:
    """A projector that llama.cpp's converter wrote, as it is.

    Raises:
        ModelFormatError: it is damaged.
    """
    metadata, tensors = read_gguf(path, allow_requantize=True)
    planned = [
        Planned(tensor, tensor.dtype, tensor_bytes(tensor.shape, tensor.dtype), "the converter's") for tensor in tensors
    ]
    return Projector(metadata, planned, qtype)


def _planned(tensor: Tensor, kept: Mapping[str, str], qtype: str) -> Planned:
    """As the official converter decides: vectors, and what is no weight, stay as they are."""
    why = f"the type of {qtype}"
    if len(tensor.shape) < 2 or not (tensor.name.endswith(".weight") or tensor.name in kept):
        qtype, why = "F32", "kept: small, and sensitive"
    elif tensor.name in kept:
        qtype, why = kept[tensor.name], "kept: sensitive"
    elif tensor.shape[-1] % (block_size := tensor_type(qtype).block_size):
        qtype, why = "F16", f"rows of {tensor.shape[-1]} are no multiple of {block_size}, as {qtype} needs"
    return Planned(tensor, qtype, tensor_bytes(tensor.shape, qtype), why)
