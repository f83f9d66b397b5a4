"""Where the weights of speech lie, once `edgeai models pull` has fetched them."""

from __future__ import annotations

from pathlib import Path

from edgeai.catalog import Catalog
from edgeai.catalog_entry import CatalogEntry
from edgeai.errors import ModelNotFoundError, UnsupportedModalityError
from edgeai.paths import models_dir


def weights_dir(name: str) -> Path:
    """The folder that holds the files of weights, as their catalog entry names them. Nothing is fetched.

    Args:
        name: of the catalog: whisper-base, whisper-tiny-en, kokoro-ja.
    Raises:
        ModelNotFoundError: they are not installed, or not whole; the command that fetches them is named.
        UnsupportedModalityError: it is a language model.
    """
    entry = Catalog.load().entry(name.lower())
    if not entry.speech:
        raise UnsupportedModalityError(
            f"{entry.name} is a language model: expected weights of speech: {', '.join(_names())}"
        )
    folder = models_dir() / entry.name
    if (problem := _problem(entry, folder)) is None:
        return folder
    command = f"edgeai models pull {entry.name}" + (" --force" if folder.is_dir() else "")
    raise ModelNotFoundError(
        f"{entry.speech} needs {entry.name}, which {problem}: fetch it once with `{command}` "
        f"({entry.size_bytes / 1e6:,.0f} MB, {entry.licence})"
    )


def installed_speech() -> tuple[str, ...]:
    """The names of the weights of speech that are here and whole, in the catalog's order."""
    entries = Catalog.load().entries
    return tuple(name for name in _names() if _problem(entries[name], models_dir() / name) is None)


def _names() -> list[str]:
    return [entry.name for entry in Catalog.load().entries.values() if entry.speech]


def _problem(entry: CatalogEntry, folder: Path) -> str | None:
    """What is wrong with a folder of weights, as far as sizes tell; `edgeai models verify` reads all of it."""
    if not folder.is_dir():
        return "is not installed"
    for file in entry.files:
        path = folder / file.file
        if not path.is_file():
            return f"lacks {file.file}"
        if path.stat().st_size != file.size_bytes:
            return f"has a damaged {file.file}"
    return None
