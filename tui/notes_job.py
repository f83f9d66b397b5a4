"""What `edgeai summarize` and `edgeai report` share: the plan, the line that shows how far they are, where it goes."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeai.notes.markdown import (
    Notes,
    NotesFile,
    NotesPart,
    escaped,
    heading_line,
    markdown,
    parent_of,
    part_body,
)
from edgeai.safe_text import one_line
from tui.documents import read_documents
from tui.output import message, print_json
from tui.progress_line import ProgressLine

if TYPE_CHECKING:
    from edgeai.documents.types import Document, OcrMode
    from edgeai.notes.job import Job, Plan
    from edgeai.notes.steps import Ask, StepProgress
    from edgeai.notes.summarize import OnPart
    from tui.notes_options import Asked

    Helping = Callable[[Ask], contextlib.AbstractContextManager[Ask]]

_LINE_CELLS = 78


@dataclasses.dataclass(frozen=True, slots=True)
class Output:
    """Where notes go.

    Attributes:
        file: grows; None where they are printed.
        dry_run: nothing is written, the plan is printed.
        as_json: JSON is printed at the end, instead of Markdown as it is made.
    """

    file: NotesFile | None
    dry_run: bool
    as_json: bool


def readable(
    paths: Sequence[Path], password: str | None, line: ProgressLine, ocr: OcrMode
) -> tuple[list[Document], int]:
    """The documents of some paths that have text, and how many have none or cannot be read; a line tells of each."""
    documents, n_failed = read_documents(paths, password, line, ocr)
    line.clear()
    with_text = [document for document in documents if any(block.text.strip() for block in document.blocks)]
    for document in documents:
        if document not in with_text:
            message("error", f"{document.path}: it has no text: expected some", "red")
    return with_text, n_failed + len(documents) - len(with_text)


def output_for(asked: Asked, sources: Iterable[Path]) -> Output:
    """Where notes go, which is none of their sources; checked before any work is done."""
    file = NotesFile(asked.out, tuple(sources)) if asked.out else None
    return Output(file, asked.dry_run, asked.as_json)


def run(
    job: Job,
    work: Callable[[Ask, OnPart], Notes],
    output: Output,
    line: ProgressLine,
    helping: Helping = contextlib.nullcontext,
) -> None:
    """Plan, tell the plan, and do it: the notes go out as they grow, and are kept until they are whole.

    `helping`: makes of what does the steps what has others do them.
    """
    line.start()
    line.show("planning")
    plan = job.plan(lambda ask: work(ask, lambda _notes, _part: None))
    line.clear()
    if output.dry_run and output.as_json:
        print_json(plan_json(plan))
        return
    message("plan", plan_text(plan), "cyan")
    if plan.budget.n_done:
        n_done, n_steps = plan.budget.n_done, plan.budget.n_steps
        message("note", f"goes on with earlier work: {n_done} of {n_steps} steps are done", "yellow")
    if output.dry_run:
        return
    try:
        _do(job, work, output, line, helping)
    except BaseException:
        line.clear()
        _tell_how_to_go_on(job, output)
        raise
    job.is_finished = True


def _do(job: Job, work: Callable[[Ask, OnPart], Notes], output: Output, line: ProgressLine, helping: Helping) -> None:
    printer = Printer(line)

    def on_part(notes: Notes, part: NotesPart | None) -> None:
        if output.file:
            output.file.write(notes)
        elif not output.as_json:
            printer.show(notes, part)

    line.start()
    with helping(job.ask(lambda progress: line.show(progress_text(progress)))) as ask:
        notes = work(ask, on_part)
    line.clear()
    if output.file:
        output.file.finish(notes)
        message("done", f"{output.file.path}: {len(markdown(notes).split()):,} words", "green")
    if output.as_json:
        print_json(notes_json(notes))


def _tell_how_to_go_on(job: Job, output: Output) -> None:
    if job.journal.is_empty:
        return
    is_there = output.file is not None and output.file.part_path.exists()
    partly = f"; what is written so far stands in {output.file.part_path}" if output.file and is_there else ""
    message("note", f"not finished: the same command goes on with what is done{partly}", "yellow")


class Printer:
    """Prints parts as they are finished; what is said of a whole comes after its parts then."""

    def __init__(self, line: ProgressLine) -> None:
        self._line, self._out = line, sys.stdout  # it is replaced while Ray, which prints, is at work
        self._shown: list[NotesPart] = []
        self._began = False

    def show(self, notes: Notes, part: NotesPart | None) -> None:
        """Print one part, or the overview."""
        self._line.clear()
        if self._began:
            blocks, between = list[str](), "\n"
        else:
            blocks, between = [f"# {escaped(notes.title)}"], ""
        self._began = True
        if part is None:
            whole = NotesPart(notes.fixed.in_short, 2, notes.overview, notes.places)
            blocks += [heading_line(whole)] if notes.parts else []
            blocks.append(part_body(whole))
        else:
            blocks += self._headings_over(notes, part)
            if any(other is part for other in self._shown):
                blocks.append(heading_line(NotesPart(notes.fixed.in_short, part.level + 1)))
            else:
                blocks.append(heading_line(part))
                self._shown.append(part)
            blocks.append(part_body(part))
        self._out.write(between + "\n\n".join(blocks) + "\n")
        self._out.flush()

    def _headings_over(self, notes: Notes, part: NotesPart) -> list[str]:
        over, lines = parent_of(notes, part), list[str]()
        while over is not None and not any(other is over for other in self._shown):
            self._shown.append(over)
            lines.insert(0, heading_line(over))
            over = parent_of(notes, over)
        return lines


def plan_text(plan: Plan) -> str:
    """One line: steps, tokens, time."""
    budget = plan.budget
    n_left = budget.n_steps - budget.n_done
    steps = f"{n_left:,} step{'' if n_left == 1 else 's'}"
    takes = f"about {time_text(plan.seconds)} here" if plan.seconds is not None else "for how long is not known"
    return f"{steps}, {budget.n_read:,} tokens to read, at most {budget.n_written:,} to write: {takes}"


def plan_json(plan: Plan) -> dict[str, Any]:
    """The same for programs."""
    budget = plan.budget
    return {
        "n_steps": budget.n_steps,
        "n_done": budget.n_done,
        "tokens_to_read": budget.n_read,
        "tokens_to_write": budget.n_written,
        "seconds": None if plan.seconds is None else round(plan.seconds, 1),
        "prefill_tokens_per_s": None if plan.read_per_s is None else round(plan.read_per_s, 1),
        "decode_tokens_per_s": None if plan.written_per_s is None else round(plan.written_per_s, 1),
    }


def notes_json(notes: Notes) -> dict[str, Any]:
    """Notes for programs."""
    parts = [
        {
            **{name: getattr(part, name) for name in ("heading", "level", "text")},
            "places": list(part.places),
            "citations": [
                {**asdict(citation), "path": str(citation.path), "label": citation.label} for citation in part.citations
            ],
        }
        for part in notes.parts
    ]
    return {"title": notes.title, "overview": notes.overview, "places": list(notes.places), "parts": parts}


def time_text(seconds: float) -> str:
    """`8 s`, `3 min`, `2 h 10 min`."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60:,} h {minutes % 60:02} min"


def progress_text(progress: StepProgress) -> str:
    """How far it is, on one line of a terminal with 80 columns."""
    from rich.cells import cell_len, set_cell_size

    doing = f"reading {progress.share:.0%}" if progress.doing == "reading" else progress.doing
    left = "" if progress.seconds_left is None else f" · {time_text(progress.seconds_left)} left"
    start, end = f"step {progress.number} of {progress.n_steps} · ", f" · {doing}{left}"
    what = one_line(progress.what)
    room = max(8, _LINE_CELLS - len(start) - len(end))
    if cell_len(what) > room:
        what = set_cell_size(what, room - 1).rstrip() + "…"
    return f"{start}{what}{end}"


def exit_code(n_failed: int, n_read: int) -> int:
    """The summary at the end of a batch, and the command's exit code."""
    if n_failed:
        words = f"{n_failed} of {n_failed + n_read} documents could not be read and"
        message("note", f"{words} {'is' if n_failed == 1 else 'are'} not in it", "yellow")
    return int(n_failed > 0)
