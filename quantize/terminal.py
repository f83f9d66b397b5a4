"""What `quantize` shows: tables, bars on a terminal, JSON for programs."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from edgeai.safe_text import one_line

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from quantize.pipeline import Progress
    from quantize.plan import Planned


def console(*, stderr: bool = False) -> Console:
    """A console; text is printed as it is, never read as markup."""
    from rich.console import Console

    return Console(stderr=stderr, markup=False, emoji=False, highlight=False)


def print_json(value: Any) -> None:
    """Print one JSON document."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))


def error(text: str) -> None:
    """One line on stderr, without control characters: names in checkpoints are hostile."""
    prefix = "error:"
    if sys.stderr.isatty() and not os.environ.get("NO_COLOR"):
        prefix = click.style(prefix, fg="red", bold=True)
    click.echo(f"{prefix} {one_line(text)}", err=True, color=True)


def size_text(n_bytes: int) -> str:
    """Decimal units: "105 MB"."""
    return f"{n_bytes / 1e9:.2f} GB" if n_bytes >= 1e9 else f"{n_bytes / 1e6:.1f} MB"


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


@contextlib.contextmanager
def write_progress() -> Iterator[Callable[[Progress], None]]:
    """A bar with the tensor, MB/s and the time left. On a terminal only."""
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.progress import Progress as Bars

    columns = (TextColumn("{task.description:<30}", markup=False), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Bars(
        *columns,
        TimeRemainingColumn(compact=True),
        console=console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    ) as bars:
        task = bars.add_task("reading the checkpoint", total=None)
        yield lambda step: bars.update(
            task, description=step.tensor[:30], completed=step.n_done_bytes, total=step.n_total_bytes
        )


@contextlib.contextmanager
def window_progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar of windows of text. On a terminal only."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    with Bars(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(compact=True),
        console=console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    ) as bars:
        task = bars.add_task(what, total=None)
        yield lambda n_done, n_total: bars.update(task, completed=n_done, total=n_total)
