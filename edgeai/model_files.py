"""Which file of a folder is its model, and which are something else."""

from __future__ import annotations

import hashlib
from pathlib import Path

from edgeai.errors import ModelNotFoundError
from edgeai.files import Progress, no_progress, sha256
from edgeai.onnx_folder import graph_in, is_graph, is_onnx_folder


def is_projector(path: Path) -> bool:
    """Whether a GGUF file holds a projector, not a language model: by its name, as llama.cpp's own tools do."""
    return path.name.lower().startswith("mmproj")


def _is_imatrix(path: Path) -> bool:
    """Whether it is what `quantize --calibrate` puts beside its artifact."""
    return path.name.lower().endswith(".imatrix.gguf")


def model_in(folder: Path) -> tuple[Path, Path | None]:
    """The one model in a folder: its graph, or its .gguf file and the projector if there is one.

    Raises:
        ModelNotFoundError: there is no model in it, or more than one.
    """
    return (graph_in(folder), None) if is_onnx_folder(folder) else gguf_in(folder)


def gguf_in(folder: Path) -> tuple[Path, Path | None]:
    """The one model in a folder, and its projector if there is one.

    Raises:
        ModelNotFoundError: there is no model in it, or more than one.
    """
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() == ".gguf" and not _is_imatrix(path))
    models = [path for path in files if not is_projector(path)]
    projectors = [path for path in files if is_projector(path)]
    if len(models) != 1:
        found = ", ".join(path.name for path in models[:4]) or "none"
        raise ModelNotFoundError(
            f"{folder}: expected one .gguf file in the folder, or model.onnx with genai_config.json, found {found}: "
            "give the file itself"
        )
    return models[0], projectors[0] if len(projectors) == 1 else None


def projector_beside(path: Path) -> Path | None:
    """The projector in a model's folder, if there is exactly one."""
    found = [other for other in path.absolute().parent.glob("*.[gG][gG][uU][fF]") if is_projector(other)]
    return found[0] if len(found) == 1 else None


def model_digest(path: Path, on_progress: Progress = no_progress) -> str:
    """The SHA-256 of a model's file, or of its folder's files and their names; "" where there is none.

    A graph stands for its folder: the weights lie beside it.
    """
    if is_graph(path):
        path = path.parent
    if path.is_file():
        return sha256(path, on_progress)
    whole = hashlib.sha256()
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else []
    for file in files:
        whole.update(f"{file.relative_to(path).as_posix()}\0{sha256(file, on_progress)}\n".encode())
    return whole.hexdigest() if files else ""
