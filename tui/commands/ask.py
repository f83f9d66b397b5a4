"""`edgeai ask`: one question, one answer on stdout."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgeai import Response, SchemaError
from edgeai.options import Overflow
from tui import session_options
from tui.answer_stream import print_answer
from tui.output import message
from tui.piped_text import read_stdin
from tui.progress_line import ProgressLine
from tui.session_options import (
    document_option,
    given,
    load_options,
    overflow_option,
    password_option,
    sampling_options,
    stop_option,
    take_sampling,
)

if TYPE_CHECKING:
    from edgeai.documents.types import Document
    from edgeai.session import Session


@click.command()
@click.argument("question", nargs=-1)
@load_options
@click.option("-s", "--system", metavar="TEXT", help="A system prompt.")
@sampling_options
@stop_option
@overflow_option
@document_option
@password_option
@click.option(
    "--json-schema", type=click.Path(dir_okay=False, path_type=Path), help="A JSON Schema the answer must follow."
)
@click.option("--stats", is_flag=True, help="Print one line of JSON with counts and times to stderr.")
def command(
    question: tuple[str, ...],
    model: str | None,
    system: str | None,
    overflow: Overflow,
    doc_paths: tuple[Path, ...],
    password: str | None,
    json_schema: Path | None,
    stats: bool,
    **options: Any,
) -> int:
    """Answer one question.

    What is piped in is read as context for it; without a QUESTION, or with - for it, it is the question itself.

    \b
      cat error.log | edgeai ask "What failed?"
      edgeai ask --doc manual.pdf "How do I reset it?"

    What a document says is evaluated once and kept (`edgeai cache`): the next question about it is answered at once.
    """
    prompt = _prompt(question)
    sampling = take_sampling(options)
    schema = _read_schema(json_schema) if json_schema else None
    asking = {"response_format": schema, "overflow": overflow, **sampling}
    with ProgressLine() as line:
        documents, n_failed = _documents(doc_paths, password, line)
        if doc_paths and not documents:
            return 1
        loading = {"system": system, "on_load_progress": line.loading, **options}
        with _opened(model, given(loading), documents) as session:
            line.start()
            try:
                response = session.chat(prompt, on_progress=line.reading, **asking)
            except SchemaError as exc:
                raise click.ClickException(f"{json_schema}: {exc}: mend the file") from exc
            is_whole = print_answer(response, line)
    if stats:
        click.echo(json.dumps(_stats(response)), err=True)
    return _tell_end(response, is_whole, schema is not None) or int(n_failed > 0)


def _documents(paths: tuple[Path, ...], password: str | None, line: ProgressLine) -> tuple[Sequence[Document], int]:
    if not paths:
        return (), 0
    from tui.documents import read_documents

    return read_documents(paths, password, line)


def _opened(model: str | None, loading: dict[str, Any], documents: Sequence[Document]) -> Session:
    if not documents:
        return session_options.open_session(model, **loading)
    from tui.documents import open_session_with

    return open_session_with(documents, model, **loading)


def _prompt(words: tuple[str, ...]) -> str:
    """What the model is asked: the question, under the text that was piped in."""
    question = " ".join(word for word in words if word != "-").strip()
    question = question.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    text = read_stdin(from_terminal="-" in words)
    if not question and not text:
        raise click.UsageError('Nothing is asked: give a question, as in `edgeai ask "What is an atom?"`.')
    return f"{text}\n\n{question}".strip("\n")


def _read_schema(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except OSError as exc:
        raise click.ClickException(f"{path}: the JSON Schema cannot be read: {exc.strerror or exc}") from exc
    except (ValueError, RecursionError) as exc:
        raise click.ClickException(f"{path}: expected a JSON Schema, found no JSON ({exc}): mend the file") from exc


def _stats(response: Response) -> dict[str, float | int]:
    usage, timings = response.usage, response.timings
    return {
        "load_ms": round(timings.load_ms, 1),
        "prompt_tokens": usage.prompt_tokens,
        "cached_tokens": usage.cached_tokens,
        "prefill_tokens_per_s": round(timings.prefill_tokens_per_s, 1),
        "completion_tokens": usage.completion_tokens,
        "decode_tokens_per_s": round(timings.decode_tokens_per_s, 1),
        "ttft_ms": round(timings.ttft_ms, 1),
        "peak_rss_bytes": _peak_rss_bytes(),
    }


def _peak_rss_bytes() -> int:
    """The most memory that this process and the engine's have had, both together; the engine's has ended by now."""
    try:
        import resource
    except ImportError:  # Windows
        import psutil

        return int(getattr(psutil.Process().memory_info(), "peak_wset"))  # noqa: B009 - mypy knows it on Windows only
    unit = 1 if sys.platform == "darwin" else 1024
    own, engine = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return (own + engine) * unit


def _tell_end(response: Response, is_whole: bool, has_schema: bool) -> int:
    """Say on stderr what the answer itself does not show; the exit code."""
    if response.dropped:
        message(
            "note", f"{len(response.dropped)} of the oldest messages were left out to fit the context window", "yellow"
        )
    if not is_whole:
        return 130
    reason = response.finish_reason
    if has_schema and reason != "stop":
        message("error", f"the JSON is cut short ({reason}): allow more with --max-tokens or --n-ctx", "red")
        return 1
    if reason == "context_full":
        message("note", "the answer ends where the context window is full: --n-ctx makes it larger", "yellow")
    return 0
