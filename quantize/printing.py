"""What `quantize` prints of what came out: tables for people, JSON for programs."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgeai.gguf_header import read_header
from edgeai.model_files import projector_beside
from edgeai.safe_text import one_line
from quantize.terminal import console, note, print_json, size_text

if TYPE_CHECKING:
    from rich.table import Table

    from quantize.auto import Choice
    from quantize.candidates import Candidate
    from quantize.onnx.folder import OnnxArtifact
    from quantize.onnx.rivals import Rival
    from quantize.pipeline import Artifact
    from quantize.plan import Planned
    from quantize.projectors import Projector
    from quantize.report import Report


PIPED_WIDTH = 200
"""Columns of a plan where nobody looks: whoever searches it finds a tensor's line whole."""


def print_plan(planned: Sequence[Planned], ftype: str, projector: Projector | None = None, *, as_json: bool) -> None:
    """Each tensor's type, and why; those of the projector behind the others."""
    parts = [("model", ftype, planned)]
    if projector is not None:
        parts.append(("projector", projector.qtype, projector.planned))
    if as_json:
        print_json([_tensor_facts(item) | {"file": file} for file, _, items in parts for item in items])
        return
    out = console(piped_width=PIPED_WIDTH)
    for file, of_most, items in parts:
        out.print(tensor_table(items))
        n_bytes, name = sum(item.n_bytes for item in items), of_most if file == "model" else f"projector {of_most}"
        out.print(f"{name}: {len(items)} tensors, {size_text(n_bytes)}, {_bpw(items):.2f} bits per weight")


def _tensor_facts(item: Planned) -> dict[str, Any]:
    return {
        "name": item.tensor.name,
        "shape": list(item.tensor.shape),
        "type": item.qtype,
        "bytes": item.n_bytes,
        "why": item.why,
    }


def print_candidates(candidates: Sequence[Candidate | Rival], *, as_json: bool) -> None:
    """What --auto would build."""
    if as_json:
        print_json([{"ftype": item.ftype, "size_bytes": item.n_file_bytes} for item in candidates])
        return
    table = _table(("file type", "size", "bpw"), left=("file type",))
    for item in candidates:
        table.add_row(item.ftype, size_text(item.n_file_bytes), f"{item.bits_per_weight:.2f}")
    console().print(table)


def print_artifact(artifact: Artifact, reports: Sequence[Report], *, as_json: bool) -> None:
    """What was made, and how to run it."""
    if as_json:
        facts = {
            "path": str(artifact.path),
            "ftype": artifact.ftype,
            "size_bytes": artifact.size_bytes,
            "bits_per_weight": round(artifact.bits_per_weight, 3),
            "parameters": artifact.n_params,
            "seconds": round(artifact.seconds, 2),
            **_projector_facts(artifact),
        }
        print_json({**facts, "report": reports[0].as_dict()} if reports else facts)
        return
    click.echo(
        f"{one_line(str(artifact.path))}: {size_text(artifact.size_bytes)}, {artifact.ftype}, "
        f"{artifact.bits_per_weight:.2f} bits per weight, {artifact.seconds:.1f} s"
    )
    _print_projector(artifact, is_measured=bool(reports))
    if reports:
        print_reports(reports)
    _print_run(artifact.path)


def print_choice(choice: Choice, *, as_json: bool) -> None:
    """All mixes that were measured, which no other beats, and the one that was kept."""
    best = choice.best
    if as_json:
        print_json(_choice_facts(choice))
        return
    out = console()
    marks = ["★" if report is best else "●" if report in choice.front else "○" for report in choice.reports]
    out.print(_comparison(choice.reports, marks))
    out.print("★ kept   ● no other is better in size, KLD and decode at once   ○ another is", soft_wrap=True)
    out.print("\n".join(_plot(choice.reports)))
    if choice.is_estimate:
        out.print(f"Measured on {choice.n_layers} of {choice.n_all_layers} layers: the divergence is theirs,")
        out.print("speed and memory are estimates for all.")
    out.print(f"{best.file_type} is kept, {choice.why}")
    click.echo(f"{one_line(str(choice.artifact.path))}: {size_text(choice.artifact.size_bytes)}")
    _print_projector(choice.artifact, is_measured=True)
    _print_run(choice.artifact.path)


def _projector_facts(artifact: Artifact | OnnxArtifact) -> dict[str, Any]:
    """For JSON: the file beside the artifact through which it sees."""
    made = artifact.projector
    if made is None:
        return {}
    return {"projector": {"path": str(made.path), "type": made.ftype, "size_bytes": made.size_bytes}}


def _print_projector(artifact: Artifact | OnnxArtifact, *, is_measured: bool) -> None:
    made = artifact.projector
    if made is None:
        return
    unmeasured = "; pictures are not measured" if is_measured else ""
    click.echo(f"{one_line(str(made.path))}: {size_text(made.size_bytes)}, {made.ftype}, its projector{unmeasured}")
    if projector_beside(artifact.path) is None:
        note(
            f"{made.path.parent} has several mmproj*.gguf, and none is taken by itself: give each model its own folder"
        )


def _choice_facts(choice: Choice) -> dict[str, Any]:
    """For JSON. The files of mixes that were not kept are gone: their paths are null."""
    facts = choice.as_dict() | _projector_facts(choice.artifact)
    for report in facts["reports"]:
        if report["path"] != facts["path"] or report["file_type"] != facts["ftype"]:
            report["path"] = None
    return facts


def print_reports(reports: Sequence[Report], *, as_json: bool = False) -> None:
    """What was measured: line by line for one, a table and a plot of several."""
    if as_json:
        print_json([report.as_dict() for report in reports])
        return
    out = console()
    if len(reports) > 1:
        out.print(_comparison(reports))
        out.print("\n".join(_plot(reports)))
        return
    for label, value in reports[0].rows():
        out.print(f"  {label:<28} {one_line(value)}", soft_wrap=True)


def _comparison(reports: Sequence[Report], marks: Sequence[str] = ()) -> Table:
    """A row for each, the largest file first, with its mark."""
    from quantize.report import COLUMNS, LEGEND, names

    called = names(reports)
    first = COLUMNS[0] if called == [report.file_type for report in reports] else "file"
    columns = (*([""] if marks else []), first, *COLUMNS[1:])
    table = _table(columns, left=("", first), n_apart=2 if first == COLUMNS[0] else 1)
    rows = zip(reports, called, marks or [""] * len(reports), strict=True)
    for report, name, mark in sorted(rows, key=lambda row: -row[0].size_bytes):
        cells = (*([mark] if marks else []), name, *map(one_line, report.cells()[1:]))
        table.add_row(*cells, style="bold" if mark == "★" else "")
    table.caption = LEGEND
    return table


def _plot(reports: Sequence[Report]) -> list[str]:
    from quantize.text_plot import text_plot

    return text_plot(reports, width=min(console().width, 100))


def _table(columns: Sequence[str], left: Sequence[str], n_apart: int = 2) -> Table:
    from rich.table import Table

    table = Table(box=None, padding=(0, n_apart, 0, 0), pad_edge=False, header_style="bold")
    table.caption_justify, table.caption_style = "left", "dim"
    for column in columns:  # a name that is too long goes on in the next line: its end may be what tells it apart
        is_left = column in left
        table.add_column(column, justify="left" if is_left else "right", overflow="fold", no_wrap=not is_left)
    return table


def _bpw(planned: Sequence[Planned]) -> float:
    return 8 * sum(item.n_bytes for item in planned) / sum(item.tensor.n_elements for item in planned)


def _print_run(path: Path) -> None:
    """The line that runs it. `edgeai` talks with models that have a chat template; others go on with a text."""
    if path.is_dir() or read_header(path).chat_template is not None:
        line = f"edgeai chat --model {shlex.quote(str(path))}"
    else:
        code = f"import edgeai; print(edgeai.Session({str(path)!r}).complete('Once upon a time', max_tokens=100).text)"
        line = f"python -c {shlex.quote(code)}"
    click.echo(f"run it:  {one_line(line)}")


def tensor_table(planned: Sequence[Planned]) -> Table:
    """The plan: a tensor a line."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for column in ("tensor", "shape", "type", "bytes", "why"):
        table.add_column(column, justify="right" if column == "bytes" else "left", overflow="fold")
    for item in planned:
        shape = " × ".join(map(str, item.tensor.shape))
        table.add_row(Text(item.tensor.name), shape, item.qtype, f"{item.n_bytes:,}", Text(item.why))
    return table
