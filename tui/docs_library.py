"""The options that the commands for documents share, and the way to their library."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgeai.documents.library_place import DEFAULT_LIBRARY

if TYPE_CHECKING:
    from edgeai.documents.library import Library

library_option = click.option(
    "-l", "--library", "name", metavar="NAME", default=DEFAULT_LIBRARY, show_default=True, help="Which library."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def opened(folder: Path) -> Library:
    """The library of a folder. It is imported here, as a wrong option needs none."""
    from edgeai.documents.library import Library

    return Library.open(folder)
