"""A command's model and its projector, by way of llama.cpp's converter where they are not known here."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgeai.errors import QuantizeError, UnsupportedArchitectureError
from quantize import terminal
from quantize.checkpoint import Checkpoint
from quantize.pipeline import Model, open_model, projector_of
from quantize.projectors import Projector, check_loads, converted_projector, has_pictures, vision_of
from quantize.writer import work_dir

if TYPE_CHECKING:
    from quantize.job import Job


def opened(job: Job, stack: ExitStack) -> tuple[Job, Model]:
    """The model, and the job on it: what was converted is its source, a file until the stack is closed.

    Raises:
        EdgeAIError: see `quantize.pipeline.open_model` and `quantize.converter`.
    """
    source = job.source
    try:
        model = open_model(source, allow_requantize=job.options.allow_requantize)
    except UnsupportedArchitectureError:
        if job.converter is None:
            raise
        source = _converted(job, stack, None)
        model = open_model(source)
    return replace(job, source=source), replace(model, projector=_projector(job, model, stack))


def _projector(job: Job, model: Model, stack: ExitStack) -> Projector | None:
    qtype = job.options.projector
    if qtype is not None and job.converter is not None and job.source.is_dir():
        config = Checkpoint.open(job.source).config
        if has_pictures(config) and vision_of(config) is None:
            projector = converted_projector(_converted(job, stack, qtype), qtype)
            try:
                check_loads(projector, model.metadata)
            except QuantizeError as exc:  # other programs may know its kind
                terminal.note(str(exc))
            return projector
    return projector_of(job.source, model, qtype)


def _converted(job: Job, stack: ExitStack, projector: str | None) -> Path:
    """The text model as float32, or the projector as the type that is named."""
    from quantize.converter import float_gguf, projector_gguf

    assert job.converter is not None
    folder = stack.enter_context(work_dir(job.folder))
    with terminal.line_progress("llama.cpp's converter") as on_line:
        if projector is None:
            path = folder / "model-F32.gguf"
            return float_gguf(job.source, job.converter, path, python=job.converter_python, on_line=on_line)
        path = folder / f"mmproj-{projector}.gguf"
        return projector_gguf(job.source, job.converter, path, projector, python=job.converter_python, on_line=on_line)
