"""What one `quantize` command does: the checkpoint is found, perhaps converted and calibrated, quantized, measured."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgeai.errors import QuantizeError
from quantize import printing, terminal
from quantize.auto import Wishes, auto
from quantize.calibrate import check_text, imatrix_path, read_text, write_stand_in
from quantize.candidates import Candidate, fitting
from quantize.checkpoint import Checkpoint
from quantize.choices import check_matches
from quantize.encoding import weights_of
from quantize.imatrix import read_imatrix
from quantize.naming import artifact_path
from quantize.opening import opened, projector_beside, projector_target
from quantize.picture import check_picture, draw
from quantize.pipeline import Artifact, Model, Options, artifact_bytes, plan_model, quantize_model
from quantize.plan import Planned
from quantize.preparing import calibrated, check_source, check_writable, float_file
from quantize.recipe import Recipe, check_architecture
from quantize.reference import check_room_beside_reference
from quantize.report import Report, reports
from quantize.writer import check_target

if TYPE_CHECKING:
    from quantize.onnx.rivals import Rival


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One command.

    Attributes:
        source: a Hugging Face folder, or a GGUF file.
        out: the artifact's file, or its folder.
        out_is_folder: it is a folder, also where it does not exist yet.
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
    out_is_folder: bool = False
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
        return self.out if self.out_is_folder or self.out.is_dir() else self.out.parent

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
        job, model = opened(job, stack)
        check_matches(job.options.tensor_types, model.tensors)
        if job.dry_run:
            _print_plan(job, model)
            return
        if job.out_is_folder:
            job.out.mkdir(parents=True, exist_ok=True)
        if job.wishes is not None:
            _choose(job, model)
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
    try:
        _draw(measured, picture)
    finally:  # what was measured is told, whatever becomes of the picture
        printing.print_reports(measured, as_json=as_json)


def _check(job: Job) -> None:
    """Refuse now what would be refused after all the work."""
    check_source(job.source)
    if job.out_is_folder and job.out.exists() and not job.out.is_dir():
        raise QuantizeError(f"{job.out}/ is a file, expected a folder: choose another place with --out")
    if not job.dry_run:
        check_writable(job.folder)
    if job.picture is not None:
        check_picture(job.picture)
    if job.calibrate is not None:
        check_text(job.calibrate)


def _quantize(job: Job, model: Model, stack: ExitStack, started: float) -> None:
    target = _free_target(job, model, job.options.ftype)
    options, float_path = job.options, None
    if job.calibrate is not None or job.with_report:
        _checked_plan(job, model)
        text = None if job.calibrate is None else read_text(job.calibrate)
        if not job.source.is_file():
            n_bytes = artifact_bytes(model, options, will_calibrate=text is not None)
            check_room_beside_reference(model, target, n_bytes, will_calibrate=text is not None)
        float_path = float_file(model, job.source, job.folder, job.options, stack)
        if text is not None:
            options = _calibrated(job, float_path, target, text)
    with projector_beside(job, model, target) as other:
        artifact = _written(model, target, options)
    artifact = replace(artifact, projector=other, seconds=time.perf_counter() - started)
    measured: list[Report] = []
    try:
        if job.with_report:
            measured = _reports([artifact.path], float_path, options.n_threads)
        _draw(measured, job.picture)
    finally:  # the artifact is there, whatever becomes of the rest
        printing.print_artifact(artifact, measured, as_json=job.as_json)
        _tell_of_mxfp4(options.ftype, artifact.planned)


def _choose(job: Job, model: Model) -> None:
    assert job.wishes is not None
    options, wishes = job.options, job.wishes
    if model.projector is not None and wishes.with_onnx:
        terminal.note("this model sees pictures, which ONNX is not written for: GGUF alone is compared")
        wishes = replace(wishes, with_onnx=False)
    if job.calibrate is not None:
        text = read_text(job.calibrate)
        for candidate in _candidates(job, model, wishes):
            check_target(job.target(model, candidate.ftype).absolute(), job.source, force=options.force)
        _rivals(job, model, wishes)
        target = _free_target(job, model, "auto")
        with ExitStack() as stack:  # `auto` makes its own float file, and the disk need not hold two
            options = _calibrated(job, float_file(model, job.source, job.folder, job.options, stack), target, text)
    with (
        projector_beside(job, model, job.target(model, "auto").absolute()) as other,
        terminal.step_progress() as progress,
    ):
        choice = auto(
            job.source,
            job.out,
            options,
            wishes,
            name=job.name,
            on_progress=progress,
        )
    if isinstance(choice.artifact, Artifact):
        choice = replace(choice, artifact=replace(choice.artifact, projector=other))
    try:
        _draw(choice.reports, job.picture)
    finally:
        printing.print_choice(choice, as_json=job.as_json)


def _print_plan(job: Job, model: Model) -> None:
    if job.wishes is None:
        planned = _checked_plan(job, model)
        printing.print_plan(planned, job.options.ftype, model.projector, as_json=job.as_json)
        _tell_of_mxfp4(job.options.ftype, planned)
    else:
        mixes = _candidates(job, model, job.wishes)
        printing.print_candidates([*mixes, *_rivals(job, model, job.wishes)], as_json=job.as_json)


def _checked_plan(job: Job, model: Model) -> list[Planned]:
    """The plan, if the run would follow it: what needs an importance matrix has one, or will have."""
    options = job.options
    planned = plan_model(model, options, will_calibrate=job.calibrate is not None)
    if job.calibrate is None:
        importance = read_imatrix(options.imatrix).importance() if options.imatrix else {}
        weights_of(planned, importance, options.ftype)
    return planned


def _tell_of_mxfp4(ftype: str, planned: Sequence[Planned]) -> None:
    if ftype == "MXFP4_MOE" and not any(item.qtype == "MXFP4" for item in planned):
        terminal.note("MXFP4 is for the experts of a mixture alone, and this model has none: most of it is Q8_0")


def _candidates(job: Job, model: Model, wishes: Wishes) -> list[Candidate]:
    """The mixes that `auto` would build, with an importance matrix where one will be collected."""
    options = job.options
    with tempfile.TemporaryDirectory(prefix="quantize-") as folder:
        if job.calibrate is not None:
            path = imatrix_path(Path(folder) / job.target(model, "auto").name)
            write_stand_in(path, job.calibrate)
            options = replace(options, imatrix=path, imatrix_name=path.name)
        return fitting(model, options, wishes.max_size_bytes)


def _rivals(job: Job, model: Model, wishes: Wishes) -> list[Rival]:
    """What ONNX `auto` would build."""
    if not wishes.with_onnx or model.projector is not None:
        return []
    from quantize.onnx.rivals import rivals

    return list(rivals(model, job.source, job.out, job.options, wishes.max_size_bytes).values())


def _free_target(job: Job, model: Model, ftype: str) -> Path:
    """The artifact's file, where nothing stands that is to stay; nor where its importance matrix would be kept."""
    target = job.target(model, ftype).absolute()
    check_target(target, job.source, force=job.options.force)
    if job.calibrate is not None:
        check_target(imatrix_path(target), job.source, force=job.options.force)
    if model.projector is not None:
        projector_target(job, model.projector, target)
    return target


def _written(model: Model, target: Path, options: Options) -> Artifact:
    with terminal.write_progress() as progress:
        return quantize_model(model, target, options, progress)


def _calibrated(job: Job, float_path: Path, target: Path, text: str) -> Options:
    assert job.calibrate is not None
    path = calibrated(float_path, target, job.calibrate, text, job.options.n_threads)
    return replace(job.options, imatrix=path, imatrix_name=path.name)  # it is handed on: no folder's name in it


def _reports(paths: Sequence[Path], reference: Path | None, n_threads: int | None) -> list[Report]:
    with terminal.step_progress() as progress:
        return reports(paths, reference, n_threads=n_threads, on_progress=progress)


def _draw(measured: Sequence[Report], picture: Path | None) -> None:
    if picture is not None:
        draw(measured, picture)
