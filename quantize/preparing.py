"""What comes before an artifact of any format: checks, a float file of the model that runs, an importance matrix."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path

from edgeai.errors import QuantizeError
from quantize import terminal
from quantize.calibrate import calibrate
from quantize.pipeline import Model, Options
from quantize.reference import reference_file
from quantize.writer import work_dir


def check_source(source: Path) -> None:
    """Refuse what is neither a folder nor a GGUF file.

    Raises:
        QuantizeError: so it is, or nothing is there.
    """
    if not source.is_dir() and not (source.exists() and source.suffix.lower() == ".gguf"):
        problem = "is something else" if source.exists() else "no such file or folder"
        raise QuantizeError(
            f"{source}: {problem}, expected a Hugging Face folder (config.json, *.safetensors, tokenizer files) "
            "or a .gguf file; check the path"
        )


def check_writable(folder: Path) -> None:
    """Refuse a folder, which need not exist yet, that this user cannot write.

    Raises:
        QuantizeError: so it is.
    """
    there = next(each for each in (folder.absolute(), *folder.absolute().parents) if each.exists())
    if not os.access(there, os.W_OK):
        raise QuantizeError(f"{there}: the folder cannot be written by you: choose another place with --out")


def float_file(model: Model, source: Path, folder: Path, options: Options, stack: ExitStack) -> Path:
    """A file of the model as it was, to run: the source itself where it is a GGUF, else one made for a while.

    Args:
        model: all of it.
        source: where it comes from.
        folder: where the file is made.
        options: threads, and what is let through; nothing else counts.
        stack: when it is closed, the file is gone.
    Raises:
        QuantizeError: as `quantize.pipeline.quantize_model`.
    """
    if source.is_file():
        return source
    path = stack.enter_context(work_dir(folder)) / "reference.gguf"
    with terminal.write_progress() as progress:
        return reference_file(model, path, options, progress).path


def calibrated(float_path: Path, target: Path, name: str, text: str, n_threads: int | None) -> Path:
    """Collect an importance matrix, with a bar, and keep it beside the artifact; see `quantize.calibrate.calibrate`."""
    with terminal.step_progress() as progress:
        progress("calibrating", 0, 0)  # the model is loaded first
        return calibrate(
            float_path,
            target,
            name,
            text,
            n_threads=n_threads,
            on_progress=lambda n_done, n_total: progress("calibrating", n_done, n_total),
        )
