"""The `quantize` command: arguments, one call of the library, an exit code."""

from __future__ import annotations

import contextlib
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgeai import EdgeAIError, QuantizeError, __version__
from quantize.ftypes import FTYPES, check_ftype, ftype_of_bits
from quantize.terminal import console, error, print_json, size_text, tensor_table, window_progress, write_progress

if TYPE_CHECKING:
    from quantize.pipeline import Artifact, Model, Options

_CALIBRATION_CHUNKS = 40  # windows of 512 tokens


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.argument("source", type=click.Path(path_type=Path))
@click.option("--bits", type=int, help="4 (Q4_K_M) or 8 (Q8_0).  [default: 4]")
@click.option("--ftype", metavar="NAME", help=f"A mix of types: {', '.join(FTYPES)}.")
@click.option("-o", "--out", type=click.Path(path_type=Path), help="The artifact's file, or a folder for it.")
@click.option("--imatrix", type=click.Path(path_type=Path), help="A file with an importance matrix (GGUF or .dat).")
@click.option(
    "--calibrate",
    is_flag=False,
    flag_value="",
    metavar="[TEXT]",
    help="Let the model read a text first, and spare what matters for it; by default a bundled one.",
)
@click.option("--tensor-type", "tensor_types", multiple=True, metavar="PATTERN=TYPE", help="May be repeated.")
@click.option("--output-tensor-type", metavar="TYPE", help="The type of output.weight.")
@click.option("--token-embedding-type", metavar="TYPE", help="The type of token_embd.weight.")
@click.option("--dry-run", is_flag=True, help="Print the plan: each tensor's type, and why; write nothing.")
@click.option("--report", "with_report", is_flag=True, help="Measure what was lost, and how fast it runs here.")
@click.option("--threads", type=click.IntRange(1), help="Threads; by default the cores.")
@click.option("--allow-requantize", is_flag=True, help="Take a GGUF that is quantized already.")
@click.option("--allow-nan", is_flag=True, help="Let NaN and infinity through.")
@click.option("--force", is_flag=True, help="Replace an artifact that exists.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.version_option(__version__, prog_name="quantize", message="%(prog)s %(version)s")
def command(source: Path, **flags: Any) -> int:
    """Turn a Hugging Face folder (or a GGUF of a float type) into a small GGUF for this device.

      quantize --bits 4 SmolLM2-135M-Instruct/

    `quantize report A.gguf --reference B.gguf` measures what an artifact lost.
    """
    from quantize.pipeline import open_model

    options = _options(flags)
    model = open_model(source, allow_requantize=options.allow_requantize)
    if flags["dry_run"]:
        _print_plan(model, options, as_json=flags["as_json"])
        return 0
    target = _target(source, flags["out"], model, options.ftype)
    if target.exists() and not options.force:
        raise QuantizeError(f"{target} exists: choose another name with --out, or replace it with --force")
    needs_float = flags["calibrate"] is not None or flags["with_report"]
    with _float_model(source, target.parent, options, needed=needs_float) as float_path:
        if flags["calibrate"] is not None:
            options = _calibrated(float_path, target, flags["calibrate"], options)
        artifact = _quantize(source, target, options)
        report = _report([artifact.path], float_path, options.n_threads) if flags["with_report"] else None
    _print_artifact(artifact, report, as_json=flags["as_json"])
    return 0


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("artifacts", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--reference", type=click.Path(path_type=Path), help="What they are measured by, usually F16.")
@click.option("--picture", type=click.Path(path_type=Path), help="An SVG or PNG of quality against size and speed.")
@click.option("--threads", type=click.IntRange(1), help="Threads; by default the cores.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def report_command(
    artifacts: tuple[Path, ...], reference: Path | None, picture: Path | None, threads: int | None, as_json: bool
) -> int:
    """Measure artifacts: size, what they lost against a reference, speed and memory on this device."""
    reports = _report(artifacts, reference, threads)
    if picture is not None:
        from quantize.picture import draw

        draw(reports, picture)
    if as_json:
        print_json([report.as_dict() for report in reports])
    else:
        _print_reports(reports)
    return 0


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns:
        The exit code: 0, 1 for an error, 2 for wrong usage, 130 for Ctrl-C.
    """
    words = list(sys.argv[1:] if args is None else args)
    is_report = words[:1] == ["report"]
    chosen, words = (report_command, words[1:]) if is_report else (command, words)
    name = "quantize report" if is_report else "quantize"
    try:
        code = chosen.main(words, prog_name=name, standalone_mode=False)
    except click.UsageError as exc:
        exc.show()
        return exc.exit_code
    except (click.Abort, KeyboardInterrupt):
        return 130
    except (EdgeAIError, click.ClickException) as exc:
        error(str(exc) if isinstance(exc, EdgeAIError) else exc.format_message())
        return 1
    except ModuleNotFoundError as exc:
        error(f"{exc.name} is not installed, which `quantize` needs: pip install 'edgeai[quantize]'")
        return 1
    except OSError as exc:
        error(f"{exc.filename}: {exc.strerror}" if exc.filename else str(exc))
        return 1
    return code if isinstance(code, int) else 0


def _options(flags: dict[str, Any]) -> Options:
    from quantize.pipeline import Options

    if flags["bits"] is not None and flags["ftype"] is not None:
        raise click.UsageError("Give --bits or --ftype, not both.")
    if flags["imatrix"] is not None and flags["calibrate"] is not None:
        raise click.UsageError("Give --imatrix or --calibrate, not both.")
    ftype = (
        check_ftype(flags["ftype"]) if flags["ftype"] else ftype_of_bits(4 if flags["bits"] is None else flags["bits"])
    )
    return Options(
        ftype=ftype,
        tensor_types=tuple(_pattern_and_type(item) for item in flags["tensor_types"]),
        output_type=_type(flags["output_tensor_type"]),
        token_embd_type=_type(flags["token_embedding_type"]),
        imatrix=flags["imatrix"],
        n_threads=flags["threads"],
        allow_requantize=flags["allow_requantize"],
        allow_nan=flags["allow_nan"],
        force=flags["force"],
    )


def _pattern_and_type(item: str) -> tuple[str, str]:
    pattern, equals, name = item.rpartition("=")
    if not equals or not pattern:
        raise click.UsageError(f"--tensor-type {item}: expected PATTERN=TYPE, such as ffn_down=Q6_K")
    try:
        re.compile(pattern)
    except re.error as exc:
        raise click.UsageError(f"--tensor-type {item}: the pattern is no regular expression ({exc})") from exc
    return pattern, _type(name) or ""


def _type(name: str | None) -> str | None:
    from quantize.ggml import ENCODED_TYPES

    if name is None:
        return None
    if name.upper() not in ENCODED_TYPES:
        raise click.UsageError(f"{name!r} is no tensor type: expected one of {', '.join(ENCODED_TYPES)}")
    return name.upper()


def _target(source: Path, out: Path | None, model: Model, ftype: str) -> Path:
    """Where the artifact goes: into the checkpoint's folder, by the GGUF naming convention, unless told otherwise."""
    from quantize.naming import artifact_name

    if out is not None and not out.is_dir():
        return out
    folder = out if out is not None else source if source.is_dir() else source.parent
    return folder / artifact_name(model.metadata, source, ftype)


def _quantize(source: Path, target: Path, options: Options) -> Artifact:
    from quantize.pipeline import quantize

    with write_progress() as progress:
        return quantize(source, target, options, progress)


@contextlib.contextmanager
def _float_model(source: Path, folder: Path, options: Options, *, needed: bool) -> Iterator[Path]:
    """A file of the model as it was, to run: the source itself where it is a GGUF, else one for a while."""
    if not needed or source.is_file():
        yield source
        return
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".quantize-", dir=folder) as temporary:
        path = Path(temporary) / "model-F16.gguf"
        _quantize(source, path, replace(options, ftype="F16", tensor_types=(), output_type=None, token_embd_type=None))
        yield path


def _calibrated(float_path: Path, target: Path, text_name: str, options: Options) -> Options:
    """Collect an importance matrix, keep it beside the artifact, and take it."""
    from quantize.collect import collect
    from quantize.imatrix import write_imatrix
    from quantize.texts import calibration_text

    text = Path(text_name).read_text(encoding="utf-8", errors="replace") if text_name else calibration_text()
    with window_progress("calibrating") as progress:
        imatrix = collect(
            float_path,
            text,
            dataset=text_name or "edgeai's own",
            n_chunks=_CALIBRATION_CHUNKS,
            n_threads=options.n_threads,
            on_progress=progress,
        )
    path = target.with_name(f"{target.stem}.imatrix.gguf")
    write_imatrix(imatrix, path)
    return replace(options, imatrix=path)


def _report(paths: Sequence[Path], reference: Path | None, n_threads: int | None) -> list[Any]:
    from quantize.report import report

    reports = []
    for path in paths:
        with window_progress(f"measuring {path.name}") as progress:
            reports.append(report(path, reference, n_threads=n_threads, on_progress=progress))
    return reports


def _print_plan(model: Model, options: Options, *, as_json: bool) -> None:
    from quantize.pipeline import plan_model

    planned = plan_model(model, options)
    if as_json:
        print_json(
            [
                {
                    "name": item.tensor.name,
                    "shape": list(item.tensor.shape),
                    "type": item.qtype,
                    "bytes": item.n_bytes,
                    "why": item.why,
                }
                for item in planned
            ]
        )
        return
    out = console()
    out.print(tensor_table(planned))
    n_bytes = sum(item.n_bytes for item in planned)
    n_params = sum(item.tensor.n_elements for item in planned)
    out.print(
        f"{options.ftype}: {len(planned)} tensors, {size_text(n_bytes)}, {8 * n_bytes / n_params:.2f} bits per weight"
    )


def _print_artifact(artifact: Artifact, reports: list[Any] | None, *, as_json: bool) -> None:
    if as_json:
        facts = {
            "path": str(artifact.path),
            "ftype": artifact.ftype,
            "size_bytes": artifact.size_bytes,
            "bits_per_weight": round(artifact.bits_per_weight, 3),
            "parameters": artifact.n_params,
            "seconds": round(artifact.seconds, 2),
        }
        print_json({**facts, "report": reports[0].as_dict()} if reports else facts)
        return
    click.echo(
        f"{artifact.path}: {size_text(artifact.size_bytes)}, {artifact.ftype}, "
        f"{artifact.bits_per_weight:.2f} bits per weight, {artifact.seconds:.1f} s"
    )
    if reports:
        _print_reports(reports)
    click.echo(f"run it:  edgeai chat --model {artifact.path}")


def _print_reports(reports: list[Any]) -> None:
    out = console()
    for item in reports:
        for label, value in item.rows():
            out.print(f"  {label:<24} {value}")
        out.print()
    if len(reports) > 1:
        from quantize.text_plot import text_plot

        out.print("\n".join(text_plot(reports)))
