"""Bringing a library up to date: only what changed is read."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from edgeai import files
from edgeai.documents.index_keeper import BATCH_CHARS
from edgeai.documents.library_rows import Prepared, path_key, path_prefix, prepared
from edgeai.documents.library_types import Progress, UpdateReport
from edgeai.documents.scans import possible
from edgeai.documents.types import Document, OcrMode
from edgeai.errors import DocumentError
from edgeai.safe_text import one_line

if TYPE_CHECKING:
    from edgeai.documents.library import Library

BATCH_S = 15.0
"""After so many seconds, too, what was added is committed: what is slow to read is not read twice."""


@dataclass(slots=True)
class _Plan:
    """What is to be done, found out without reading documents."""

    new: list[Path] = field(default_factory=list)
    changed: list[Path] = field(default_factory=list)
    reread: list[Path] = field(default_factory=list)
    gone: list[Path] = field(default_factory=list)
    touched: list[tuple[Path, int]] = field(default_factory=list)
    unchanged: int = 0
    failed: list[tuple[Path, str]] = field(default_factory=list)
    n_passages: int = 0
    outdated: frozenset[bytes] = frozenset()

    @property
    def to_read(self) -> list[Path]:
        return [*self.new, *self.changed, *self.reread]


def stat(path: Path) -> os.stat_result | None:
    """None where no file can be looked at."""
    try:
        return path.stat()
    except (OSError, ValueError):  # ValueError: a NUL in the name
        return None


def update(
    library: Library,
    paths: Iterable[Path],
    read: Callable[[Path], Document],
    on_progress: Progress | None,
    away: Sequence[Path] | None,
    roots: Sequence[Path],
    on_plan: Callable[[Sequence[Path]], None] | None,
    ocr: OcrMode,
) -> UpdateReport:
    """What `Library.update` does."""
    plan = _plan(library, paths, away, possible(ocr))

    def prepare() -> Iterator[Prepared]:
        library.remember(roots)  # only once the library is ours to be written, but before a kill can come
        paths = plan.to_read
        states = list(map(stat, paths))  # before they are read: one that changes meanwhile is read again the next time
        if on_plan:
            on_plan(paths)
        yield from _read_all(plan, zip(paths, states, strict=True), read, on_progress)

    if plan.to_read or plan.gone:
        library.add_prepared(prepare(), plan.gone)  # in one go: whoever finds the library in use has changed nothing
    elif roots:
        library.remember(roots)
    bad = {path for path, _ in plan.failed}
    return UpdateReport(
        added=tuple(path for path in plan.new if path not in bad),
        changed=tuple(path for path in plan.changed if path not in bad),
        reread=tuple(path for path in plan.reread if path not in bad),
        removed=tuple(plan.gone),
        unchanged=plan.unchanged,
        failed=tuple(plan.failed),
        n_passages=plan.n_passages,
    )


def batches(items: Iterable[Prepared]) -> Iterator[list[Prepared]]:
    """Documents in batches that are worth a commit; the last one comes also where `items` ends with an exception."""
    batch, n_chars, began = list[Prepared](), 0, time.monotonic()
    failure: BaseException | None = None
    try:
        for item in items:
            batch.append(item)
            n_chars += item.n_chars
            if n_chars >= BATCH_CHARS or time.monotonic() - began > BATCH_S:
                yield batch
                batch, n_chars, began = [], 0, time.monotonic()
    except GeneratorExit:  # whoever stores them has failed
        raise
    except BaseException as exc:  # noqa: BLE001 - raised again below
        failure = exc
    if batch:
        yield batch
    if failure is not None:
        raise failure


def _plan(library: Library, paths: Iterable[Path], away: Sequence[Path] | None, ocr: OcrMode) -> _Plan:
    """Paths stay bytes here as long as nothing is to be done: this is all that an update without changes costs."""
    plan, known = _Plan(outdated=frozenset(library.outdated(ocr))), library.files()
    keys: dict[bytes, None] = {}
    for path in paths:
        try:
            keys[path_key(path)] = None
        except DocumentError as exc:
            plan.failed.append((path, str(exc)))
    away_prefixes = tuple(map(path_prefix, away or ()))
    try:
        for key in keys if away is None else keys | dict.fromkeys(known):
            _look_at(key, plan, known.get(key), away_prefixes)
    finally:  # to hash them took time: Ctrl-C does not lose it
        if plan.touched:
            library.touch(plan.touched)
    return plan


def _look_at(key: bytes, plan: _Plan, held: tuple[str, int, int] | None, away: tuple[bytes, ...]) -> None:
    try:
        now = os.stat(key)  # noqa: PTH116 - of bytes, as a Path for each of many files is slow
    except (FileNotFoundError, NotADirectoryError, ValueError):
        now = None
    except OSError as exc:  # it may be there: what is held of it stays
        plan.failed.append(_unseen(key, exc))
        return
    if now and held and (now.st_size, now.st_mtime_ns) == held[1:]:
        _keep(plan, key)
    elif now or not key.startswith(away):
        _place(plan, Path(os.fsdecode(key)), held, now)


def _keep(plan: _Plan, key: bytes) -> None:
    """The file is the one that was read."""
    if key in plan.outdated:
        plan.reread.append(Path(os.fsdecode(key)))
    else:
        plan.unchanged += 1


def _unseen(key: bytes, error: OSError) -> tuple[Path, str]:
    path = Path(os.fsdecode(key))
    return path, f"{one_line(str(path))}: cannot be looked at ({error.strerror}): check the rights of its folder"


def _place(plan: _Plan, path: Path, held: tuple[str, int, int] | None, now: os.stat_result | None) -> None:
    if held is None:
        if now is None:
            plan.failed.append((path, f"{one_line(str(path))}: expected a file, there is none: check the path"))
        else:
            plan.new.append(path)
    elif now is None:
        plan.gone.append(path)
    elif now.st_size == held[1] and _sha256(path) == held[0]:
        plan.touched.append((path, now.st_mtime_ns))
        _keep(plan, path_key(path))
    else:
        plan.changed.append(path)


def _sha256(path: Path) -> str | None:
    try:
        return files.sha256(path)
    except OSError:
        return None


def _read_all(
    plan: _Plan,
    files: Iterable[tuple[Path, os.stat_result | None]],
    read: Callable[[Path], Document],
    on_progress: Progress | None,
) -> Iterator[Prepared]:
    n_files = len(plan.to_read)
    for n_done, (path, before) in enumerate(files):
        if on_progress:
            on_progress(n_done, n_files)
        try:
            document = read(path)
        except DocumentError as exc:
            plan.failed.append((path, str(exc)))
        else:
            cut = prepared(document, before)
            plan.n_passages += len(cut.passages)
            yield cut
    if on_progress:
        on_progress(n_files, n_files)
