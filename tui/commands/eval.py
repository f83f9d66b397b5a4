"""`edgeai eval`: how good a model is at questions with known answers, and whether another one is better."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgeai.errors import DocumentError
from edgeai.options import KV_TYPES
from tui import session_options
from tui.output import console, message, print_json
from tui.pace import Pace
from tui.path_type import DOCUMENT_PATH
from tui.progress_line import ProgressLine
from tui.session_options import given

if TYPE_CHECKING:
    from edgeai.evaluation.run import ModelRun, Run, RunProgress
    from edgeai.evaluation.tasks import Plan
    from edgeai.session import Session


def _list_tasks(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    """Print the tasks and leave."""
    if not value or ctx.resilient_parsing:
        return
    from edgeai.evaluation.tasks import TASKS

    out = console()
    for task in TASKS.values():
        out.print(f"{task.name}: {task.about}", style="bold", soft_wrap=True)
        usual = f"by {' or '.join(task.ways)}" + (f"; {task.few_shot} examples" if task.few_shot else "")
        out.print(f"  asked {usual}\n  {task.layout}", soft_wrap=True)
    ctx.exit()


@click.command()
@click.argument("task", metavar="TASK")
@click.option("--data", type=DOCUMENT_PATH, required=True, metavar="PATH", help="The task's file or folder.")
@click.option("--few-shot", type=click.IntRange(0), metavar="N", help="Examples before each question; see --list.")
@click.option("--by", type=click.Choice(["letter", "answer"]), help="Score the letter, or the whole answer.")
@click.option("--chat", is_flag=True, help="Ask through the model's chat template; by default in plain text.")
@click.option("--limit", type=click.IntRange(1), metavar="N", help="The first N questions of each subject only.")
@click.option("-m", "--model", "models", multiple=True, metavar="MODEL", help="One model, or two to compare.")
@click.option("--n-ctx", type=click.IntRange(1), help="Context window in tokens.")
@click.option("--threads", "n_threads", type=click.IntRange(1), help="Threads; by default they follow the load.")
@click.option("--type-k", type=click.Choice(KV_TYPES), help="Type of the K cache.")
@click.option("--type-v", type=click.Choice(KV_TYPES), help="Type of the V cache.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
@click.option(
    "-o", "--out", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write all of it as JSON."
)
@click.option(
    "--picture", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Draw it (.svg or .png)."
)
@click.option("--force", is_flag=True, help="Replace files that are there.")
@click.option(
    "--list", is_flag=True, is_eager=True, expose_value=False, callback=_list_tasks, help="Show the tasks and layouts."
)
def command(
    task: str,
    data: Path,
    few_shot: int | None,
    by: str | None,
    limit: int | None,
    chat: bool,
    models: tuple[str, ...],
    as_json: bool,
    out: Path | None,
    picture: Path | None,
    force: bool,
    **options: Any,
) -> None:
    """Ask a model questions whose answers are known: from the files of MMLU, JMMLU, ARC, HellaSwag or Jaster.
    Or let it read a text: TASK is perplexity then.

    \b
      edgeai eval --list
      edgeai eval mmlu --data data/ --limit 20
      edgeai eval jaster --data evaluation/test --chat
      edgeai eval arc --data ARC-Easy-Test.jsonl -m small.Q4_K_M.gguf -m small.Q8_0.gguf -o results.json

    Figures have their 95 % confidence intervals. Two models are compared question by question. What is done is kept:
    after Ctrl-C or a crash the same command goes on where it was.
    """
    from edgeai.evaluation.tasks import make_plan

    if len(models) > 2 or len(set(models)) != len(models):
        raise click.UsageError(f"--model was given {len(models)} times: expected one model, or two that differ")
    _check_outputs(out, picture, force)
    plan = make_plan(task, data, by=by, few_shot=few_shot, limit=limit, chat=chat)
    with contextlib.ExitStack() as kept:
        runs: list[Run] = []
        for model in models or (None,):
            runs.append(_run(kept, model, plan, given(options), runs))
        _report(plan, [run.result for run in runs], as_json, out, picture)
        for run in runs:
            run.finish()


def _check_outputs(out: Path | None, picture: Path | None, force: bool) -> None:
    """Before hours of work."""
    from edgeai.chart import check_chart
    from edgeai.errors import OptionError

    if picture is not None:
        check_chart(picture, OptionError)
    for path in (out, picture):
        if path is not None and path.exists() and not force:
            raise click.UsageError(f"{path}: is there already: choose another name, or replace it with --force")
        if path is not None and not path.absolute().parent.is_dir():
            raise click.UsageError(f"{path.parent}: no such folder: expected one for {path.name}; make it first")


def _run(
    kept: contextlib.ExitStack, model: str | None, plan: Plan, options: dict[str, Any], before: Sequence[Run]
) -> Run:
    from edgeai.evaluation.run import Run

    with (
        ProgressLine() as line,
        session_options.open_session(model, on_load_progress=line.loading, **options) as session,
    ):
        line.start()

        def hashed(n_done: int, n_total: int) -> None:
            line.show(f"{session.model_name}: checksum {n_done / max(n_total, 1):.0%}")

        try:
            run = kept.enter_context(Run(session, plan, options, hashed))
        except DocumentError:  # it is being done already
            _refuse_twice(session, before)
            raise
        if run.n_found:
            line.clear()
            message("note", f"goes on with earlier work: {run.n_found:,} of {plan.n_questions:,} are done", "yellow")
        try:
            run.go(_Shower(line, session.model_name).show)
        except BaseException:
            line.clear()
            if run.n_kept:
                message("note", "not finished: the same command goes on with what is done", "yellow")
            raise
    return run


def _refuse_twice(session: Session, before: Sequence[Run]) -> None:
    from edgeai.model_files import model_digest

    for run in before:
        if run.result.sha256 == model_digest(Path(session.info.path)):
            names = f"{run.result.name} and {session.model_name} are the same model"
            raise click.UsageError(f"{names} (SHA-256 {run.result.sha256[:12]}…): expected two that differ")


class _Shower:
    """Says how far a model is, how fast, and how long it still takes."""

    def __init__(self, line: ProgressLine, name: str) -> None:
        self._line, self._name, self._pace = line, name, Pace()
        line.start()

    def show(self, progress: RunProgress) -> None:
        """Show it."""
        if progress.n_done < progress.n_found:  # those take no time
            return
        self._pace.tell(progress.n_done, progress.n_total)
        far = f"{progress.n_done:,} of {progress.n_total:,}"
        self._line.show(f"{self._name}: {far} ({self._pace.words})")


def _report(plan: Plan, runs: list[ModelRun], as_json: bool, out: Path | None, picture: Path | None) -> None:
    from edgeai.evaluation.picture import draw
    from edgeai.evaluation.results import as_json as json_of
    from edgeai.evaluation.results import make_results
    from edgeai.files import write_text
    from tui.eval_report import print_results

    results = make_results(plan, runs)
    if out is not None:
        write_text(out, json.dumps(json_of(results, with_questions=True), ensure_ascii=False, indent=1) + "\n")
        out.chmod(0o644)
    if picture is not None:
        draw(results, picture)
    if as_json:
        print_json(json_of(results))
    else:
        print_results(results)
    for path in (out, picture):
        if path is not None:
            message("done", str(path), "green")
