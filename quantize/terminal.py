"""Bars on a terminal, errors, JSON."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import click

from edgeai.safe_text import one_line

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bars
    from rich.progress import ProgressColumn

    from quantize.pipeline import Progress

_BAR_WIDTH = 12  # characters: the names, figures and this stand in 80 columns
_SURROGATE = re.compile("[\ud800-\udfff]")


def console(*, stderr: bool = False, piped_width: int | None = None) -> Console:
    """A console; text is printed as it is, never read as markup. `piped_width`: its columns where it is no terminal."""
    from rich.console import Console

    width = None if sys.stdout.isatty() else piped_width
    return Console(stderr=stderr, markup=False, emoji=False, highlight=False, width=width)


def print_json(value: Any) -> None:
    """Print one JSON document. What UTF-8 does not have, as in names of files that are not UTF-8, is escaped."""
    text = json.dumps(value, ensure_ascii=False, indent=2)
    click.echo(_SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", text))


def error(text: str) -> None:
    """One line on stderr, without control characters: names in checkpoints are hostile."""
    _message("error:", "red", text)


def note(text: str) -> None:
    """The same of what one should know."""
    _message("note:", "yellow", text)


def _message(prefix: str, color: str, text: str) -> None:
    if sys.stderr.isatty() and not os.environ.get("NO_COLOR"):
        prefix = click.style(prefix, fg=color, bold=True)
    click.echo(f"{prefix} {one_line(text)}", err=True, color=True)


class NoteHandler(logging.Handler):
    """Warnings of the library, as notes."""

    def emit(self, record: logging.LogRecord) -> None:
        note(record.getMessage())


def size_text(n_bytes: int) -> str:
    """Decimal units: "105 MB"."""
    return f"{n_bytes / 1e9:.2f} GB" if n_bytes >= 1e9 else f"{n_bytes / 1e6:.1f} MB"


@contextlib.contextmanager
def write_progress() -> Iterator[Callable[[Progress], None]]:
    """A bar with the tensor, MB/s and the time left. On a terminal only."""
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TransferSpeedColumn

    with _bars(
        TextColumn("{task.description:<25}", markup=False),
        DownloadColumn(),
        TransferSpeedColumn(),
        BarColumn(_BAR_WIDTH),
    ) as bars:
        task = bars.add_task("reading the checkpoint", total=None)
        yield lambda step: bars.update(
            task, description=step.tensor[:25], completed=step.n_done_bytes, total=step.n_total_bytes
        )


@contextlib.contextmanager
def step_progress() -> Iterator[Callable[[str, int, int], None]]:
    """A bar for what is being done, one thing after the other. On a terminal only.

    It is told what, how much of it is done, and of how much: 0 where that is not known yet.
    """
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn

    with _bars(TextColumn("{task.description}", markup=False), BarColumn(_BAR_WIDTH), TaskProgressColumn()) as bars:
        task, doing = bars.add_task("preparing", total=None), "preparing"

        def show(what: str, n_done: int, n_total: int) -> None:
            nonlocal task, doing
            if what != doing:  # one task that changes its name would show the old one at 0 % first
                bars.remove_task(task)
                task, doing = bars.add_task(what, total=n_total or None), what
            bars.update(task, completed=n_done, total=n_total or None)

        yield show


def _bars(*columns: ProgressColumn) -> Bars:
    """Bars that are gone when their block ends, with the time left behind the other columns."""
    from rich.progress import Progress as Bars
    from rich.progress import TimeRemainingColumn

    return Bars(
        *columns,
        TimeRemainingColumn(compact=True),
        console=console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )


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
