"""`edgeai bench`: how fast a model reads and writes here, at several lengths and numbers of threads."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import click

from edgeai.machine import machine, usable_cores
from edgeai.safe_text import one_line
from edgeai.speed_prompt import speed_prompt
from tui import session_options
from tui.output import console, print_json, table
from tui.progress_line import ProgressLine
from tui.units import bytes_text

if TYPE_CHECKING:
    from edgeai.session import Session

_BAR_CELLS = 14
_BAR_PARTS = " ▏▎▍▌▋▊▉█"
_SPARE_TOKENS = 16


@dataclass(frozen=True, slots=True)
class Run:
    """One measurement: the median of its repetitions.

    Attributes:
        threads: the number, or "auto".
        prompt_tokens: read.
        completion_tokens: written.
        prefill_tokens_per_s: reading.
        decode_tokens_per_s: writing, after that prompt.
        ttft_ms: from the call to the first token.
        load_ms: opening the model.
    """

    threads: int | str
    prompt_tokens: int
    completion_tokens: int
    prefill_tokens_per_s: float
    decode_tokens_per_s: float
    ttft_ms: float
    load_ms: float


def _counts(_ctx: click.Context, param: click.Parameter, value: str | None) -> list[int | str] | None:
    """The numbers in a list with commas; for --threads "auto" counts as one."""
    if value is None:
        return None
    counts: list[int | str] = []
    for part in dict.fromkeys(part.strip() for part in value.split(",")):
        if part == "auto" and param.name == "threads":
            counts.append(part)
        elif part.isascii() and part.isdigit() and 0 < int(part[:12]) < 2**31:
            counts.append(int(part))
        else:
            raise click.BadParameter(f"{value!r}: expected positive numbers with commas between them")
    return counts


@click.command()
@session_options.model_option
@session_options.provider_option
@click.option("--lengths", callback=_counts, default="128,512,1024", show_default=True, help="Tokens of the prompts.")
@click.option("--threads", callback=_counts, metavar="N,N,…", help="By default 1, 2, 4 … up to the cores, and auto.")
@click.option("--decode", "n_decode", type=click.IntRange(2), default=64, show_default=True, help="Tokens to write.")
@click.option("--repeat", type=click.IntRange(1), default=3, show_default=True, help="Repetitions; the median counts.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    model: str | None,
    provider: str | None,
    lengths: list[int],
    threads: list[int | str] | None,
    n_decode: int,
    repeat: int,
    as_json: bool,
) -> None:
    """Measure how fast a model runs here. Other programs that compute meanwhile make it slower."""
    runs: list[Run] = []
    about: dict[str, Any] = {}
    n_ctx = max(lengths) + n_decode + _SPARE_TOKENS
    with ProgressLine() as line:
        for n_threads in threads or _usual_threads():
            line.show(f"threads {n_threads}: loading the model")
            options = session_options.given({"n_ctx": n_ctx, "n_threads": n_threads, "provider": provider})
            with session_options.open_session(model, **options) as session:
                about = _about(session)
                for run in _measure(session, n_threads, lengths, n_decode, repeat, line):
                    runs.append(run)
    if as_json:
        print_json({**about, "runs": [asdict(run) for run in runs]})
    else:
        _print(about, runs)


def _usual_threads() -> list[int | str]:
    """1, 2, 4 … up to the cores, and auto."""
    cores = usable_cores()
    powers = [2**exponent for exponent in range(cores.bit_length()) if 2**exponent < cores]
    return [*powers, cores, "auto"]


def _measure(
    session: Session, n_threads: int | str, lengths: Sequence[int], n_decode: int, repeat: int, line: ProgressLine
) -> Iterator[Run]:
    n_done = 0
    session.complete("0 1 2", max_tokens=2).wait()  # brings the weights into memory
    for length in lengths:
        responses = []
        for index in range(repeat):
            line.show(f"threads {n_threads}: {length:,} tokens, {index + 1} of {repeat}")
            prompt = speed_prompt(session, length, n_done)
            responses.append(session.complete(prompt, max_tokens=n_decode, temperature=0))
            responses[-1].wait()
            n_done += 1
        timings = [response.timings for response in responses]
        yield Run(
            threads=n_threads,
            prompt_tokens=responses[0].usage.prompt_tokens,
            completion_tokens=min(response.usage.completion_tokens for response in responses),
            prefill_tokens_per_s=round(statistics.median(timing.prefill_tokens_per_s for timing in timings), 1),
            decode_tokens_per_s=round(statistics.median(timing.decode_tokens_per_s for timing in timings), 1),
            ttft_ms=round(statistics.median(timing.ttft_ms for timing in timings), 1),
            load_ms=round(session.load_ms, 1),
        )


def _about(session: Session) -> dict[str, Any]:
    here, info = machine(), session.info
    return {
        "model": session.model_name,
        "size_bytes": info.size_bytes,
        "n_params": info.n_params,
        "n_ctx": session.n_ctx,
        "provider": info.provider or None,
        "cpu_name": here.cpu_name,
        "usable_cores": here.usable_cores,
        "system": here.system,
    }


def _print(about: dict[str, Any], runs: Sequence[Run]) -> None:
    out = console()
    out.print(
        one_line(
            f"{about['model']}, {bytes_text(about['size_bytes'])}{_runs_on(about['provider'])} · {about['cpu_name']}, "
            f"{about['usable_cores']} cores"
        )
    )
    listing = table(
        "threads",
        "prompt",
        "prefill tok/s",
        "",
        "decode tok/s",
        "",
        right=("threads", "prompt", "prefill tok/s", "decode tok/s"),
    )
    most_prefill = max(run.prefill_tokens_per_s for run in runs)
    most_decode = max(run.decode_tokens_per_s for run in runs)
    for before, run in zip([None, *runs], runs, strict=False):
        listing.add_row(
            str(run.threads) if before is None or before.threads != run.threads else "",
            f"{run.prompt_tokens:,}",
            f"{run.prefill_tokens_per_s:,.0f}",
            bar(run.prefill_tokens_per_s, most_prefill),
            f"{run.decode_tokens_per_s:,.1f}",
            bar(run.decode_tokens_per_s, most_decode),
        )
    out.print(listing)


def _runs_on(provider: str | None) -> str:
    return f", on {provider} by ONNX Runtime" if provider else ""


def bar(value: float, most: float, n_cells: int = _BAR_CELLS) -> str:
    """A bar of block characters, an eighth of a cell exact."""
    n_eighths = round(n_cells * 8 * min(1.0, value / most)) if most > 0 else 0
    whole, part = divmod(n_eighths, 8)
    return (_BAR_PARTS[8] * whole + (_BAR_PARTS[part] if part else "")).ljust(n_cells)
