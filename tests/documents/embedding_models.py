"""The tiny embedding models of embedding_oracle/, and what transformers makes of texts with them."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

FOLDER = Path(__file__).parent / "embedding_oracle"
ORACLE: dict[str, Any] = json.loads((FOLDER / "oracle.json").read_text(encoding="utf-8"))
TEXTS: list[str] = ORACLE["texts"]
N_CTX: int = ORACLE["n_ctx"]
NAMES = ("bert", "xlmr", "qwen3", "gemma")


def embedding_model(path: Path, name: str) -> Path:
    """Write one of the models."""
    path.write_bytes(gzip.decompress((FOLDER / f"{name}.gguf.gz").read_bytes()))
    return path


def expected(name: str) -> NDArray[np.float64]:
    """The vectors that transformers gives. [n_texts, n_embd]"""
    return np.array(ORACLE["vectors"][name])
