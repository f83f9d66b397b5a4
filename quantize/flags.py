"""What the flags of the `quantize` command ask for: one job."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from quantize.auto import Wishes
from quantize.ftypes import check_ftype, ftype_of_bits
from quantize.job import Job
from quantize.pipeline import Options
from quantize.recipe import Recipe, find_checkpoint, read_recipe


def job_of(source: Path | None, flags: dict[str, Any]) -> Job:
    """The job, from the flags and the recipe that they name.

    Raises:
        UsageError: flags do not go together.
        QuantizeError: no such mix, or the recipe will not do.
    """
    _check_flags(source, flags)
    recipe = read_recipe(flags["recipe"]) if flags["recipe"] else None
    out, out_is_folder = flags["out"] or (None, False)
    if source is None:
        assert recipe is not None
        source, out = find_checkpoint(recipe), out or Path()
    calibrate = flags["calibrate"]
    if calibrate is None and flags["imatrix"] is None and recipe is not None and recipe.calibrate:
        calibrate = str(recipe.calibrate) if isinstance(recipe.calibrate, Path) else ""
    return Job(
        source=source,
        out=out or (source if source.is_dir() else source.parent),
        out_is_folder=out_is_folder,
        options=_options(flags, recipe),
        recipe=recipe,
        wishes=_wishes(flags),
        calibrate=calibrate,
        converter=flags["converter"],
        converter_python=flags["converter_python"],
        dry_run=flags["dry_run"],
        with_report=flags["with_report"],
        picture=flags["picture"],
        as_json=flags["as_json"],
    )


def _check_flags(source: Path | None, flags: dict[str, Any]) -> None:
    """Refuse flags that do not go together."""
    for one, other in (("bits", "ftype"), ("imatrix", "calibrate"), ("auto", "bits"), ("auto", "ftype")):
        if flags[one] is not None and flags[one] is not False and flags[other] is not None:
            raise click.UsageError(f"Give --{one} or --{other}, not both.")
    if flags["form"] == "any" and not flags["auto"]:
        raise click.UsageError("--format any is for --auto, which compares them: give that too.")
    for name in ("block_size", "asymmetric", "rtn"):
        if flags[name]:
            raise click.UsageError(f"--{name.replace('_', '-')} is for --format onnx: give that too.")
    for name in ("prefer", "max_size", "max_kld", "layers"):
        if flags[name] is not None and not flags["auto"]:
            raise click.UsageError(f"--{name.replace('_', '-')} is for --auto: give that too.")
    if flags["picture"] is not None and not (flags["auto"] or flags["with_report"]):
        raise click.UsageError("--picture shows what was measured: give --report or --auto too.")
    if flags["projector"] is not None and source is not None and source.suffix.lower() == ".gguf":
        raise click.UsageError("--projector is for a Hugging Face folder: a GGUF file has the text model alone.")
    if source is None and flags["recipe"] is None:
        raise click.UsageError("Missing argument 'SOURCE': a Hugging Face folder, or a GGUF file.")


def _options(flags: dict[str, Any], recipe: Recipe | None) -> Options:
    if flags["ftype"] is not None:
        ftype = check_ftype(flags["ftype"])
    elif flags["bits"] is not None or recipe is None:
        ftype = ftype_of_bits(4 if flags["bits"] is None else flags["bits"])
    else:
        ftype = recipe.ftype
    return Options(
        ftype=ftype,
        tensor_types=flags["tensor_types"] + (recipe.tensor_types if recipe else ()),
        output_type=flags["output_tensor_type"] or (recipe.output_type if recipe else None),
        token_embd_type=flags["token_embedding_type"] or (recipe.token_embd_type if recipe else None),
        imatrix=flags["imatrix"],
        projector=_projector(flags["projector"] or (recipe.projector if recipe else None)),
        n_threads=flags["threads"],
        allow_requantize=flags["allow_requantize"],
        allow_nan=flags["allow_nan"],
        force=flags["force"],
    )


def _projector(name: str | None) -> str | None:
    """The type of the projector's weights; None for no projector."""
    return None if name == "none" else (name or "f16").upper()


def _wishes(flags: dict[str, Any]) -> Wishes | None:
    if not flags["auto"]:
        return None
    return Wishes(
        prefer=flags["prefer"] or "balance",
        max_size_bytes=flags["max_size"],
        max_kld=flags["max_kld"],
        n_layers=flags["layers"],
        with_onnx=flags["form"] == "any",
    )
