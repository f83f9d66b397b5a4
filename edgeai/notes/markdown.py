"""Notes as Markdown: the whole of them, what is finished so far, and the file that they grow in."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from edgeai.documents.types import Citation
from edgeai.errors import OptionError
from edgeai.files import write_text
from edgeai.notes.fixed_words import ENGLISH, FixedWords
from edgeai.safe_text import one_line

_ACTIVE = re.compile(r"[\\`*<>\[\]]|_(?![^\W_])|(?<![^\W_])_")  # an underscore within a word means nothing


@dataclass(slots=True)
class NotesPart:
    """A part of notes.

    Attributes:
        heading: one line, hostile.
        level: of the heading, 2 … 6.
        text: Markdown; None as long as it is to be written, "" where nothing but the heading is meant to stand.
        places: that it comes from: `manual.pdf p. 12-14`; hostile.
        places_are: what is said before them.
        citations: what supports the statements of the text; their marks stand in it, with labels that are escaped.
    """

    heading: str
    level: int = 2
    text: str | None = None
    places: tuple[str, ...] = ()
    places_are: str = ""
    citations: tuple[Citation, ...] = ()


@dataclass(slots=True)
class Notes:
    """A summary or a report, being made.

    Attributes:
        title: one line, hostile.
        overview: what stands under the title; None as long as it is to be written, "" where there is none.
        parts: in the order in which they stand, which need not be the one in which they are written.
        places: that the overview comes from.
        fixed: what they say by themselves.
    """

    title: str
    overview: str | None = None
    parts: list[NotesPart] = field(default_factory=list)
    places: tuple[str, ...] = ()
    fixed: FixedWords = ENGLISH

    @property
    def is_whole(self) -> bool:
        """Whether nothing is left to be written."""
        return self.overview is not None and all(part.text is not None for part in self.parts)


def markdown(notes: Notes) -> str:
    """The notes, or what is finished of them, which then says so at its end."""
    lines = [f"# {escaped(notes.title)}", *_body(notes.overview, notes.places)]
    for part in notes.parts:
        has_more = part.text is not None or any(other.text for other in _below(notes, part))
        if has_more:
            lines += [heading_line(part), *_body(part.text, part.places, part.places_are)]
    if not notes.is_whole:
        lines.append(notes.fixed.unfinished)
    return "\n\n".join(lines) + "\n"


def heading_line(part: NotesPart) -> str:
    """The line over a part."""
    return f"{'#' * min(max(part.level, 2), 6)} {escaped(part.heading)}"


def part_body(part: NotesPart) -> str:
    """What stands under that line."""
    return "\n\n".join(_body(part.text, part.places, part.places_are))


def parent_of(notes: Notes, part: NotesPart) -> NotesPart | None:
    """The part that a part stands under."""
    index = next(index for index, other in enumerate(notes.parts) if other is part)
    return next((other for other in reversed(notes.parts[:index]) if other.level < part.level), None)


def escaped(text: str) -> str:
    """A title, heading or name of a document, whose characters mean nothing in Markdown."""
    return _ACTIVE.sub(lambda match: "\\" + match.group(), one_line(text)).strip() or "Untitled"


class NotesFile:
    """The file that notes grow in: `FILE.md.part`, which becomes `FILE.md` when they are whole."""

    def __init__(self, path: Path, sources: tuple[Path, ...] = ()) -> None:
        """
        Args:
            path: the file.
            sources: files that it must not replace.
        Raises:
            OptionError: nothing can be written there, or a source would be lost.
        """
        self.path = path
        self.part_path = path.with_name(path.name + ".part")
        shown = one_line(str(path))
        if not path.parent.is_dir():
            raise OptionError(f"{shown}: no such folder: expected a file in a folder that exists; make the folder")
        for target in (path, self.part_path):
            if os.path.lexists(target) and not target.is_file():
                raise OptionError(f"{one_line(str(target))}: it is no regular file: expected a new or an older file")
        if any(path.exists() and source.exists() and path.samefile(source) for source in sources):
            raise OptionError(f"{shown}: it is one of the documents: expected another file; choose another name")
        if not os.access(path.parent, os.W_OK):
            raise OptionError(f"{shown}: the folder cannot be written: expected one that you may write to")

    def write(self, notes: Notes) -> None:
        """Show what is finished."""
        write_text(self.part_path, markdown(notes))

    def finish(self, notes: Notes) -> None:
        """Put the whole in place, with the rights that any new file gets, or those of the file that it replaces."""
        write_text(self.part_path, markdown(notes))
        target = Path(os.path.realpath(self.path))
        self.part_path.chmod(stat.S_IMODE(target.stat().st_mode) if target.exists() else 0o666 & ~_umask())
        self.part_path.replace(target)


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _body(text: str | None, places: tuple[str, ...], places_are: str = "") -> Iterator[str]:
    if text:
        yield text
        if places:
            yield " ".join([*filter(None, [places_are]), *(f"[{escaped(place)}]" for place in places)])


def _below(notes: Notes, part: NotesPart) -> Iterator[NotesPart]:
    index = next(index for index, other in enumerate(notes.parts) if other is part)
    for other in notes.parts[index + 1 :]:
        if other.level <= part.level:
            return
        yield other
