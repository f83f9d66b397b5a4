"""How an ONNX artifact is made."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Bits = Literal[4, 8, 32]
"""Of a weight; 32 are float32 as they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OnnxOptions:
    """How to quantize.

    Attributes:
        bits: of each weight of a matrix.
        block_size: weights of a row that share a scale, one of `quantize.onnx.blocks.BLOCK_SIZES`.
        symmetric: the zero point of all blocks is the middle; else each has its own.
        search: look for the scales with the least squared error; else round to nearest.
        imatrix: a file with an importance matrix, for which scales are looked for.
        n_threads: threads; None takes the cores.
        force: replace an artifact that exists.
    """

    bits: Bits = 4
    block_size: int = 32
    symmetric: bool = True
    search: bool = True
    imatrix: Path | None = None
    n_threads: int | None = None
    force: bool = False
