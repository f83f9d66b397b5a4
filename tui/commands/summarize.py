"""`edgeai summarize`: documents of any length, in some hundred words, with the pages that they come from."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from edgeai.notes.condense import Wishes
from edgeai.notes.job import opened
from edgeai.notes.prompts import wishes as wishes_text
from edgeai.notes.summarize import WORDS, summarize
from tui import session_options
from tui.notes_job import checked_text, n_failed_text, notes_options, output_for, readable, run
from tui.output import message
from tui.progress_line import ProgressLine
from tui.session_options import given, take_sampling


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE…")
@notes_options
def command(
    paths: tuple[Path, ...],
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
    """Summarise documents of any length: files, folders, globs.

    Each heading of a document gets a part with its pages; several documents are summarised one by one, then together.

    \b
      edgeai summarize manual.pdf
      edgeai summarize --length short -o notes.md reports/

    The work is kept step by step: after Ctrl-C, a crash or a power cut the same command goes on where it was.
    """
    sampling = take_sampling(options)
    language, prompt = checked_text("--language", language), checked_text("--prompt", prompt)
    wishes = Wishes(words or WORDS[length], wishes_text(language, prompt), sampling.pop("max_tokens", None))
    with ProgressLine() as line:
        documents, n_failed = readable(paths, password, line)
        if not documents:
            return 1
        output = output_for(out, documents, dry_run, as_json)
        with session_options.open_session(model, **given({"on_load_progress": line.loading, **options})) as session:
            line.clear()
            facts = {"command": "summarize", **asdict(wishes)}
            with opened(session, documents, facts, sampling) as job:
                run(job, lambda ask, on_part: summarize(session, documents, ask, wishes, on_part), output, line)
    if n_failed:
        message("note", n_failed_text(n_failed, n_failed + len(documents)), "yellow")
    return int(n_failed > 0)
