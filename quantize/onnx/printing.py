"""What `quantize --format onnx` prints of what came out: tables for people, JSON for programs."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from edgeai.safe_text import one_line
from quantize.onnx.options import OnnxOptions
from quantize.printing import PIPED_WIDTH, print_reports
from quantize.terminal import console, print_json, size_text

if TYPE_CHECKING:
    from quantize.onnx.folder import OnnxArtifact
    from quantize.onnx.plan import PlannedWeight
    from quantize.report import Report


def print_plan(planned: Sequence[PlannedWeight], options: OnnxOptions, *, as_json: bool) -> None:
    """The bits of each weight, and why."""
    if as_json:
        print_json([_facts(item) for item in planned])
        return
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for column in ("weight", "shape", "bits", "bytes", "why"):
        table.add_column(column, justify="right" if column in ("bits", "bytes") else "left", overflow="fold")
    for item in planned:
        shape = " × ".join(map(str, item.shape))
        table.add_row(Text(item.name), shape, str(item.bits), f"{item.n_bytes:,}", Text(item.why))
    out, n_bytes = console(piped_width=PIPED_WIDTH), sum(item.n_bytes for item in planned)
    out.print(table)
    out.print(f"{how(options)}: {len(planned)} weights, {size_text(n_bytes)}")


def print_artifact(artifact: OnnxArtifact, reports: Sequence[Report], *, as_json: bool) -> None:
    """What was made, and how to run it."""
    options = artifact.options
    if as_json:
        facts = {
            "path": str(artifact.path),
            "format": "onnx",
            "bits": options.bits,
            "block_size": options.block_size,
            "symmetric": options.symmetric,
            "size_bytes": artifact.size_bytes,
            "bits_per_weight": round(artifact.bits_per_weight, 3),
            "parameters": artifact.n_params,
            "seconds": round(artifact.seconds, 2),
        }
        print_json({**facts, "report": reports[0].as_dict()} if reports else facts)
        return
    click.echo(
        f"{one_line(str(artifact.path))}: {size_text(artifact.size_bytes)}, {how(options)}, "
        f"{artifact.bits_per_weight:.2f} bits per weight, {artifact.seconds:.1f} s"
    )
    if reports:
        print_reports(reports)
    click.echo(f"run it:  {one_line(f'edgeai chat --model {shlex.quote(str(artifact.path))}')}")


def how(options: OnnxOptions) -> str:
    """The options in words."""
    if options.bits == 32:
        return "float32"
    kind = "" if options.symmetric else "asymmetric "
    return f"int{options.bits} in {kind}blocks of {options.block_size}"


def _facts(item: PlannedWeight) -> dict[str, Any]:
    return {
        "name": item.name,
        "shape": list(item.shape),
        "bits": item.bits,
        "bytes": item.n_bytes,
        "why": item.why,
    }
