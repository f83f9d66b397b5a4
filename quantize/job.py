"""What one `quantize` command does: the checkpoint is found, perhaps converted and calibrated, quantized, measured."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from edgeai.errors import QuantizeError, UnsupportedArchitectureError
from quantize import printing, terminal
from quantize.auto import Wishes, auto
from quantize.candidates import fitting
from quantize.checkpoint import Checkpoint
from quantize.naming import artifact_path
from quantize.picture import check_picture, draw
from quantize.pipeline import Artifact, Model, Options, check_target, open_model, plan_model, quantize_model
from quantize.recipe import Recipe, check_architecture
from quantize.report import Report, reports
from quantize.writer import work_dir

_CALIBRATION_CHUNKS = 40  # windows of 512 tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One command.

    Attributes:
        source: a Hugging Face folder, or a GGUF file.
        out: the artifact's file, or its folder.
        options: how to quantize.
        recipe: what it follows.
        wishes: what --auto is to look for; None without it.
        calibrate: the name of a text to collect an importance matrix on; "" for the bundled one, None for none.
        converter: llama.cpp's converter, for what is not known here.
        converter_python: the interpreter for it.
        dry_run: print the plan and end.
        with_report: measure the artifact.
        picture: a file for a drawing of it.
        as_json: for programs.
    """

    source: Path
    out: Path
    options: Options
    recipe: Recipe | None = None
    wishes: Wishes | None = None
    calibrate: str | None = None
    converter: Path | None = None
    converter_python: Path | None = None
    dry_run: bool = False
    with_report: bool = False
    picture: Path | None = None
    as_json: bool = False

    @property
    def folder(self) -> Path:
        """The artifact's folder."""
        return self.out if self.out.is_dir() else self.out.parent

    @property
    def name(self) -> str | None:
        """The artifact's, where a recipe says."""
        return self.recipe.name if self.recipe else None

    def target(self, model: Model, ftype: str) -> Path:
        """The artifact's file."""
        return artifact_path(model.metadata, self.source, self.out, ftype, name=self.name)


def run(job: Job) -> None:
    """Do it, and print what came out.

    Raises:
        EdgeAIError: see `quantize.quantize`, `quantize.auto`, `quantize.report` and `quantize.converter`.
    """
    started = time.perf_counter()
    _check(job)
    with ExitStack() as stack:
        if job.recipe is not None and job.source.is_dir():
            check_architecture(job.recipe, Checkpoint.open(job.source).config)
        job, model = _opened(job, stack)
        if job.dry_run:
            _print_plan(job, model)
        elif job.wishes is not None:
            _choose(job, model, stack)
        else:
            _quantize(job, model, stack, started)


def measure(
    artifacts: Sequence[Path],
    reference: Path | None,
    *,
    n_threads: int | None,
    picture: Path | None = None,
    as_json: bool = False,
) -> None:
    """Measure artifacts and print what came out.

    Raises:
        EdgeAIError: see `quantize.report`.
    """
    if picture is not None:
        check_picture(picture)
    measured = _reports(artifacts, reference, n_threads)
    _draw(measured, picture)
    if as_json:
        terminal.print_json([report.as_dict() for report in measured])
    else:
        printing.print_reports(measured)


def _check(job: Job) -> None:
    """Refuse now what would be refused after all the work."""
    if job.picture is not None:
        check_picture(job.picture)
    if job.calibrate and (Path(job.calibrate).is_dir() or not Path(job.calibrate).exists()):
        raise QuantizeError(f"{job.calibrate}: no such file, expected a text to calibrate on; check --calibrate")


def _opened(job: Job, stack: ExitStack) -> tuple[Job, Model]:
    """The model, by way of llama.cpp's converter where its architecture is not known here and there is one."""
    try:
        return job, open_model(job.source, allow_requantize=job.options.allow_requantize)
    except UnsupportedArchitectureError:
        if job.converter is None:
            raise
    from quantize.converter import float_gguf

    path = stack.enter_context(work_dir(job.folder)) / "model-F32.gguf"
    with terminal.line_progress("llama.cpp's converter") as on_line:
        float_gguf(job.source, job.converter, path, python=job.converter_python, on_line=on_line)
    return replace(job, source=path), open_model(path)


def _quantize(job: Job, model: Model, stack: ExitStack, started: float) -> None:
    target = _free_target(job, model, job.options.ftype)
    float_path = None
    if job.calibrate is not None or job.with_report:
        float_path = _float_file(job, model, stack)
    options = job.options
    if job.calibrate is not None:
        assert float_path is not None
        options = _calibrated(float_path, target, job.calibrate, options)
    artifact = replace(_written(model, target, options), seconds=time.perf_counter() - started)
    measured = _reports([artifact.path], float_path, options.n_threads) if job.with_report else []
    _draw(measured, job.picture)
    printing.print_artifact(artifact, measured, as_json=job.as_json)


def _choose(job: Job, model: Model, stack: ExitStack) -> None:
    assert job.wishes is not None
    options = job.options
    if job.calibrate is not None:
        target = _free_target(job, model, "auto")
        options = _calibrated(_float_file(job, model, stack), target, job.calibrate, options)
    with terminal.step_progress() as progress:
        choice = auto(
            job.source,
            job.out,
            options,
            job.wishes,
            name=job.name,
            on_progress=progress,
        )
    _draw(choice.reports, job.picture)
    printing.print_choice(choice, as_json=job.as_json)


def _print_plan(job: Job, model: Model) -> None:
    if job.wishes is None:
        planned = plan_model(model, job.options, will_calibrate=job.calibrate is not None)
        printing.print_plan(planned, job.options.ftype, as_json=job.as_json)
    else:
        printing.print_candidates(fitting(model, job.options, job.wishes.max_size_bytes), as_json=job.as_json)


def _free_target(job: Job, model: Model, ftype: str) -> Path:
    """The artifact's file, where nothing stands that is to stay; nor where its importance matrix would be kept."""
    target = job.target(model, ftype).absolute()
    check_target(target, job.source, force=job.options.force)
    if job.calibrate is not None:
        check_target(_imatrix_path(target), job.source, force=job.options.force)
    return target


def _imatrix_path(target: Path) -> Path:
    return target.with_name(f"{target.stem}.imatrix.gguf")


def _written(model: Model, target: Path, options: Options) -> Artifact:
    with terminal.write_progress() as progress:
        return quantize_model(model, target, options, progress)


def _float_file(job: Job, model: Model, stack: ExitStack) -> Path:
    """A file of the model as it was, to run: the source itself where it is a GGUF, else one in F16 for a while."""
    if job.source.is_file():
        return job.source
    path = stack.enter_context(work_dir(job.folder)) / "model-F16.gguf"
    options = Options(ftype="F16", n_threads=job.options.n_threads, allow_nan=job.options.allow_nan)
    return _written(model, path, options).path


def _calibrated(float_path: Path, target: Path, text_name: str, options: Options) -> Options:
    """Collect an importance matrix, keep it beside the artifact, and take it."""
    from quantize.collect import collect
    from quantize.imatrix import write_imatrix
    from quantize.texts import calibration_text

    text = Path(text_name).read_text(encoding="utf-8", errors="replace") if text_name else calibration_text()
    with terminal.step_progress() as progress:
        imatrix = collect(
            float_path,
            text,
            dataset=Path(text_name).name or "edgeai's own",
            n_chunks=_CALIBRATION_CHUNKS,
            n_threads=options.n_threads,
            on_progress=lambda n_done, n_total: progress("calibrating", n_done, n_total),
        )
    path = _imatrix_path(target)
    write_imatrix(imatrix, path)
    return replace(options, imatrix=path, imatrix_name=path.name)  # an artifact is handed on: no folder's name in it


def _reports(paths: Sequence[Path], reference: Path | None, n_threads: int | None) -> list[Report]:
    with terminal.step_progress() as progress:
        return reports(paths, reference, n_threads=n_threads, on_progress=progress)


def _draw(measured: Sequence[Report], picture: Path | None) -> None:
    if picture is not None:
        draw(measured, picture)
