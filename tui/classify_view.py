"""`edgeai classify --view`: an output, opened in the table."""

from __future__ import annotations

import sys
from pathlib import Path

from edgeai.config import config_text
from edgeai.errors import OptionError
from edgeai.records.read import ReadOptions, Records
from edgeai.records.source import file_source
from edgeai.records.types import Row, format_of
from tui.classify_app import ResultApp
from tui.classify_layout import Layout, layout_of


def view(path: Path) -> int:
    """Show an output in the terminal; the exit code.

    Raises:
        DocumentError: it cannot be read.
        OptionError: it is no output, or there is no terminal.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise OptionError("--view needs a terminal: expected stdin and stdout to be one")
    app = ResultApp(*opened(path), theme=config_text("theme"))
    app.run()
    return app.return_code or 0


def opened(path: Path) -> tuple[Path, Records, Layout]:
    """An output that can be shown.

    Raises:
        DocumentError: it cannot be read.
        OptionError: it is no output.
    """
    records = Records(file_source(path), ReadOptions(format_of(path)))
    columns = records.columns
    if columns is None:
        columns = list(dict.fromkeys(name for row in records if isinstance(row, Row) for name in row.values))
    return path, records, layout_of(path, columns)
