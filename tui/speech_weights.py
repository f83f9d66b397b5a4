"""Weights of speech at their first use: what would be fetched is said, and fetched when the user agrees."""

from __future__ import annotations

import sys
from importlib.util import find_spec

import click

from edgeai.catalog import Catalog
from edgeai.catalog_entry import CatalogEntry
from edgeai.errors import OptionError
from edgeai.files import Progress
from edgeai.offline import is_wanted, network_allowed
from edgeai.safe_text import one_line
from edgeai.speech.weights import installed_speech
from tui.output import transfer_progress
from tui.units import bytes_text

_PACKAGES = {"speech-to-text": "ctranslate2", "text-to-speech": "pyopenjtalk"}


def ensure(name: str) -> None:
    """See that weights of speech are here; on a terminal, offer to fetch them.

    Where nobody can be asked, no network is wanted (EDGEAI_OFFLINE=1) or the answer is no, nothing happens: the engine
    that needs them then names the command that fetches them.

    Args:
        name: of the catalog, such as whisper-base.
    Raises:
        ModelNotFoundError: the catalog does not know it.
        OptionError: the extra `speech` is not installed, so that they would be of no use.
        PullError: they could not be fetched.
    """
    entry = wanted(name)
    if entry is None or not _can_ask():
        return
    if click.confirm(question(entry), default=True, err=True):
        with transfer_progress() as progress:
            task = progress.add_task("fetching", total=entry.size_bytes)
            fetch(entry, lambda n_done, n_total: progress.update(task, completed=n_done, total=n_total))
        click.echo(f"{entry.name}: fetched and checked", err=True)


def wanted(name: str) -> CatalogEntry | None:
    """The weights, where they are missing and may be fetched; None where they are here, or no network is wanted.

    Raises:
        ModelNotFoundError: the catalog does not know them.
        OptionError: the extra `speech` is not installed.
    """
    entry = Catalog.load().entry(name.lower())
    if entry.name in installed_speech() or is_wanted(default=False):
        return None
    package = _PACKAGES.get(entry.speech)
    if package is not None and find_spec(package) is None:
        raise OptionError(
            f"{entry.speech} needs {package}, which is not installed: `pip install 'edgeai[speech]'`, "
            f"then `edgeai models pull {entry.name}`"
        )
    return entry


def question(entry: CatalogEntry) -> str:
    """What to ask before weights are fetched."""
    size = f"{bytes_text(entry.size_bytes)}, {entry.licence} ({entry.licence_url})"
    return one_line(f"{entry.speech} needs {entry.name}, which is not installed: {size}. Fetch it now, once?")


def fetch(entry: CatalogEntry, on_progress: Progress) -> None:
    """Fetch weights and check them; those that are here are replaced.

    Raises:
        PullError: see `edgeai.pull.pull`.
    """
    from edgeai.pull import pull

    with network_allowed():
        pull(entry.name, force=True, on_progress=on_progress)


def _can_ask() -> bool:
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr))
