"""`edgeai classify`: rows sorted by labels, with probabilities; and a look at what came out."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgeai.records.types import FORMATS, Format, format_of
from tui.path_type import DOCUMENT_PATH
from tui.progress_line import ProgressLine
from tui.ray_options import ray_options, take_address
from tui.session_options import given, load_options

if TYPE_CHECKING:
    from edgeai.records.read import Records
    from tui.classify_output import OutputFile
    from tui.classify_ray import Cluster
    from tui.classify_task import Task

_FILE = click.Path(path_type=Path)
_STDIN = Path("-")


@click.command()
@click.argument("path", metavar="[FILE]", required=False, type=DOCUMENT_PATH)
@click.option("--labels", metavar="A,B,C", help="The labels to choose from.")
@click.option("--labels-file", type=_FILE, metavar="FILE", help="More labels, one a line.")
@click.option("--instructions", metavar="TEXT|FILE", help="The rule: what the labels mean, and what counts.")
@click.option("--examples", "examples_path", type=_FILE, metavar="FILE", help="Rows with a text and its label.")
@click.option("--column", metavar="NAME", help="The column with the text; by default `text`, or the only one.")
@click.option("-o", "--out", type=_FILE, metavar="FILE", help="Write .csv, .tsv, .jsonl or .parquet.")
@click.option("--multi", is_flag=True, help="Several labels may apply to a text, or none.")
@click.option("--abstain", "abstain_below", type=click.FloatRange(0, 1), metavar="P", help="No label below this.")
@click.option(
    "--calibrate",
    type=click.Choice(["auto", "on", "off"]),
    default="auto",
    show_default=True,
    help="Against what the model says of texts without content; auto: where examples show that it helps.",
)
@click.option("--truncate", is_flag=True, help="Cut texts that do not fit the context; else they are errors.")
@click.option("--format", "format_", type=click.Choice(FORMATS), help="Of the input; by default its name tells.")
@click.option("--encoding", metavar="NAME", help="Of the input's text; by default it is found out.")
@click.option("--delimiter", metavar="CHAR", help="Of CSV, or `tab`; by default it is found out.")
@click.option("--prefix", default="", metavar="TEXT", help="Before the names of the columns that are added.")
@click.option("--resume", is_flag=True, help="Leave an output alone that is finished, with the same settings.")
@click.option("--force", is_flag=True, help="Replace an output, and forget unfinished work with other settings.")
@ray_options
@click.option("--view", is_flag=True, help="Look at FILE, an output: sort, filter, correct, export examples.")
@click.option("--json", "as_json", is_flag=True, help="Print JSONL; with -o a summary.")
@load_options
def command(path: Path | None, **options: Any) -> int:
    """Sort texts by labels: the rows of CSV, JSONL and Parquet files, plain lines, or stdin (-).

    \b
      edgeai classify --labels positive,negative,neutral reviews.csv --column text -o out.parquet
      edgeai classify --labels-file topics.txt --instructions rule.md --multi mails.jsonl -o topics.jsonl
      tail -n 100 app.log | edgeai classify --labels problem,fine -
      edgeai classify --view out.parquet

    The columns of the input stay; label, probability, margin and p_LABEL of each label come beside them, and an error
    where a text could not be classified. Nothing is generated: probabilities are read from the model.

    What is done is kept beside the output: after Ctrl-C, a crash, a full disk or a power cut the same command goes on.
    """
    is_view, as_json = options.pop("view"), options.pop("as_json")
    if path is None:
        raise click.UsageError("no FILE: expected .csv, .jsonl, .parquet, lines of text, or - for stdin")
    if is_view:
        from tui.classify_view import view

        return view(path)
    from tui.classify_job import Classifying, Wishes

    task = _task(options)
    output = _output(path, options)
    cluster = _cluster(options, output)
    column = options.pop("column")
    with ProgressLine() as line:
        line.show(f"reading {path.name}")
        records = _records(path, column, options, is_kept=output is not None)
        wishes = Wishes(column, options.pop("prefix"), output, as_json, cluster)
        with closing(records.source):
            return Classifying(records, task, wishes, line).run(given({"on_load_progress": line.loading, **options}))


def _task(options: dict[str, Any]) -> Task:
    from tui.classify_task import Task, take_examples, take_instructions, take_labels

    multi = options.pop("multi")
    labels = take_labels(options.pop("labels"), options.pop("labels_file"), multi=multi)
    return Task(
        labels=labels,
        instructions=take_instructions(options.pop("instructions")),
        examples=take_examples(options.pop("examples_path"), options["column"], labels, multi=multi),
        multi=multi,
        **{name: options.pop(name) for name in ("calibrate", "abstain_below", "truncate")},
    )


def _output(path: Path, options: dict[str, Any]) -> OutputFile | None:
    from tui.classify_output import OutputFile

    out, resume, force = (options.pop(name) for name in ("out", "resume", "force"))
    if resume and force:
        raise click.UsageError("--resume leaves a finished output alone, --force replaces it: choose one of them")
    if out is None:
        if resume or force:
            raise click.UsageError("--resume and --force are about an output: give it with -o FILE")
        return None
    return OutputFile(out, source=None if path == _STDIN else path, resume=resume, force=force)


def _cluster(options: dict[str, Any], output: OutputFile | None) -> Cluster | None:
    asked = take_address(options)
    if asked is None:
        return None
    if output is None:
        raise click.UsageError("--ray: the rows come back in any order: give a file for them with -o FILE")
    from tui.classify_ray import Cluster

    return Cluster(*asked, given(options_of_session(options)))


def options_of_session(options: dict[str, Any]) -> dict[str, Any]:
    """Those of a command's options that open a session."""
    names = ("model", "mmproj_path", "n_ctx", "n_threads", "type_k", "type_v", "isolation")
    return {name: options[name] for name in names if name in options}


def _records(path: Path, column: str | None, options: dict[str, Any], *, is_kept: bool) -> Records:
    from edgeai.records.read import ReadOptions, Records
    from edgeai.records.source import file_source, stream_source

    wanted: Format | None = options.pop("format_")
    delimiter = options.pop("delimiter")
    if path == _STDIN:
        format_: Format = wanted or "lines"
        if sys.stdin is None:
            raise click.UsageError("-: stdin is closed: pipe something in, or name a file")
        source = stream_source(sys.stdin.buffer, keep=is_kept or format_ == "parquet")
    else:
        format_ = wanted or format_of(path)
        source = file_source(path)
    delimiter = {"tab": "\t", "\\t": "\t"}.get(delimiter, delimiter)
    return Records(source, ReadOptions(format_, options.pop("encoding"), delimiter, column))
