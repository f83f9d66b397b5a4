"""What one `quantize --format onnx` command does: the checkpoint is read, perhaps calibrated, quantized, measured."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import click

from edgeai.errors import UnsupportedBitsError
from quantize import terminal
from quantize.calibrate import check_text, imatrix_path, read_text
from quantize.checkpoint import Checkpoint
from quantize.onnx import printing
from quantize.onnx.folder import artifact_bytes, check_folder, place, write_folder
from quantize.onnx.options import Bits, OnnxOptions
from quantize.onnx.plan import plan_graph
from quantize.picture import check_picture, draw
from quantize.pipeline import Model, Options, open_model
from quantize.preparing import calibrated, check_source, check_writable, float_file
from quantize.projectors import has_pictures
from quantize.reference import check_room_beside_reference
from quantize.report import Report, reports
from quantize.writer import check_target

_OF_GGUF = (
    *("ftype", "tensor_types", "output_tensor_type", "token_embedding_type", "projector", "recipe", "converter"),
    *("converter_python", "allow_nan", "auto", "prefer", "max_size", "max_kld", "layers"),
)
_OF_BLOCKS = ("block_size", "asymmetric", "rtn", "imatrix", "calibrate")


@dataclass(frozen=True, slots=True, kw_only=True)
class OnnxJob:
    """One command.

    Attributes:
        source: a Hugging Face folder, or a GGUF file.
        out: the artifact's folder, or one that it goes into.
        options: how to quantize.
        calibrate: the name of a text to collect an importance matrix on; "" for the bundled one, None for none.
        allow_requantize: take a GGUF that is quantized already, which loses more.
        dry_run: print the plan and end.
        with_report: measure the artifact.
        picture: a file for a drawing of it.
        as_json: for programs.
    """

    source: Path
    out: Path
    options: OnnxOptions
    calibrate: str | None = None
    allow_requantize: bool = False
    dry_run: bool = False
    with_report: bool = False
    picture: Path | None = None
    as_json: bool = False


def job_of(source: Path | None, flags: Mapping[str, Any]) -> OnnxJob:
    """The job that flags ask for.

    Raises:
        UsageError: flags do not go together.
        QuantizeError: there are no such bits.
    """
    if source is None:
        raise click.UsageError("Missing argument 'SOURCE': a Hugging Face folder, or a GGUF file.")
    _check_flags(flags)
    bits: Bits = 4 if flags["bits"] is None else flags["bits"]
    if bits not in get_args(Bits):
        raise UnsupportedBitsError(f"--bits {bits}: expected 4 or 8, or 32 for the float graph")
    out, _ = flags["out"] or (source if source.is_dir() else source.parent, True)
    options = OnnxOptions(
        bits=bits,
        block_size=int(flags["block_size"] or 32),
        symmetric=not flags["asymmetric"],
        search=not flags["rtn"],
        imatrix=flags["imatrix"],
        n_threads=flags["threads"],
        force=flags["force"],
    )
    taken = ("calibrate", "allow_requantize", "dry_run", "with_report", "picture", "as_json")
    return OnnxJob(source=source, out=out, options=options, **{name: flags[name] for name in taken})


def _check_flags(flags: Mapping[str, Any]) -> None:
    """Refuse flags that do not go together."""
    if flags["auto"]:
        raise click.UsageError("--auto compares ONNX with GGUF: give --format any.")
    for name in _OF_GGUF:
        if flags[name]:
            raise click.UsageError(f"{flag_of(name)} is for --format gguf: leave it out, or give that format.")
    for name in _OF_BLOCKS:
        if flags["bits"] == 32 and (flags[name] or flags[name] == ""):
            raise click.UsageError(f"{flag_of(name)} is for 4 and 8 bits: leave it out, or choose other --bits.")
    if flags["imatrix"] is not None and flags["calibrate"] is not None:
        raise click.UsageError("Give --imatrix or --calibrate, not both.")
    if flags["rtn"] and (flags["imatrix"] is not None or flags["calibrate"] is not None):
        raise click.UsageError("--rtn looks for no scales, for which an importance matrix is: leave one of them out.")
    if flags["picture"] is not None and not flags["with_report"]:
        raise click.UsageError("--picture shows what was measured: give --report too.")


def flag_of(name: str) -> str:
    """A flag as it is typed, by the name of its parameter."""
    return "--" + {"tensor_types": "tensor-type"}.get(name, name.replace("_", "-"))


def run(job: OnnxJob) -> None:
    """Do it, and print what came out.

    Raises:
        EdgeAIError: see `quantize.pipeline.open_model`, `quantize.onnx.folder.write_folder` and `quantize.report`.
    """
    started = time.perf_counter()
    _check(job)
    model = open_model(job.source, allow_requantize=job.allow_requantize)
    planned = plan_graph(model, job.options)
    if job.dry_run:
        printing.print_plan(planned, job.options, as_json=job.as_json)
        return
    target = _target(job, model)
    if job.source.is_dir() and has_pictures(Checkpoint.open(job.source).config):
        terminal.note("this model sees pictures, and ONNX is written of its text part alone: --format gguf keeps both")
    with ExitStack() as stack:
        options, float_path = _prepared(job, model, target, stack)
        with terminal.write_progress() as progress:
            artifact = write_folder(model, job.source, target, options, progress)
        artifact = replace(artifact, seconds=time.perf_counter() - started)
        measured: list[Report] = []
        try:
            if job.with_report:
                with terminal.step_progress() as step:
                    measured = reports([target], float_path, n_threads=options.n_threads, on_progress=step)
            if job.picture is not None:
                draw(measured, job.picture)
        finally:  # the artifact is there, whatever becomes of the rest
            printing.print_artifact(artifact, measured, as_json=job.as_json)


def _check(job: OnnxJob) -> None:
    """Refuse now what would be refused after all the work."""
    check_source(job.source)
    if not job.dry_run:
        check_writable(job.out.parent)
    if job.picture is not None:
        check_picture(job.picture)
    if job.calibrate is not None:
        check_text(job.calibrate)


def _target(job: OnnxJob, model: Model) -> Path:
    """The artifact's folder, where nothing stands that is to stay; nor where its importance matrix would be kept."""
    target = place(model, job.source, job.out, job.options.bits)
    check_folder(target, job.source, force=job.options.force)
    if job.calibrate is not None:
        check_target(imatrix_path(_stem(target)), job.source, force=job.options.force)
    return target


def _prepared(job: OnnxJob, model: Model, target: Path, stack: ExitStack) -> tuple[OnnxOptions, Path | None]:
    """The options, with an importance matrix where one is collected, and a float file of the model, where one is
    needed, until the stack is closed.
    """
    if job.calibrate is None and not job.with_report:
        return job.options, None
    text = None if job.calibrate is None else read_text(job.calibrate)
    n_threads = job.options.n_threads
    if not job.source.is_file():
        n_bytes = artifact_bytes(plan_graph(model, job.options))
        check_room_beside_reference(model, target, n_bytes, will_calibrate=text is not None)
    float_path = float_file(model, job.source, target.parent, Options(n_threads=n_threads), stack)
    if text is None:
        return job.options, float_path
    assert job.calibrate is not None
    path = calibrated(float_path, _stem(target), job.calibrate, text, n_threads)
    return replace(job.options, imatrix=path), float_path


def _stem(target: Path) -> Path:
    """The folder's name as that of a file, for what is named after it and put beside it."""
    return target.with_name(f"{target.name}.onnx")
