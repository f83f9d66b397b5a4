"""Bars on a terminal, errors, JSON."""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import click

from edgeai.safe_text import one_line

if TYPE_CHECKING:
    from rich.console import Console

    from quantize.pipeline import Progress

_SURROGATE = re.compile("[\ud800-\udfff]")


def console(*, stderr: bool = False) -> Console:
    """A console; text is printed as it is, never read as markup."""
    from rich.console import Console

    return Console(stderr=stderr, markup=False, emoji=False, highlight=False)


def print_json(value: Any) -> None:
    """Print one JSON document. What UTF-8 does not have, as in names of files that are not UTF-8, is escaped."""
    text = json.dumps(value, ensure_ascii=False, indent=2)
    click.echo(_SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", text))


def error(text: str) -> None:
    """One line on stderr, without control characters: names in checkpoints are hostile."""
    prefix = "error:"
    if sys.stderr.isatty() and not os.environ.get("NO_COLOR"):
        prefix = click.style(prefix, fg="red", bold=True)
    click.echo(f"{prefix} {one_line(text)}", err=True, color=True)


def size_text(n_bytes: int) -> str:
    """Decimal units: "105 MB"."""
    return f"{n_bytes / 1e9:.2f} GB" if n_bytes >= 1e9 else f"{n_bytes / 1e6:.1f} MB"


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
def step_progress() -> Iterator[Callable[[str, int, int], None]]:
    """A bar for what is being done, one thing after the other. On a terminal only."""
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    with Bars(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(compact=True),
        console=console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    ) as bars:
        task, doing = bars.add_task("", total=None), ""

        def show(what: str, n_done: int, n_total: int) -> None:
            nonlocal doing
            if what != doing:
                bars.reset(task)
                doing = what
            bars.update(task, description=what, completed=n_done, total=n_total)

        yield show


@contextlib.contextmanager
def line_progress(who: str) -> Iterator[Callable[[str], None]]:
    """The last line that another program wrote. On a terminal only."""
    from rich.text import Text

    out = console(stderr=True)
    if not sys.stderr.isatty():
        yield lambda _line: None
        return
    with out.status(f"{who} …") as status:  # a spinner reads strings as markup, whatever its console does
        yield lambda line: status.update(Text(one_line(f"{who}: {line}")[: max(out.width - 4, 20)]))
