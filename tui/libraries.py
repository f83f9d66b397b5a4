"""Libraries of documents for a command that answers from them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from edgeai.documents.library import Library

library_option = click.option(
    "-l",
    "--library",
    "library_names",
    multiple=True,
    metavar="NAME",
    help="Answer from this library (see `edgeai docs`; the usual one is called default); may be repeated.",
)


@contextmanager
def opened_libraries(names: Sequence[str]) -> Iterator[list[Library]]:
    """The libraries of these names, open within the block.

    Raises:
        DocumentError: there is none of a name, or it is damaged.
    """
    if not names:
        yield []
        return
    from edgeai.documents.library import Library
    from edgeai.documents.library_place import existing_library_dir

    folders = [existing_library_dir(name) for name in dict.fromkeys(names)]
    with ExitStack() as stack:
        yield [stack.enter_context(Library.open(folder)) for folder in folders]
