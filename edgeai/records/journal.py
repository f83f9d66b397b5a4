"""Results of a long run, kept beside its output as they come, so that a run that was ended goes on where it was."""

from __future__ import annotations

import bisect
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from edgeai.errors import OptionError
from edgeai.file_lock import FileLockedError, lock_file
from edgeai.files import sync_dir
from edgeai.safe_text import one_line

_DIGEST_CHARS = 16
_MAX_LINE_BYTES = 1 << 28


class _Batch(NamedTuple):
    start: int
    n: int
    offset: int


class ResultJournal:
    """A file of lines, each with a checksum and durable once it is written: settings, then results by batches.

    What a kill or a full disk left half-written is cut off when the journal is opened again. Batches may come in any
    order (several machines); memory holds three numbers for each.

    Attributes:
        path: the file.
        n_found: results that were there when it was opened.
        n_done: results that are there.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any], *, replace: bool = False) -> None:
        """Open the journal of a run; made, where there is none.

        Args:
            path: of the file.
            settings: all that results depend on, as JSON can hold it.
            replace: a journal of other settings is thrown away.
        Raises:
            OptionError: it is another run's, or the same run is going on.
            OSError: the file cannot be written.
        """
        self.path = path
        self._file = _locked(path)
        self._batches: list[_Batch] = []
        self._starts: set[int] = set()
        self.n_done = 0
        try:
            self._begin(as_json(settings), replace)
        except BaseException:
            os.close(self._file)
            raise
        self.n_found = self.n_done
        self._ranges = _merged(self._batches)
        self._is_open = True

    def _begin(self, settings: Mapping[str, Any], replace: bool) -> None:
        header = _line(settings)
        with self.path.open("rb") as file:
            found = _parsed(file.readline(_MAX_LINE_BYTES))
            is_same = found == settings
            if found is not None and not is_same and not replace:
                raise OptionError(
                    f"{one_line(str(self.path))}: an unfinished run with other settings "
                    f"({different(found, settings)}): expected the same ones; "
                    "give the same options, choose another -o, or --force throws it away"
                )
            self._end = len(header)
            if not is_same:
                os.ftruncate(self._file, 0)
                self._write(header, 0)
                sync_dir(self.path.parent)
                return
            while entry := _parsed(line := file.readline(_MAX_LINE_BYTES)):
                start, results = entry
                self._note(start, len(results))
                self._end += len(line)
        os.ftruncate(self._file, self._end)

    def is_done(self, index: int) -> bool:
        """Whether an item's result was there when the journal was opened."""
        place = bisect.bisect_right(self._ranges, (index, float("inf"))) - 1
        return place >= 0 and index < self._ranges[place][1]

    def add(self, start: int, results: Sequence[Any]) -> None:
        """Keep the results of items from `start` on; durable on return. A batch that is there already is left out.

        Raises:
            OSError: it could not be written whole.
        """
        if not results or start in self._starts:
            return
        line = _line([start, list(results)])
        self._write(line, self._end)
        self._note(start, len(results))
        self._end += len(line)

    def results(self) -> Iterator[tuple[int, Any]]:
        """All results with their indices, in order, each index once."""
        following = 0
        with self.path.open("rb") as file:
            for start, _, offset in sorted(self._batches):
                file.seek(offset)
                entry = _parsed(file.readline(_MAX_LINE_BYTES))
                if entry is None:
                    raise OSError(f"{self.path}: a line of it has changed: run again with --force")
                for index, result in enumerate(entry[1], start):
                    if index >= following:
                        yield index, result
                        following = index + 1

    def remove(self) -> None:
        """The run is finished: nothing of it is needed any more."""
        self.path.unlink(missing_ok=True)  # before another process can take it up
        self.close()

    def close(self) -> None:
        """Let go of it; what is kept stays. May be called twice."""
        if self._is_open:
            self._is_open = False
            os.close(self._file)

    def __enter__(self) -> ResultJournal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _note(self, start: int, n: int) -> None:
        self._batches.append(_Batch(start, n, self._end))
        self._starts.add(start)
        self.n_done += n

    def _write(self, line: bytes, offset: int) -> None:
        os.lseek(self._file, offset, os.SEEK_SET)
        n_written = 0
        try:
            while n_written < len(line):  # a signal or a full disk may end it early
                n_written += os.write(self._file, line[n_written:])
            os.fsync(self._file)
        except OSError as exc:
            raise OSError(exc.errno, exc.strerror, str(self.path)) from exc


def as_json(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as they come back from a file: with lists for tuples."""
    found: dict[str, Any] = json.loads(json.dumps(settings))
    return found


def different(one: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """The names of the settings in which two runs differ."""
    names = [name for name in {**one, **other} if one.get(name) != other.get(name)]
    return ", ".join(one_line(str(name))[:40] for name in names[:8]) or "their order"


def _locked(path: Path) -> int:
    try:
        return lock_file(path)
    except FileLockedError as exc:
        shown = one_line(str(path))
        raise OptionError(f"{shown}: another process is at the same run: expected one; wait for it to end") from exc


def _line(value: Any) -> bytes:
    entry = json.dumps(value, separators=(",", ":")).encode()
    return hashlib.sha256(entry).hexdigest()[:_DIGEST_CHARS].encode() + b" " + entry + b"\n"


def _parsed(line: bytes) -> Any:
    """What stands in a line that is as it was written; None in any other."""
    digest, _, entry = line.rstrip(b"\n").partition(b" ")
    if not line.endswith(b"\n") or hashlib.sha256(entry).hexdigest()[:_DIGEST_CHARS].encode() != digest:
        return None
    return json.loads(entry)


def _merged(batches: Sequence[_Batch]) -> list[tuple[int, int]]:
    """The items that the batches hold, as ranges that do not touch."""
    ranges: list[tuple[int, int]] = []
    for start, n, _ in sorted(batches):
        if ranges and start <= ranges[-1][1]:
            ranges[-1] = (ranges[-1][0], max(ranges[-1][1], start + n))
        else:
            ranges.append((start, start + n))
    return ranges
