"""What is measured: a GGUF file or an ONNX folder, as it describes itself, checked before native code sees it."""

from __future__ import annotations

import math
import os
from pathlib import Path

from edgeai.gguf_header import GGUFHeader, read_header
from edgeai.onnx_folder import OnnxFolder, read_folder

Subject = GGUFHeader | OnnxFolder
"""A model that can be run. `path` and `n_file_bytes` are there in both."""

_FEW_STEPS = 64


def read_subject(path: str | os.PathLike[str]) -> Subject:
    """Read what a model says of itself.

    Raises:
        ModelError: there is none, it is damaged, or native code would crash on it.
    """
    return read_folder(path) if Path(path).is_dir() else read_header(path)


def file_type(subject: Subject) -> str:
    """Its mix of types: "Q4_K_M", "int4 ONNX"."""
    if isinstance(subject, GGUFHeader):
        return subject.file_type
    return {0: "ONNX", 32: "float32 ONNX"}.get(subject.bits, f"int{subject.bits} ONNX")


def n_params(subject: Subject) -> int:
    """Weights; 0 where it does not say."""
    if isinstance(subject, GGUFHeader):
        return sum(tensor.n_elements for tensor in subject.tensors)
    return subject.n_params


def bits_per_weight(subject: Subject) -> float:
    """Of all weights in the mean; NaN where it does not say how many there are."""
    n_weights = n_params(subject)
    if isinstance(subject, GGUFHeader):
        n_bytes = sum(tensor.n_bytes for tensor in subject.tensors)
    else:
        n_bytes = subject.weights_bytes
    return 8 * n_bytes / n_weights if n_weights else math.nan


def n_ctx_train(subject: Subject) -> int | None:
    """Tokens of the context window that it was trained for; None where it does not say."""
    if isinstance(subject, OnnxFolder):
        return subject.n_ctx_train
    found = subject["context_length"]
    return found if isinstance(found, int) else None


def files(subject: Subject) -> list[Path]:
    """All that is read when it is run, links followed."""
    more = [] if isinstance(subject, GGUFHeader) else list(subject.files)
    return [path.resolve() for path in (subject.path, *more)]


def most_load_steps(subject: Subject) -> int:
    """At most so many signs of life come while it is loaded."""
    return _FEW_STEPS + (2 * len(subject.tensors) if isinstance(subject, GGUFHeader) else 0)
