"""Checkpoint in, artifact out: a Hugging Face folder becomes a 4- or 8-bit GGUF file.

from quantize import Options, quantize

artifact = quantize("SmolLM2-135M-Instruct", "smollm2-Q4_K_M.gguf", Options(ftype="Q4_K_M"))
"""

from __future__ import annotations

from quantize.pipeline import Artifact, Options, Progress, quantize

__all__ = ["Artifact", "Options", "Progress", "quantize"]
