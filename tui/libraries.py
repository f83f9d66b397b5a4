"""Libraries of documents, for the commands that keep them and for those that answer from them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgeai.documents.library_place import DEFAULT_LIBRARY, existing_library_dir
from edgeai.documents.types import Document
from edgeai.safe_text import one_line

if TYPE_CHECKING:
    from edgeai.documents.library import Library
    from edgeai.sources import Source

library_option = click.option(
    "-l",
    "--library",
    "library_names",
    multiple=True,
    metavar="NAME",
    help="Answer from this library (see `edgeai docs`; the usual one is called default); may be repeated.",
)

one_library_option = click.option(
    "-l", "--library", "name", metavar="NAME", default=DEFAULT_LIBRARY, show_default=True, help="Which library."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def opened(folder: Path) -> Library:
    """The library of a folder. It is imported here, as a wrong option needs none."""
    from edgeai.documents.library import Library

    return Library.open(folder)


def library_name(source: Source) -> str:
    """What a library is called."""
    return one_line((source.path if isinstance(source, Document) else source.folder).name)


@contextmanager
def opened_libraries(names: Sequence[str]) -> Iterator[list[Library]]:
    """The libraries of these names, open within the block.

    Raises:
        DocumentError: there is none of a name, or it is damaged.
    """
    folders = [existing_library_dir(name) for name in dict.fromkeys(names)]
    with ExitStack() as stack:
        yield [stack.enter_context(opened(folder)) for folder in folders]
