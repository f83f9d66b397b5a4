"""`edgeai doctor`: this machine, and what runs on it, on one page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import click

from edgeai.history_export import inert_json
from edgeai.model_list import ModelFacts
from edgeai.safe_text import one_line
from tui.doctor_report import Report, examine
from tui.output import console
from tui.units import bytes_text

Rows = Iterable[tuple[str, str]]
_MAX_DEVICES = 4


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(as_json: bool) -> None:
    """Show what this machine has, which models fit it, and what to mend."""
    report = examine()
    if as_json:
        click.echo(inert_json(report.as_json()))
    else:
        _print(report)


def _print(report: Report) -> None:
    from rich.table import Table
    from rich.text import Text

    page = Table.grid(padding=(0, 2))
    page.add_column(style="bold", no_wrap=True)
    page.add_column(overflow="fold")
    for label, value in _rows(report):
        page.add_row(label, one_line(value))
    out = console()
    out.print(page)
    out.print()
    for problem, advice in report.warnings:
        out.print(
            Text.assemble(
                ("! ", "bold yellow"), one_line(problem), *([("\n  → " + one_line(advice), "cyan")] if advice else [])
            )
        )
    if not report.warnings:
        out.print(Text("✓ nothing to mend", style="green"))


def _rows(report: Report) -> Rows:
    facts = report.facts
    if machine := facts["machine"]:
        yield from _machine_rows(machine)
    if llama := facts["llama_cpp"]:
        gpu = ", with GPU" if llama["gpu_offload"] else ""
        yield "llama.cpp", f"llama-cpp-python {llama['version']}{gpu}: {' '.join(llama['features'])}"
    if (onnx := facts["onnxruntime"]) and onnx["version"]:
        lack = "" if onnx["tokenizers"] else "; tokenizers is missing: pip install 'edgeai[onnx]'"
        yield "ONNX", f"onnxruntime {onnx['version']} on {', '.join(onnx['providers'])}{lack}"
    if isolation := facts["isolation"]:
        yield "isolation", f"{isolation['mode']}: {isolation['reason']}"
        for label, phrases in (("sandbox", isolation["applied"]), ("gaps", isolation["missing"])):
            yield from ((label if phrase == phrases[0] else "", phrase) for phrase in phrases)
    if audio := facts["audio"]:
        yield from _audio_rows(audio)
    if terminal := facts["terminal"]:
        yield "terminal", _terminal_text(terminal)
    if folders := facts["folders"]:
        yield "folder", f"{folders['data']}, {bytes_text(folders['free_bytes'])} free"
    if history := facts["history"]:
        yield "history", f"{history['conversations']} conversations, {bytes_text(history['size_bytes'])}"
    yield from _model_rows(report.models)


def _machine_rows(machine: dict[str, Any]) -> Rows:
    yield "system", f"{machine['system']}, Python {machine['python']}"
    yield "processor", machine["cpu_name"]
    yield "features", " ".join(machine["cpu_features"]) or "none that llama.cpp has code for"
    quota = "" if machine["cpu_quota"] is None else f", a quota of {machine['cpu_quota']:g}"
    yield "cores", f"{machine['usable_cores']} usable of {machine['logical_cpus']} hardware threads{quota}"
    yield "threads", f"{machine['threads']} to start with; then they follow the load"
    limit = machine["memory_limit_bytes"]
    limited = "" if limit is None else f" (a control group allows {bytes_text(limit)})"
    yield "memory", f"{bytes_text(machine['available_bytes'])} free of {bytes_text(machine['memory_bytes'])}{limited}"


def _audio_rows(audio: dict[str, Any]) -> Rows:
    if audio["problem"] is None:
        yield "microphone", _device_names(audio["microphones"])
        yield "speaker", _device_names(audio["speakers"])
    else:
        yield "microphone", "none can be used, and no speaker"
    yield "speech", ", ".join(audio["weights"]) or "no weights: edgeai models pull whisper-base"


def _device_names(found: Sequence[dict[str, Any]]) -> str:
    names = [device["name"] + (" (default)" if device["default"] else "") for device in found[:_MAX_DEVICES]]
    more = f" and {len(found) - _MAX_DEVICES} more: edgeai devices" if len(found) > _MAX_DEVICES else ""
    return ", ".join(names) + more if found else "none, or other programs hold them"


def _terminal_text(terminal: dict[str, Any]) -> str:
    if not terminal["is_terminal"]:
        return f"none (output goes elsewhere), {terminal['encoding']}"
    colors = "true colour" if terminal["true_color"] else "256 colours or fewer"
    return f"{terminal['term']}, {terminal['columns']}×{terminal['lines']}, {colors}, {terminal['encoding']}"


def _model_rows(models: Sequence[ModelFacts]) -> Rows:
    installed = [model for model in models if model.installed]
    for model in installed:
        default = " (default)" if model.is_default else ""
        need = "" if model.memory_bytes is None else f", needs {bytes_text(model.memory_bytes)} of memory"
        state = model.problem or {True: "fits", False: "does not fit", None: "?"}[model.fits]
        yield "installed", f"{model.name}{default}, {bytes_text(model.size_bytes)}{need}: {state}"
    if not installed:
        yield "installed", "no model"
    known = [model for model in models if not model.installed]
    yield "would fit", ", ".join(model.name for model in known if model.fits) or "none"
    yield "too large", ", ".join(model.name for model in known if model.fits is False) or "none"
