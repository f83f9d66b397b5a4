"""A command's model and its projector, by way of llama.cpp's converter where they are not known here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgeai.errors import QuantizeError, UnsupportedArchitectureError
from quantize import terminal
from quantize.checkpoint import Checkpoint
from quantize.naming import projector_path
from quantize.pipeline import Artifact, Model, open_model, written_projector
from quantize.projectors import Projector, check_loads, converted_projector, has_pictures, projector_of, vision_of
from quantize.writer import check_target, work_dir

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


def projector_target(job: Job, projector: Projector, target: Path) -> Path:
    """The projector's file beside the artifact's, where nothing stands that is to stay.

    Raises:
        QuantizeError: something stands there.
    """
    path = projector_path(projector.metadata, target, projector.qtype, name=job.name)
    try:
        check_target(path, job.source, force=job.options.force)
    except QuantizeError as exc:
        raise QuantizeError(f"{exc}, or keep the projector that is there with --projector none") from exc
    return path


@contextmanager
def projector_beside(job: Job, model: Model, target: Path) -> Iterator[Artifact | None]:
    """The projector of what the block makes, if it has one; see `quantize.pipeline.written_projector`."""
    if model.projector is None:
        yield None
        return
    path = projector_target(job, model.projector, target)
    with ExitStack() as stack:
        with terminal.write_progress() as progress:
            made = stack.enter_context(written_projector(model.projector, path, job.options, progress))
        yield made


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
    return projector_of(job.source, model.metadata, qtype)


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
