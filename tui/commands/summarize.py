"""`edgeai summarize`: documents of any length, in some hundred words, with the pages that they come from."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from edgeai.notes.job import opened
from edgeai.notes.summarize import WORDS, summarize
from tui import session_options
from tui.notes_job import exit_code, output_for, readable, run
from tui.notes_options import notes_options, take_notes
from tui.path_type import DOCUMENT_PATH
from tui.progress_line import ProgressLine
from tui.session_options import given


@click.command()
@click.argument("paths", nargs=-1, required=True, type=DOCUMENT_PATH, metavar="FILE…")
@notes_options
def command(
    paths: tuple[Path, ...],
    model: str | None,
    **options: Any,
) -> int:
    """Summarise documents of any length: files, folders, globs.

    Each heading of a document gets a part with its pages; several documents are summarised one by one, then together.

    \b
      edgeai summarize manual.pdf
      edgeai summarize --length short -o notes.md reports/

    The work is kept step by step: after Ctrl-C, a crash or a power cut the same command goes on where it was.
    """
    asked = take_notes(options, WORDS)
    with ProgressLine() as line:
        documents, n_failed = readable(paths, asked.password, line, asked.ocr)
        if not documents:
            return 1
        output = output_for(asked, (document.path for document in documents))
        wishes = asked.wishes(block.text for document in documents for block in document.blocks)
        with session_options.open_session(model, **given({"on_load_progress": line.loading, **options})) as session:
            line.clear()
            facts = {"command": "summarize", **asdict(wishes)}
            with opened(session, documents, facts, asked.sampling) as job:
                run(job, lambda ask, on_part: summarize(session, documents, ask, wishes, on_part), output, line)
    return exit_code(n_failed, len(documents))
