"""Checkpoint in, artifact out: a Hugging Face folder becomes a 4- or 8-bit GGUF file.

from quantize import Options, quantize

artifact = quantize("SmolLM2-135M-Instruct", "smollm2-Q4_K_M.gguf", Options(ftype="Q4_K_M"))
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from quantize.pipeline import Artifact, Options, Progress, quantize

__all__ = ["Artifact", "Options", "Progress", "quantize"]


def __getattr__(name: str) -> Any:
    """Read the library when it is asked for: the command is to answer Ctrl-C before all of it is read."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from quantize import pipeline

    return getattr(pipeline, name)
