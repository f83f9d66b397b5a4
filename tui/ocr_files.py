"""Reading pictures and PDFs one after the other: what is shown meanwhile, and where the text goes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import click

from edgeai.documents.read import read_pages
from edgeai.errors import PictureError
from edgeai.files import write_text
from edgeai.finding import Sought, find_files
from edgeai.history_export import inert_json
from edgeai.safe_text import one_line
from edgeai.vision import ocr
from edgeai.vision.ocr import PictureText
from edgeai.vision.picture import PictureReader
from edgeai.vision.sniff import is_picture
from tui.docs_reading import fitted
from tui.output import message
from tui.progress_line import ProgressLine
from tui.text_files import Targets, each_file

_SUFFIXES = {"text": ".txt", "markdown": ".md", "json": ".json"}
_PDF_WITHIN = 1024  # readers take a header that stands so late
_FOUND = Sought(
    "picture or PDF", ".jpg, .png, .pdf", lambda path: is_picture(path) or path.suffix.lower() == ".pdf", PictureError
)

Format = Literal["text", "markdown", "json"]
OnPage = Callable[[int | None, tuple[int, int], PictureText], None]


@dataclass(frozen=True, slots=True)
class Wishes:
    """What was asked for.

    Attributes:
        format: "text", "markdown" or "json".
        folder: that the texts go to; None prints them.
        force: files there may be replaced.
        password: of encrypted PDFs.
    """

    format: Format
    folder: Path | None
    force: bool
    password: str | None


def find_readable(paths: Iterable[Path]) -> tuple[list[Path], list[str]]:
    """The pictures and PDFs that paths stand for, and a line for each path that stands for none."""
    found = list(find_files(paths, _FOUND))
    failed = [str(each) for each in found if isinstance(each, PictureError)]
    return [each for each in found if isinstance(each, Path)], failed


class Recognizing:
    """Reads files; a line goes on meanwhile."""

    def __init__(self, paths: Sequence[Path], wishes: Wishes, line: ProgressLine) -> None:
        self._paths, self._wishes, self._line = paths, wishes, line
        self._pictures = PictureReader()
        suffix = _SUFFIXES[wishes.format]
        self._targets = Targets(paths, wishes.folder, suffix, force=wishes.force, error=PictureError)

    def __enter__(self) -> Recognizing:
        return self

    def __exit__(self, *_exc: object) -> None:
        self._pictures.close()

    def run(self) -> int:
        """All of them; a line on stderr for each that fails. Returns how many did."""
        return each_file(self._paths, self._line, self._one)

    def _one(self, number: int, path: Path) -> None:
        target = self._targets.of(path)
        prints_pages = target is None and self._wishes.format != "json"
        pages: list[_Page] = []

        def take(page: int | None, size: tuple[int, int], found: PictureText) -> None:
            pages.append(_Page(page, size, found))
            if prints_pages and (text := pages[-1].text(self._wishes.format)):
                self._line.clear()
                click.echo(text)

        self._line.start()
        self._show(number, path, "")
        self._read(number, path, take)
        self._line.clear()
        if not any(page.found.lines for page in pages):
            message("note", f"{path}: nothing that is written in it can be recognised", "yellow")
        if not prints_pages:
            self._put(path, pages, target)

    def _read(self, number: int, path: Path, take: OnPage) -> None:
        if _is_pdf(path):
            read_pages(
                path,
                take,
                password=self._wishes.password,
                on_progress=lambda n_done, n_all: self._show(number, path, f" page {n_done:,} of {n_all:,}"),
            )
            return
        picture = self._pictures.load(path)
        for note in picture.notes:
            self._line.clear()
            message("note", f"{path}: {note}", "yellow")
        take(None, picture.medium.size, ocr.read_text(picture.medium))

    def _show(self, number: int, path: Path, tail: str) -> None:
        of = f" {number:,} of {len(self._paths):,}" if len(self._paths) > 1 else ""
        head = f"reading{of}: "
        room = max(8, shutil.get_terminal_size().columns - len(head) - len(tail) - 1)
        self._line.show(f"{head}{fitted(one_line(path.name), room)}{tail}")

    def _put(self, path: Path, pages: Sequence[_Page], target: Path | None) -> None:
        if self._wishes.format == "json":
            text = inert_json({"file": os.fspath(path), "pages": [page.facts() for page in pages]})
        else:
            text = "\n\n".join(filter(None, (page.text(self._wishes.format) for page in pages)))
        if target is None:
            click.echo(text)
        else:
            write_text(target, text + "\n")
            click.echo(one_line(os.fspath(target)))


@dataclass(frozen=True, slots=True)
class _Page:
    """What stands on a page of a PDF, or in a picture, whose number is None."""

    number: int | None
    size: tuple[int, int]
    found: PictureText

    def text(self, format_: str) -> str:
        return self.found.markdown if format_ == "markdown" else self.found.text

    def facts(self) -> dict[str, Any]:
        lines = [{"text": line.text, "box": line.box, "score": round(line.score, 4)} for line in self.found.lines]
        return {"page": self.number, "width": self.size[0], "height": self.size[1], "lines": lines}


def _is_pdf(path: Path) -> bool:
    """By its content; what cannot be opened is no PDF, and its reader says why."""
    if not path.is_file():
        return path.suffix.lower() == ".pdf"
    with path.open("rb") as file:
        return b"%PDF-" in file.read(_PDF_WITHIN)
