"""Bringing a library up to date: only what changed is read."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from edgeai import files
from edgeai.documents.library_rows import Prepared, path_key, prepared
from edgeai.documents.library_types import Progress, UpdateReport
from edgeai.documents.types import Document
from edgeai.errors import DocumentError
from edgeai.safe_text import one_line

if TYPE_CHECKING:
    from edgeai.documents.library import Library


@dataclass(slots=True)
class _Plan:
    """What is to be done, found out without reading documents."""

    new: list[Path] = field(default_factory=list)
    changed: list[Path] = field(default_factory=list)
    gone: list[Path] = field(default_factory=list)
    unchanged: int = 0
    failed: list[tuple[Path, str]] = field(default_factory=list)


def stat(path: Path) -> os.stat_result | None:
    """None where no file can be looked at."""
    try:
        return path.stat()
    except (OSError, ValueError):  # ValueError: a NUL in the name
        return None


def update(
    library: Library, paths: Iterable[Path], read: Callable[[Path], Document], on_progress: Progress | None
) -> UpdateReport:
    """What `Library.update` does."""
    plan = _plan(library, paths)
    to_read = [*plan.new, *plan.changed]
    if to_read:
        library.add_prepared(_read_all(to_read, read, on_progress, plan.failed))
    library.remove_paths(plan.gone)
    bad = {path for path, _ in plan.failed}
    return UpdateReport(
        added=tuple(path for path in plan.new if path not in bad),
        changed=tuple(path for path in plan.changed if path not in bad),
        removed=tuple(plan.gone),
        unchanged=plan.unchanged,
        failed=tuple(plan.failed),
    )


def _plan(library: Library, paths: Iterable[Path]) -> _Plan:
    """Paths stay bytes here as long as nothing is to be done: this is all that an update without changes costs."""
    plan, known = _Plan(), library.files()
    keys: dict[bytes, None] = {}
    for path in paths:
        try:
            keys[path_key(path)] = None
        except DocumentError as exc:
            plan.failed.append((path, str(exc)))
    for key in keys | dict.fromkeys(known):
        try:
            now = os.stat(key)  # noqa: PTH116 - of bytes, see above
        except (OSError, ValueError):
            now = None
        held = known.get(key)
        if now and held and (now.st_size, now.st_mtime_ns) == held[1:]:
            plan.unchanged += 1
        else:
            _place(library, plan, Path(os.fsdecode(key)), held, now)
    return plan


def _place(
    library: Library, plan: _Plan, path: Path, held: tuple[str, int, int] | None, now: os.stat_result | None
) -> None:
    if held is None:
        if now is None:
            plan.failed.append((path, f"{one_line(str(path))}: expected a file, there is none: check the path"))
        else:
            plan.new.append(path)
    elif now is None:
        plan.gone.append(path)
    elif now.st_size == held[1] and _sha256(path) == held[0]:
        library.touch(path, now.st_mtime_ns)
        plan.unchanged += 1
    else:
        plan.changed.append(path)


def _sha256(path: Path) -> str | None:
    try:
        return files.sha256(path)
    except OSError:
        return None


def _read_all(
    paths: list[Path],
    read: Callable[[Path], Document],
    on_progress: Progress | None,
    failed: list[tuple[Path, str]],
) -> Iterator[Prepared]:
    for n_done, path in enumerate(paths):
        if on_progress:
            on_progress(n_done, len(paths))
        before = stat(path)  # one that changes while it is read is seen as changed the next time
        try:
            document = read(path)
        except DocumentError as exc:
            failed.append((path, str(exc)))
        else:
            yield prepared(document, before)
    if on_progress:
        on_progress(len(paths), len(paths))
