"""Files that are turned into texts, one after the other: where the texts go, and what becomes of a file that fails."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from edgeai.errors import EdgeAIError
from edgeai.safe_text import one_line
from tui.output import message
from tui.progress_line import ProgressLine


def each_file(paths: Sequence[Path], line: ProgressLine, one: Callable[[int, Path], None]) -> int:
    """Call `one` with each file's number, from 1 on, and its path; a line on stderr for each that fails.

    Returns:
        How many failed.
    """
    n_failed = 0
    for number, path in enumerate(paths, 1):
        try:
            one(number, path)
        except (EdgeAIError, OSError) as exc:
            if isinstance(exc, BrokenPipeError):
                raise
            n_failed += 1
            line.clear()
            text = str(exc) if isinstance(exc, EdgeAIError) else f"{exc.filename or path}: {exc.strerror or exc}"
            message("error", text, "red")
    return n_failed


class Targets:
    """The files that texts go to, in one folder, or none: then they are printed."""

    def __init__(
        self, paths: Sequence[Path], folder: Path | None, suffix: str, *, force: bool, error: type[EdgeAIError]
    ) -> None:
        """
        Args:
            paths: all that are turned into texts.
            folder: where the texts go; None prints them.
            suffix: of the texts' files.
            force: files there may be replaced.
            error: raised where a text has no place.
        """
        self._folder, self._suffix, self._force, self._error = folder, suffix, force, error
        self._n_paths = len(paths)
        self._n_of_stem = Counter(path.stem for path in paths)
        self._taken: set[Path] = set()

    def of(self, path: Path) -> Path | None:
        """The file that a path's text goes to; paths of one name with different endings keep theirs.

        Where several are printed on a terminal, the path's own name is put above its text.
        """
        if self._folder is None:
            if self._n_paths > 1 and sys.stdout.isatty():
                click.echo(click.style(one_line(os.fspath(path)), bold=True))
            return None
        name = path.name if self._n_of_stem[path.stem] > 1 else path.stem
        target = self._folder / (name + self._suffix)
        if target in self._taken:
            raise self._error(f"{path}: {target} is another file's text already: expected another folder for it")
        if os.path.lexists(target) and not self._force:
            raise self._error(f"{target}: it is there already: expected a new file; --force replaces it")
        self._taken.add(target)
        return target
