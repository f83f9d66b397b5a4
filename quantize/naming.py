"""Names of artifacts, by the GGUF naming convention: `SmolLM2-135M-Instruct-Q4_K_M.gguf`, `…-int4-onnx/`.

Source: docs/gguf.md of ggml-org/ggml; `gguf.naming_convention`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from gguf import naming_convention

from quantize.base import Meta

_KEYS = ("name", "basename", "finetune", "version", "size_label")
_UNFIT = re.compile(r"[^\w.+()-]+", re.ASCII)


def artifact_path(
    metadata: Sequence[Meta], source: Path, out: Path | None, ftype: str, *, name: str | None = None
) -> Path:
    """Where an artifact goes: where `out` says, a file or a folder; else into or beside its source.

    Args:
        metadata: the model's.
        source: its folder or file.
        out: what was asked for.
        ftype: its mix.
        name: for the model, instead of what its metadata says.
    """
    if out is not None and not out.is_dir():
        return out
    folder = out if out is not None else source if source.is_dir() else source.parent
    return folder / (f"{name}-{ftype}.gguf" if name else artifact_name(metadata, source, ftype))


def projector_path(metadata: Sequence[Meta], artifact: Path, qtype: str, *, name: str | None = None) -> Path:
    """Where an artifact's projector goes: beside it, by the name by which it is found there.

    Args:
        metadata: the projector's.
        artifact: the file of the text model.
        qtype: the type of its weights.
        name: for the model, instead of what its metadata says.
    """
    unsized = [meta for meta in metadata if meta.key != "general.size_label"]  # the whole model's is another
    return artifact.with_name(
        f"mmproj-{name}-{qtype}.gguf" if name else f"mmproj-{artifact_name(unsized, artifact, qtype)}"
    )


def artifact_name(metadata: Sequence[Meta], source: Path, ftype: str) -> str:
    """The name of an artifact's file; what the metadata says is hostile, and no folder."""
    return f"{_named(metadata, source, ftype) or f'model-{ftype}'}.gguf"


def folder_name(metadata: Sequence[Meta], source: Path, bits: int) -> str:
    """The name of an ONNX artifact's folder; likewise."""
    kind = "float32" if bits == 32 else f"int{bits}"
    return f"{_named(metadata, source, None) or 'model'}-{kind}-onnx"


def _named(metadata: Sequence[Meta], source: Path, ftype: str | None) -> str:
    found = {meta.key: str(meta.value) for meta in metadata}
    values = {key: found.get(f"general.{key}") for key in _KEYS}
    name = naming_convention(
        values["name"] or source.resolve().stem,
        values["basename"],
        values["finetune"],
        values["version"],
        values["size_label"],
        ftype,
    )
    return _UNFIT.sub("-", name).strip("-.")[:200]
