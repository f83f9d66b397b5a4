"""Reading files into a library: what is shown meanwhile, and what is said afterwards."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeai.documents.read import read_document
from edgeai.documents.read_ahead import ReadAhead, n_readers
from edgeai.documents.scans import advice
from edgeai.errors import DocumentError
from edgeai.safe_text import one_line
from tui.docs_ctrl_c import CtrlC
from tui.docs_words import counted, span_text
from tui.output import message
from tui.pace import Pace
from tui.progress_line import ProgressLine

if TYPE_CHECKING:
    from edgeai.cluster import Cluster
    from edgeai.documents.library_roots import Found
    from edgeai.documents.library_types import UpdateReport
    from edgeai.documents.read_cluster import ClusterReader
    from edgeai.documents.types import Document, OcrMode


class FileReader:
    """Reads files for `Library.update`, ahead of it: a line goes on, one tells of what cannot be read, Ctrl-C ends it.

    Attributes:
        n_read: files that were read.
        told: the files that a line has told of.
    """

    def __init__(
        self, line: ProgressLine, ctrl_c: CtrlC, password: str | None, ocr: OcrMode, cluster: Cluster | None = None
    ) -> None:
        self.n_read = 0
        self.told: set[Path] = set()
        self._line, self._ctrl_c = line, ctrl_c
        self._password, self._ocr, self._cluster = password, ocr, cluster
        self._pace = Pace()
        self._n_done, self._n_total = 0, 0
        self._ahead: ReadAhead | ClusterReader | None = None

    def plan(self, paths: Sequence[Path]) -> None:
        """Begin to read these, which are asked for in this order."""
        self.close()
        if self._cluster is None:
            self._ahead = ReadAhead(paths, self._read, n_readers(), self._show)
            return
        from edgeai.documents.read_cluster import ClusterReader

        self._ahead = ClusterReader(self._cluster, paths, self._read_here, password=self._password, ocr=self._ocr)

    def close(self) -> None:
        """End what is still being read."""
        if self._ahead is None:
            return
        self._ahead.close()
        if n_here := getattr(self._ahead, "n_here", 0):
            self._line.clear()
            what = f"{counted(n_here, 'file')} read here: not on the cluster's machines, or another there"
            message("note", f"{what}; expected folders that all of them share", "yellow")

    def progress(self, n_done: int, n_total: int) -> None:
        """So many of the files that must be read are done."""
        self._n_done, self._n_total = n_done, n_total

    def __call__(self, path: Path) -> Document:
        """The next one, read; a line tells of what cannot be read before it is raised."""
        assert self._ahead, "plan comes first"
        self._show(path, 0, 1)
        try:
            with self._ctrl_c.interruptible():
                document = self._ahead.take()
        except DocumentError as exc:
            self.tell("error", path, str(exc), "red")
            raise
        self.n_read += 1
        if pages := document.pages_without_text:
            some = f"{counted(len(pages), 'page')} of {document.n_pages:,} are pictures without text, and not found"
            what = f"{some}: {advice(document.ocr)}"
            self.tell("note", path, f"{one_line(str(path))}: {what}", "yellow")
        return document

    def _read(self, path: Path, on_progress: Callable[[int, int], None]) -> Document:
        return read_document(path, password=self._password, keep_pages=True, ocr=self._ocr, on_progress=on_progress)

    def _read_here(self, path: Path) -> Document:
        return self._read(path, partial(self._show, path))

    def tell(self, prefix: str, path: Path, text: str, color: str) -> None:
        """A line about a file."""
        self.told.add(path)
        self._line.clear()
        message(prefix, text, color)

    def _show(self, path: Path, n_done: int, n_total: int) -> None:
        share = n_done / n_total if n_total else 0.0
        self._pace.tell(round(1000 * (self._n_done + share)), 1000 * self._n_total)
        head = f"reading {self._n_done + 1:,} of {self._n_total:,} ({self._pace.words}): "
        tail = f" {share:.0%}" if 0 < share < 1 else ""
        room = shutil.get_terminal_size().columns - len(head) - len(tail) - 1
        self._line.show(f"{head}{fitted(one_line(path.name), room)}{tail}")


class Outcome:
    """What became of one `add` or `update`, in words or as JSON.

    Attributes:
        failed: a line for each path that failed.
    """

    def __init__(self, library: str) -> None:
        """It begins now, before files are looked for."""
        self.library = library
        self.failed: list[str] = []
        self._n_empty = 0
        self._began = time.monotonic()

    def take(self, found: Found) -> None:
        """Note what could not be found."""
        self.failed += found.failed
        self._n_empty += found.n_empty

    def facts(self, report: UpdateReport) -> dict[str, Any]:
        """All of it, for a program."""
        return {
            "library": self.library,
            "added": list(map(str, report.added)),
            "changed": list(map(str, report.changed)),
            "reread": list(map(str, report.reread)),
            "removed": list(map(str, report.removed)),
            "unchanged": report.unchanged,
            "failed": self.failed,
            "empty": self._n_empty,
            "passages": report.n_passages,
            "seconds": round(time.monotonic() - self._began, 3),
        }

    def words(self, report: UpdateReport) -> str:
        """One line: what is none is left out, but for what was added."""
        counts = [
            f"{len(report.added):,} added",
            *([f"{len(report.changed):,} changed"] if report.changed else []),
            *([f"{len(report.reread):,} read again for this version"] if report.reread else []),
            *([f"{len(report.removed):,} removed"] if report.removed else []),
            *([f"{report.unchanged:,} unchanged"] if report.unchanged else []),
            *([f"{len(self.failed):,} failed"] if self.failed else []),
            *([f"{counted(self._n_empty, 'empty file')} left out"] if self._n_empty else []),
        ]
        took = span_text(time.monotonic() - self._began)
        read = f"{counted(report.n_passages, 'passage')} in " if report.n_passages else ""
        return f"library {self.library}: {', '.join(counts)}; {read}{took}"


def fitted(text: str, width: int) -> str:
    """The text in at most so many cells; what is too long loses its middle, as names differ at their ends."""
    from rich.cells import cell_len

    if cell_len(text) <= width:
        return text
    keep = max(width - 1, 2)
    start, end = text, text
    while cell_len(start) > keep // 2:
        start = start[:-1]
    while cell_len(end) > keep - keep // 2:
        end = end[1:]
    return f"{start}…{end}"
