"""`edgeai report`: a report by an outline, written from documents, with the places of its statements."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgeai.documents.read import is_readable
from edgeai.errors import OptionError
from edgeai.notes.job import Job, opened
from edgeai.notes.outline import Outline, outline_of, proposed
from edgeai.notes.report import WORDS, filled, report
from edgeai.notes.shelf import Shelf
from edgeai.safe_text import one_line
from tui import session_options
from tui.libraries import library_option, opened_libraries
from tui.notes_job import exit_code, output_for, readable, run
from tui.notes_options import checked_text, notes_options, take_notes
from tui.path_type import DOCUMENT_PATH
from tui.progress_line import ProgressLine
from tui.session_options import given

if TYPE_CHECKING:
    from edgeai.documents.library import Library
    from edgeai.documents.types import Document
    from edgeai.notes.condense import Wishes
    from edgeai.notes.markdown import Notes
    from edgeai.notes.steps import Ask
    from edgeai.notes.summarize import OnPart
    from edgeai.session import Session
    from tui.notes_job import Output


@click.command()
@click.option("--from", "paths", multiple=True, type=DOCUMENT_PATH, metavar="PATH", help="Documents.")
@library_option
@click.option("--outline", "wanted_outline", required=True, metavar='FILE|"TOPIC"', help="Headings, or a topic.")
@notes_options
def command(
    paths: tuple[Path, ...],
    library_names: tuple[str, ...],
    wanted_outline: str,
    model: str | None,
    **options: Any,
) -> int:
    """Write a report from documents: --from a file, a folder or a glob, or --library, as often as there are some.

    The outline is a file with headings (# Title, ## Section), where a text under a heading says what to write there;
    or a topic, for which the model proposes the headings. --words is meant for each section.

    \b
      edgeai report --from manuals/ --outline outline.md -o report.md
      edgeai report --from rules.pdf --outline "safety of the press"
      edgeai report --library default --outline outline.md

    The work is kept step by step: after Ctrl-C, a crash or a power cut the same command goes on where it was.
    """
    asked = take_notes(options, WORDS)
    if not paths and not library_names:
        raise click.UsageError("Missing option '--from' or '--library'.")
    with ProgressLine() as line, opened_libraries(library_names) as libraries:
        outline = _outline(wanted_outline, line)
        documents, n_failed = readable(paths, asked.password, line, asked.ocr)
        if not documents and not libraries:
            return 1
        held = (stored.path for library in libraries for stored in library.documents())
        output = output_for(asked, (*(document.path for document in documents), *held))
        texts = [block.text for document in documents for block in document.blocks]
        wishes = asked.wishes(texts or _headings(outline))
        with session_options.open_session(model, **given({"on_load_progress": line.loading, **options})) as session:
            line.clear()
            facts = {"command": "report", "outline": repr(outline), "libraries": library_names, **asdict(wishes)}
            with opened(session, documents, facts, asked.sampling) as job:
                _write(job, session, (documents, libraries), outline, wishes, output, line)
    return exit_code(n_failed, len(documents))


def _write(
    job: Job,
    session: Session,
    sources: tuple[Sequence[Document], Sequence[Library]],
    wanted_outline: Outline | str,
    wishes: Wishes,
    output: Output,
    line: ProgressLine,
) -> None:
    documents, libraries = sources
    line.start()
    line.show("indexing")
    with ExitStack() as stack:
        own = stack.enter_context(filled(job.journal.folder / "library", documents)) if documents else None
        shelf = stack.enter_context(closing(Shelf(own, libraries)))

        def work(ask: Ask, on_part: OnPart) -> Notes:
            outline = wanted_outline
            if isinstance(outline, str):
                outline = proposed(outline, documents, shelf, ask, wishes.text)
            return report(session, shelf, outline, ask, wishes, on_part)

        run(job, work, output, line)


def _headings(outline: Outline | str) -> list[str]:
    """What tells the language of a report, where no document is at hand."""
    return [outline] if isinstance(outline, str) else [section.heading for section in outline.sections]


def _outline(wanted: str, line: ProgressLine) -> Outline | str:
    """The outline of a file, or the topic."""
    path = Path(wanted)
    try:
        is_file = bool(wanted) and path.exists()  # an empty path is the current folder
    except OSError:  # longer than any name
        is_file = False
    if is_file:
        from edgeai.documents.read import read_document

        outline = outline_of(read_document(path))
        line.clear()
        return outline
    if is_readable(path) and len(wanted.split()) == 1:
        raise OptionError(f"{one_line(wanted)}: no such file: expected an outline, or a topic of several words")
    topic = checked_text("--outline", wanted)
    assert topic is not None
    return topic
