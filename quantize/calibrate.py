"""What `--calibrate` does: a text is read by the model, and its importance matrix is kept beside the artifact."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgeai.errors import QuantizeError
from quantize.collect import OnProgress, collect
from quantize.evaluate import N_CTX
from quantize.imatrix import Entry, Imatrix, write_imatrix
from quantize.texts import calibration_text

_N_CHUNKS = 40  # windows of N_CTX tokens
_LETTERS_OF_TOKEN = 4  # in English


def check_text(name: str) -> None:
    """Refuse what is no text, before it is needed.

    Args:
        name: a file's; "" for the bundled text.
    Raises:
        QuantizeError: there is no such file.
    """
    if name and (Path(name).is_dir() or not Path(name).exists()):
        raise QuantizeError(f"{name}: no such file, expected a text to calibrate on; check --calibrate")


def read_text(name: str) -> str:
    """The text.

    Raises:
        QuantizeError: it is shorter than two windows, whatever the tokens may be.
    """
    if not name:
        return calibration_text()
    text = Path(name).read_text(encoding="utf-8", errors="replace")
    n_bytes, n_tokens = len(text.encode()), 2 * N_CTX
    if n_bytes < n_tokens:  # a token has a byte at least
        raise QuantizeError(
            f"{name}: a text of {n_bytes:,} bytes is too short, expected at least {n_tokens:,} tokens, some "
            f"{_LETTERS_OF_TOKEN * n_tokens:,} letters: take a longer one, or the bundled one with --calibrate alone"
        )
    return text


def imatrix_path(target: Path) -> Path:
    """Where the importance matrix of an artifact is kept."""
    return target.with_name(f"{target.stem}.imatrix.gguf")


def calibrate(
    float_path: Path, target: Path, name: str, text: str, *, n_threads: int | None, on_progress: OnProgress
) -> Path:
    """Collect an importance matrix and keep it beside the artifact.

    Args:
        float_path: a file of the model to run.
        target: the artifact's file, which need not exist.
        name: the text's.
        text: as `read_text` gives it.
        n_threads: None takes the free cores.
        on_progress: told after every window.
    Returns:
        The matrix's file.
    Raises:
        ModelError, QuantizeError, GenerationError: as `quantize.collect.collect` and `write_imatrix`.
    """
    imatrix = collect(
        float_path, text, dataset=_dataset(name), n_chunks=_N_CHUNKS, n_threads=n_threads, on_progress=on_progress
    )
    write_imatrix(imatrix, imatrix_path(target))
    return imatrix_path(target)


def write_stand_in(path: Path, name: str) -> None:
    """An importance matrix for a plan, to which it only counts that there is one."""
    entry = Entry(np.ones(1, dtype=np.float32), np.ones(1, dtype=np.int64))
    write_imatrix(Imatrix({"output.weight": entry}, (_dataset(name),), _N_CHUNKS, N_CTX), path)


def _dataset(name: str) -> str:
    return Path(name).name or "edgeai's own"
