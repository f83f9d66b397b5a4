"""The `quantize` command: arguments, one call of the library, an exit code."""

from __future__ import annotations

import sys

try:
    import logging
    import math
    import os
    import signal
    from collections.abc import Iterator, Sequence
    from contextlib import contextmanager
    from pathlib import Path
    from typing import TYPE_CHECKING, Any

    import click

    from edgeai import EdgeAIError, OptionError, QuantizeError, __version__
    from edgeai.sizes import parse_size
    from quantize.ftypes import FTYPES
    from quantize.terminal import NoteHandler, error
except KeyboardInterrupt:  # Ctrl-C that is faster than the imports
    sys.exit(130)

if TYPE_CHECKING:
    _ParamType = click.ParamType[Any]
else:
    _ParamType = click.ParamType  # which older versions of click do not have as a generic

_PREFERENCES = ("balance", "quality", "speed", "size")  # quantize.choose has them too, and loads numpy
_BLOCK_SIZES = ("16", "32", "64", "128", "256")
_MOST_THREADS = 512  # GGML_MAX_N_THREADS of ggml.h


class _Path(_ParamType):
    """A path. "~" is the home folder also where no shell reads it: "--out=~/models"."""

    name = "path"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        try:
            return Path(value).expanduser()
        except RuntimeError:
            self.fail(f"{str(value)[:80]!r}: there is no such user; check the path", param, ctx)


class _Place(_Path):
    """The same, and whether it was written as a folder, which need not exist: "new/"."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return super().convert(value, param, ctx), str(value).endswith(("/", os.sep))


_PATH = _Path()


class _Size(_ParamType):
    """A number of bytes: 2GB, 500MB, 1.5GiB, 1000000."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            n_bytes = parse_size(str(value))
        except OptionError as exc:
            self.fail(str(exc), param, ctx)
        return n_bytes or self.fail("0: expected a size, such as 2GB or 500MB", param, ctx)


class _Nats(_ParamType):
    """A divergence: finite, and not below 0."""

    name = "nats"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        nats = click.FLOAT.convert(value, param, ctx)
        if not (math.isfinite(nats) and nats >= 0):
            self.fail(f"{nats}: expected a number of at least 0, such as 0.05", param, ctx)
        return float(nats)


class _Chosen(_ParamType):
    """What a function of quantize.choices makes of a word."""

    def __init__(self, name: str, function: str) -> None:
        self.name, self._function = name, function

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        from quantize import choices

        try:
            return getattr(choices, self._function)(str(value))
        except QuantizeError as exc:
            self.fail(str(exc), param, ctx)


_TYPE = _Chosen("type", "check_type")


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.argument("source", required=False, type=_PATH)
@click.option(
    "--format",
    "form",
    type=click.Choice(("gguf", "onnx", "any")),
    help="What to make; with --auto, any is what is best here.  [default: gguf]",
)
@click.option("--bits", type=int, help="4 (Q4_K_M) or 8 (Q8_0); of ONNX also 32, as it was.  [default: 4]")
@click.option("--ftype", metavar="NAME", help=f"A mix of types: {', '.join(FTYPES)}.")
@click.option("--auto", is_flag=True, help="Build the mixes that fit this machine, measure each here, keep the best.")
@click.option("--prefer", type=click.Choice(_PREFERENCES), help="With --auto: what counts most.  [default: balance]")
@click.option("--max-size", type=_Size(), metavar="SIZE", help="With --auto: the largest file, such as 2GB.")
@click.option("--max-kld", type=_Nats(), metavar="NATS", help="With --auto: the most it may differ from F16.")
@click.option(
    "--layers",
    type=click.IntRange(1),
    metavar="N",
    help="With --auto: measure on N layers; all by default, and a sample where the model is large.",
)
@click.option(
    "-o", "--out", type=_Place(), metavar="PATH", help="The artifact's file, or a folder/ for it; of ONNX a folder."
)
@click.option("--block-size", type=click.Choice(_BLOCK_SIZES), help="Of ONNX: weights with one scale.  [default: 32]")
@click.option("--asymmetric", is_flag=True, help="Of ONNX: blocks have zero points of their own.")
@click.option("--rtn", is_flag=True, help="Of ONNX: round to nearest, without a search for better scales.")
@click.option("--imatrix", type=_PATH, help="A file with an importance matrix (GGUF or .dat).")
@click.option(
    "--calibrate",
    is_flag=False,
    flag_value="",
    metavar="[TEXT]",
    help="Let the model read a text first, and spare what matters for it; by default a bundled one.",
)
@click.option(
    "--tensor-type",
    "tensor_types",
    type=_Chosen("pattern", "pattern_and_type"),
    multiple=True,
    metavar="PATTERN=TYPE",
    help="The type of tensors whose name has the pattern, a regular expression. May be repeated.",
)
@click.option("--output-tensor-type", type=_TYPE, metavar="TYPE", help="The type of output.weight.")
@click.option("--token-embedding-type", type=_TYPE, metavar="TYPE", help="The type of token_embd.weight.")
@click.option(
    "--projector",
    type=click.Choice(("f16", "q8_0", "none"), case_sensitive=False),
    help="Of a model that sees: the type of its projector, written beside it as mmproj-….gguf. Encoders other than "
    "those of SmolVLM, Idefics 3, Gemma 3, Qwen 2.5 VL and Qwen 3 VL need --converter; without it, the text model is "
    "written alone.  [default: f16]",
)
@click.option("--recipe", type=_PATH, help="Follow models/NAME/recipe.toml; other flags come before what it says.")
@click.option("--converter", type=_PATH, help="llama.cpp's checkout, for architectures that are not known here.")
@click.option("--converter-python", type=_PATH, help="The Python with torch for it, where it is not found.")
@click.option("--dry-run", is_flag=True, help="Print the plan: each tensor's type, and why; write nothing.")
@click.option("--report", "with_report", is_flag=True, help="Measure what was lost, and how fast it runs here.")
@click.option("--picture", type=_PATH, help="With --report or --auto: an SVG or PNG of it.")
@click.option("--threads", type=click.IntRange(1, _MOST_THREADS), help="Threads; by default the cores.")
@click.option("--allow-requantize", is_flag=True, help="Take a GGUF that is quantized already.")
@click.option("--allow-nan", is_flag=True, help="Let NaN and infinity through.")
@click.option("--force", is_flag=True, help="Replace an artifact that exists.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.version_option(__version__, prog_name="quantize", message="%(prog)s %(version)s")
def command(source: Path | None, **flags: Any) -> int:
    """Turn a Hugging Face folder (or a GGUF of a float type) into a small GGUF or ONNX model for this device.

    \b
      quantize --bits 4 SmolLM2-135M-Instruct/
      quantize --auto --prefer speed SmolLM2-135M-Instruct/
      quantize --format onnx --bits 4 SmolLM2-135M-Instruct/ -o out/

    `quantize report A.gguf --reference B.gguf` measures what an artifact lost.
    """
    text = _PATH(flags["calibrate"]) if flags["calibrate"] else None
    if source is None and text is not None and _is_model(text):
        source, text = text, None  # `--calibrate model/` names no text
    if flags["calibrate"] is not None:
        flags["calibrate"] = str(text or "")
    if flags["form"] == "onnx":
        from quantize.onnx import job as onnx

        onnx.run(onnx.job_of(source, flags))
    else:
        from quantize import flags as gguf
        from quantize.job import run

        run(gguf.job_of(source, flags))
    return 0


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("artifacts", nargs=-1, required=True, type=_PATH)
@click.option("--reference", type=_PATH, help="What they are measured by, usually F16.")
@click.option("--picture", type=_PATH, help="An SVG or PNG of quality against size and speed.")
@click.option("--threads", type=click.IntRange(1, _MOST_THREADS), help="Threads; by default the cores.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def report_command(
    artifacts: tuple[Path, ...], reference: Path | None, picture: Path | None, threads: int | None, as_json: bool
) -> int:
    """Measure artifacts: size, what they lost against a reference, speed and memory on this device."""
    from quantize.job import measure

    if picture is not None and reference is None:
        raise click.UsageError("--picture shows what was lost: give --reference too.")
    measure(artifacts, reference, n_threads=threads, picture=picture, as_json=as_json)
    return 0


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns:
        The exit code: 0, 1 for an error, 2 for wrong usage, 130 for Ctrl-C.
    Raises:
        SystemExit: SIGTERM or SIGHUP came; the code is 128 and its number.
    """
    with _signals_unwind(), _warnings_noted():
        try:
            return _run(args)
        except KeyboardInterrupt:
            return 130


@contextmanager
def _signals_unwind() -> Iterator[None]:
    """SIGTERM and SIGHUP end what runs as Ctrl-C does, so that nothing half-written is left."""
    signals = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    taken = [each for each in signals if signal.getsignal(each) == signal.SIG_DFL]  # nohup ignores SIGHUP: so do we
    is_ending = False

    def end(number: int, _frame: object) -> None:
        nonlocal is_ending
        if not is_ending:  # a closing terminal sends several, which are not to cut the cleaning short
            is_ending = True
            raise SystemExit(128 + number)

    for each in taken:
        signal.signal(each, end)
    try:
        yield
    finally:
        for each in taken:
            signal.signal(each, signal.SIG_DFL)


@contextmanager
def _warnings_noted() -> Iterator[None]:
    """What the libraries log as a warning is told in one line."""
    loggers, handler = [logging.getLogger(name) for name in ("quantize", "edgeai")], NoteHandler(logging.WARNING)
    for logger in loggers:
        logger.addHandler(handler)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeHandler(handler)


def _run(args: Sequence[str] | None) -> int:
    """Run the command; what went wrong is told in one line."""
    words = list(sys.argv[1:] if args is None else args)
    is_report = words[:1] == ["report"]
    chosen, words = (report_command, words[1:]) if is_report else (command, words)
    name = "quantize report" if is_report else "quantize"
    try:
        code = chosen.main(words, prog_name=name, standalone_mode=False)
    except click.UsageError as exc:
        exc.show()
        return exc.exit_code
    except click.Abort:
        return 130
    except (EdgeAIError, click.ClickException) as exc:
        error(str(exc) if isinstance(exc, EdgeAIError) else exc.format_message())
        return 1
    except ModuleNotFoundError as exc:
        extra = "onnx" if exc.name == "onnx" else "quantize"
        error(f"{exc.name} is not installed, which `quantize` needs: pip install 'edgeai[{extra}]'")
        return 1
    except OSError as exc:
        error(f"{exc.filename}: {exc.strerror}" if exc.filename else str(exc))
        return 1
    return code if isinstance(code, int) else 0


def _is_model(path: Path) -> bool:
    return path.is_dir() or path.suffix.lower() == ".gguf"
