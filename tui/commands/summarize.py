"""`edgeai summarize`: documents of any length, in some hundred words, with the pages that they come from."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgeai.notes.job import opened
from edgeai.notes.summarize import WORDS, summarize
from tui import session_options
from tui.notes_job import exit_code, output_for, readable, run
from tui.notes_options import notes_options, take_notes
from tui.path_type import DOCUMENT_PATH
from tui.progress_line import ProgressLine
from tui.ray_options import cluster_of, ray_options
from tui.session_options import given

if TYPE_CHECKING:
    from edgeai.cluster import Cluster
    from edgeai.notes.cluster import Helpers
    from edgeai.notes.condense import Wishes
    from edgeai.session import Session
    from tui.notes_job import Helping


@click.command()
@click.argument("paths", nargs=-1, required=True, type=DOCUMENT_PATH, metavar="FILE…")
@notes_options
@ray_options
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
      edgeai summarize --ray auto -o notes.md archive/      # a document for each machine of the cluster

    The work is kept step by step: after Ctrl-C, a crash or a power cut the same command goes on where it was.
    """
    asked, cluster = take_notes(options, WORDS), cluster_of(options)
    with ProgressLine() as line:
        documents, n_failed = readable(paths, asked.password, line, asked.ocr)
        if not documents:
            return 1
        output = output_for(asked, (document.path for document in documents))
        wishes = asked.wishes(block.text for document in documents for block in document.blocks)
        opening = given(options)
        with session_options.open_session(model, on_load_progress=line.loading, **opening) as session:
            line.clear()
            facts = {"command": "summarize", **asdict(wishes)}
            with opened(session, documents, facts, asked.sampling) as job:
                helping: Helping = contextlib.nullcontext
                if cluster is not None:
                    helpers = _helpers(cluster, session, wishes, asked.sampling, {**opening, "model": model}, line)
                    helping = partial(helpers.helping, session, documents, job.journal)
                run(
                    job, lambda ask, on_part: summarize(session, documents, ask, wishes, on_part), output, line, helping
                )
    return exit_code(n_failed, len(documents))


def _helpers(
    cluster: Cluster,
    session: Session,
    wishes: Wishes,
    sampling: Mapping[str, Any],
    options: Mapping[str, Any],
    line: ProgressLine,
) -> Helpers:
    """A cluster whose sessions are opened as this one was, and with its window: other pieces would be other work."""
    from edgeai.cluster import identity
    from edgeai.notes.cluster import Helpers, Plan

    options = {**options, "n_ctx": session.n_ctx}
    plan = Plan(wishes, sampling, options, identity(session), session_options.open_session)
    return Helpers(cluster, plan, lambda n_done, n: line.show(f"on the cluster: {n_done:,} of {n:,} documents done"))
