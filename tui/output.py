"""What the commands share when they print: tables and colour for people on a terminal, JSON for programs."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TextIO

import click

from edgeai.safe_text import one_line

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress
    from rich.table import Table


def wants_color(stream: TextIO) -> bool:
    """Whether to colour what goes to a stream: a terminal that can, and a user who has not set NO_COLOR."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def console(*, stderr: bool = False) -> Console:
    """A console on stdout or stderr; text is printed as it is, never read as markup."""
    from rich.console import Console

    return Console(stderr=stderr, markup=False, emoji=False, highlight=False)


def print_json(value: Any) -> None:
    """Print one JSON document."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))


def message(prefix: str, text: str, color: str) -> None:
    """One line on stderr, `prefix: text`, with whatever could disturb a terminal taken out of the text."""
    shown = click.style(f"{prefix}:", fg=color, bold=True) if wants_color(sys.stderr) else f"{prefix}:"
    click.echo(f"{shown} {one_line(text)}", err=True, color=True)


def table(*columns: str, right: Iterable[str] = ()) -> Table:
    """A table without a frame that is good to read at 80 columns.

    Args:
        columns: the heads.
        right: those of them whose cells stand to the right (numbers).
    """
    from rich.table import Table

    made = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for column in columns:
        made.add_column(column, justify="right" if column in set(right) else "left", overflow="fold")
    return made


def transfer_progress() -> Progress:
    """A bar for bytes on stderr: share, speed and time left. It shows on a terminal only."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(compact=True),
        console=console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )
