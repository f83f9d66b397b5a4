"""The reading process, seen from here: started, fed, watched, believed only as far as it can be checked."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from edgeai.documents.reading import limits
from edgeai.documents.reading.wire import Began, Bytes, Finished, Job, Part, Parts, Refused, Reply, Scan, Working
from edgeai.documents.types import Block, OcrMode
from edgeai.engine.link import Link
from edgeai.engine.process import ChildProcess
from edgeai.engine.watchdog import Pace
from edgeai.errors import DocumentError, EngineCrashedError, ModelError, PictureError
from edgeai.media import Medium
from edgeai.safe_text import one_line, plain

_START = (
    "import sys; sys.path[:] = sys.argv[2:]; from edgeai.documents.reading.child import main; main(int(sys.argv[1]))"
)
_MAX_WORDS = 600
_MAX_TITLE = 300
_MAX_KIND = 20
_DOING = "at work"

Progress = Callable[[int, int], None]
OnScan = Callable[[int, Medium], Iterable[Block]]
"""Recognises what stands on a page, whose number it gets too; blocks without a page."""


@dataclass(frozen=True, slots=True)
class Content:
    """What was read of a file; see `edgeai.documents.types.Document`."""

    kind: str
    title: str
    blocks: tuple[Block, ...]
    n_pages: int | None
    pages_without_text: tuple[int, ...]


class Reading:
    """One file that is being read in its process; `reading` makes one."""

    def __init__(self, link: Link[Reply], n_bytes: int, on_scan: OnScan | None) -> None:
        self._link = link
        self._n_bytes = n_bytes
        self._on_scan = on_scan
        self._started = time.monotonic()

    def feed(self, data: bytes) -> None:
        """Send the next of the file's bytes."""
        self._link.send(Bytes(data), _DOING)

    def content(self, on_progress: Progress | None) -> Content:
        """Wait for the content, once all bytes were sent.

        Raises:
            DocumentError: it cannot be read; without the file's name.
            EngineCrashedError: the process crashed, hung, or sent what cannot be.
        """
        began = self._receive(None)
        if not isinstance(began, Began):
            raise self._unexpected(began)
        gathered = _Gathered(began.n_pages)
        if began.n_pages is not None and began.n_pages > limits.MAX_PAGES:
            raise self._distrusted(f"{began.n_pages:,} pages")
        while True:
            reply = self._receive(began.n_pages)
            if isinstance(reply, Parts):
                self._take(gathered, reply.parts)
            elif isinstance(reply, Scan) and self._on_scan is not None:
                self._recognize(reply, gathered, began.n_pages or 0)
                if on_progress is not None:
                    on_progress(reply.page, began.n_pages or reply.page)
            elif isinstance(reply, Working) and reply.n_done <= reply.n_total:
                if on_progress is not None:
                    on_progress(reply.n_done, reply.n_total)
            elif isinstance(reply, Finished):
                return self._content(began, gathered, reply)
            else:
                raise self._unexpected(reply)

    def _take(self, gathered: _Gathered, parts: list[Part]) -> None:
        problem = gathered.take(parts)
        if problem:
            raise self._distrusted(problem)

    def _recognize(self, scan: Scan, gathered: _Gathered, n_pages: int) -> None:
        """Put what stands on a page where it is; the process draws the next one meanwhile."""
        assert self._on_scan is not None
        try:
            picture = Medium.picture(scan.pixels, scan.width, scan.height)
        except PictureError as exc:
            raise self._distrusted(str(exc)) from exc
        if not gathered.last_scanned < scan.page <= n_pages:
            raise self._distrusted(f"page {scan.page:,} of {n_pages:,} after page {gathered.last_scanned:,}")
        gathered.last_scanned = scan.page
        began = time.monotonic()
        blocks = self._on_scan(scan.page, picture)
        self._started += time.monotonic() - began
        parts = [Part(block.text, block.kind, 0, scan.page, None) for block in blocks]
        self._take(gathered, parts)
        if parts:
            gathered.recognized.add(scan.page)

    def _content(self, began: Began, gathered: _Gathered, finished: Finished) -> Content:
        scans = finished.pages_without_text
        if any(page > (began.n_pages or 0) for page in scans) or any(
            page >= later for page, later in itertools.pairwise(scans)
        ):
            raise self._distrusted("pages without text that it does not have")
        return Content(
            kind=one_line(began.kind)[:_MAX_KIND],
            title=one_line(finished.title).strip()[:_MAX_TITLE],
            blocks=tuple(gathered.blocks),
            n_pages=began.n_pages,
            pages_without_text=tuple(page for page in scans if page not in gathered.recognized),
        )

    def _receive(self, n_pages: int | None) -> Reply:
        most_s = limits.total_s(self._n_bytes, n_pages, is_scanned=self._on_scan is not None)
        if time.monotonic() - self._started > most_s:
            raise DocumentError(
                f"it took more than {most_s:,.0f} s to read {self._n_bytes:,} bytes: expected a file that is read in "
                "that time; save it again in its program, or split it"
            )
        reply = self._link.receive(limits.STALL_S, _DOING)
        if isinstance(reply, Refused):
            raise DocumentError(one_line(reply.words)[:_MAX_WORDS], needs_password=reply.needs_password)
        return reply

    def _unexpected(self, reply: Reply) -> EngineCrashedError:
        return self._distrusted(f"{type(reply).__name__} out of turn")

    def _distrusted(self, what: str) -> EngineCrashedError:
        return self._link.distrusted(what, _DOING)


class _Gathered:
    """The blocks that came, within their limits, and the headings they stand under.

    Attributes:
        last_scanned: the last page that came as a picture.
        recognized: pages whose text was recognised.
    """

    def __init__(self, n_pages: int | None) -> None:
        self.blocks: list[Block] = []
        self.last_scanned = 0
        self.recognized: set[int] = set()
        self._n_pages = n_pages or 0
        self._n_text_bytes = 0
        self._open: list[tuple[int, str]] = []  # level and text of headings, the outermost first
        self._headings: tuple[str, ...] = ()

    def take(self, parts: list[Part]) -> str:
        """Add blocks; what is wrong with them, or ""."""
        for part in parts:
            text = plain(part.text).strip("\n")
            self._n_text_bytes += len(text.encode())
            if part.page is not None and part.page > self._n_pages:
                return f"a block on page {part.page:,} of {self._n_pages:,}"
            if self._n_text_bytes > limits.MAX_TEXT_BYTES or len(self.blocks) >= limits.MAX_BLOCKS:
                return "more text than it may"
            if (part.level > 0) != (part.kind == "heading"):
                return f"a {part.kind} of level {part.level}"
            if part.level:
                text = one_line(text).strip()
                self._close(part.level)
            self.blocks.append(Block(text, part.kind, part.page, part.line, self._headings))
            if part.level:
                self._open.append((part.level, text[:_MAX_TITLE]))
                self._headings = tuple(heading for _, heading in self._open)
        return ""

    def _close(self, level: int) -> None:
        while self._open and self._open[-1][0] >= level:
            self._open.pop()
        self._headings = tuple(heading for _, heading in self._open)


@contextlib.contextmanager
def reading(
    n_bytes: int,
    *,
    expected: str | None,
    suffix: str,
    password: str | None,
    ocr: OcrMode = "never",
    on_scan: OnScan | None = None,
) -> Iterator[Reading]:
    """Start a process that reads one file; it ends with the block.

    Args:
        n_bytes: the file's.
        expected: the kind that its name promises.
        suffix: of its name, in small letters.
        password: of an encrypted file.
        ocr: which pages are recognised.
        on_scan: recognises one.
    Raises:
        DocumentError: from within the block too; without the file's name.
    """
    try:
        process: ChildProcess[Reply] = ChildProcess(Reply, _START)
    except ModelError as exc:
        raise DocumentError(
            f"no process can be started to read it in ({exc.__cause__ or 'this program has no Python of its own'}): "
            "expected an ordinary Python and free memory; close other programs, or run edgeai from one"
        ) from exc
    with contextlib.ExitStack() as stack:
        stack.callback(process.close)
        link = Link(process, Pace(0, limits.STALL_S))
        stack.callback(link.close)
        job = Job(n_bytes, expected, suffix, password, limits.policy(n_bytes), ocr)
        try:
            with link.watched():
                link.send(job, _DOING)
                yield Reading(link, n_bytes, on_scan)
        except EngineCrashedError as exc:
            raise DocumentError(_words(exc)) from exc


def _words(error: EngineCrashedError) -> str:
    return one_line(
        f"the process that reads it {error.end}: expected an undamaged file that is read within the limits of time and "
        "memory; fetch it or save it again, or split it"
    )
