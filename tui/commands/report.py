"""`edgeai report`: a report by an outline, written from documents, with the places of its statements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgeai.documents.read import is_readable
from edgeai.errors import OptionError
from edgeai.notes.condense import Wishes
from edgeai.notes.job import Job, opened
from edgeai.notes.outline import Outline, outline_of, proposed
from edgeai.notes.prompts import wishes as wishes_text
from edgeai.notes.report import WORDS, filled, report
from edgeai.safe_text import one_line
from tui import session_options
from tui.notes_job import checked_text, n_failed_text, notes_options, output_for, readable, run
from tui.output import message
from tui.progress_line import ProgressLine
from tui.session_options import given, take_sampling

if TYPE_CHECKING:
    from edgeai.documents.types import Document
    from edgeai.notes.markdown import Notes
    from edgeai.notes.steps import Ask
    from edgeai.notes.summarize import OnPart
    from edgeai.session import Session
    from tui.notes_job import Output


@click.command()
@click.option(
    "--from", "paths", required=True, multiple=True, type=click.Path(path_type=Path), metavar="PATH", help="Documents."
)
@click.option("--outline", "wanted_outline", required=True, metavar='FILE|"TOPIC"', help="Headings, or a topic.")
@notes_options
def command(
    paths: tuple[Path, ...],
    wanted_outline: str,
    model: str | None,
    password: str | None,
    length: str,
    words: int | None,
    language: str | None,
    prompt: str | None,
    out: Path | None,
    dry_run: bool,
    as_json: bool,
    **options: Any,
) -> int:
    """Write a report from documents: --from a file, a folder or a glob, as often as there are some.

    The outline is a file with headings (# Title, ## Section), where a text under a heading says what to write there;
    or a topic, for which the model proposes the headings. --words is meant for each section.

    \b
      edgeai report --from manuals/ --outline outline.md -o report.md
      edgeai report --from rules.pdf --outline "safety of the press"

    The work is kept step by step: after Ctrl-C, a crash or a power cut the same command goes on where it was.
    """
    sampling = take_sampling(options)
    language, prompt = checked_text("--language", language), checked_text("--prompt", prompt)
    wishes = Wishes(words or WORDS[length], wishes_text(language, prompt), sampling.pop("max_tokens", None))
    with ProgressLine() as line:
        outline = _outline(wanted_outline, line)
        documents, n_failed = readable(paths, password, line)
        if not documents:
            return 1
        output = output_for(out, documents, dry_run, as_json)
        with session_options.open_session(model, **given({"on_load_progress": line.loading, **options})) as session:
            line.clear()
            facts = {"command": "report", "outline": repr(outline), **asdict(wishes)}
            with opened(session, documents, facts, sampling) as job:
                _write(job, session, documents, outline, wishes, output, line)
    if n_failed:
        message("note", n_failed_text(n_failed, n_failed + len(documents)), "yellow")
    return int(n_failed > 0)


def _write(
    job: Job,
    session: Session,
    documents: Sequence[Document],
    wanted_outline: Outline | str,
    wishes: Wishes,
    output: Output,
    line: ProgressLine,
) -> None:
    line.start()
    line.show("indexing")
    with filled(job.journal.folder / "library", documents) as library:

        def work(ask: Ask, on_part: OnPart) -> Notes:
            outline = wanted_outline
            if isinstance(outline, str):
                outline = proposed(outline, documents, library, ask, wishes.text)
            return report(session, library, outline, ask, wishes, on_part)

        run(job, work, output, line)


def _outline(wanted: str, line: ProgressLine) -> Outline | str:
    """The outline of a file, or the topic."""
    path = Path(wanted)
    try:
        is_file = path.exists()
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
