"""`edgeai ask`: one question, one answer on stdout."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgeai import Response, SchemaError
from edgeai.engine.load import engine_ahead
from edgeai.options import Overflow
from tui import answer_report, session_options
from tui.answer_stream import print_answer
from tui.libraries import library_option, opened_libraries
from tui.output import message, print_json
from tui.piped_text import read_stdin
from tui.progress_line import ProgressLine
from tui.session_options import (
    document_option,
    given,
    image_option,
    load_options,
    ocr_option,
    overflow_option,
    password_option,
    sampling_options,
    stop_option,
    take_sampling,
)

if TYPE_CHECKING:
    from edgeai.documents.types import Document, OcrMode
    from edgeai.session import Session


@click.command()
@click.argument("question", nargs=-1)
@load_options
@click.option("-s", "--system", metavar="TEXT", help="A system prompt.")
@sampling_options
@stop_option
@overflow_option
@document_option
@library_option
@password_option
@ocr_option
@image_option
@click.option(
    "--audio",
    "audio_paths",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="FILE",
    help="Sound that belongs to the question; may be repeated. A model without ears gets the words that are said.",
)
@click.option(
    "--json-schema", type=click.Path(dir_okay=False, path_type=Path), help="A JSON Schema the answer must follow."
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object: the text, its citations, counts and times."
)
@click.option("--stats", "with_stats", is_flag=True, help="Print one line of JSON with counts and times to stderr.")
def command(
    question: tuple[str, ...],
    model: str | None,
    system: str | None,
    overflow: Overflow,
    doc_paths: tuple[Path, ...],
    library_names: tuple[str, ...],
    password: str | None,
    ocr: OcrMode,
    image_paths: tuple[Path, ...],
    audio_paths: tuple[Path, ...],
    json_schema: Path | None,
    as_json: bool,
    with_stats: bool,
    **options: Any,
) -> int:
    """Answer one question.

    What is piped in is read as context for it; without a QUESTION, or with - for it, it is the question itself.

    \b
      cat error.log | edgeai ask "What failed?"
      edgeai ask --doc manual.pdf "How do I reset it?"
      edgeai ask --image panel.jpg "Which lamp is on?"
      edgeai ask --audio message.ogg "What does she want?"
      edgeai ask --library default "Which of our manuals says how it is reset?"

    A document that fits the context window is evaluated once and kept (`edgeai cache`): the next question about it is
    answered at once. Of longer ones, and of libraries (`edgeai docs`), the passages that the question finds are read.
    """
    prompt = _prompt(question, may_be_empty=bool(audio_paths or image_paths))
    sampling = take_sampling(options)
    schema = _read_schema(json_schema) if json_schema else None
    asking = {"response_format": schema, "overflow": overflow, **sampling}
    loading = {"system": system, "keep_states": True if image_paths or audio_paths else None, **options}
    with ProgressLine() as line, opened_libraries(library_names) as libraries, _engine(doc_paths, options):
        documents, n_failed = _documents(doc_paths, password, line, ocr)
        if doc_paths and not documents:
            return 1
        with _opened(model, given({**loading, "on_load_progress": line.loading}), documents) as session:
            if libraries:
                session.documents = [*documents, *libraries]
            line.clear()
            if audio_paths:
                _prepare_to_hear(session)
            line.start()
            try:
                response = session.chat(
                    prompt, images=image_paths, audio=audio_paths, on_progress=line.reading, **asking
                )
            except SchemaError as exc:
                raise click.ClickException(f"{json_schema}: {exc}: mend the file") from exc
            is_whole = _wait(response) if as_json else print_answer(response, line)
    if as_json:
        print_json(answer_report.as_json(response))
    elif sys.stderr.isatty():
        answer_report.print_sources(response.citations)
    if with_stats:
        click.echo(json.dumps(answer_report.stats(response)), err=True)
    if n_failed:
        n_all = n_failed + len(documents)
        message("note", f"{n_failed} of {n_all} documents could not be read: the answer is without them", "yellow")
    return answer_report.tell_end(response, is_whole, schema is not None) or int(n_failed > 0)


def _wait(response: Response) -> bool:
    """Wait for an answer; whether it was made to its end."""
    try:
        response.wait()
    except KeyboardInterrupt:
        response.cancel()
        response.wait()
        return False
    return True


def _engine(doc_paths: tuple[Path, ...], options: dict[str, Any]) -> AbstractContextManager[None]:
    """The engine's process starts while documents are read."""
    return engine_ahead() if doc_paths and options["isolation"] != "none" else nullcontext()


def _documents(
    paths: tuple[Path, ...], password: str | None, line: ProgressLine, ocr: OcrMode
) -> tuple[Sequence[Document], int]:
    if not paths:
        return (), 0
    from tui.documents import read_documents

    return read_documents(paths, password, line, ocr)


def _opened(model: str | None, loading: dict[str, Any], documents: Sequence[Document]) -> Session:
    if not documents:
        return session_options.open_session(model, **loading)
    from tui.documents import open_session_with

    return open_session_with(documents, model, **loading)


def _prepare_to_hear(session: Session) -> None:
    """Offer to fetch the weights that transcribe, where the model does not hear."""
    if not session.info.hears:
        from edgeai.speech.engines import chosen_recognizer
        from tui.speech_weights import ensure

        ensure(chosen_recognizer())


def _prompt(words: tuple[str, ...], *, may_be_empty: bool) -> str:
    """What the model is asked: the question, under the text that was piped in."""
    question = " ".join(word for word in words if word != "-").strip()
    question = question.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    text = read_stdin(from_terminal="-" in words)
    if not question and not text and not may_be_empty:
        raise click.UsageError('Nothing is asked: give a question, as in `edgeai ask "What is an atom?"`.')
    return f"{text}\n\n{question}".strip("\n")


def _read_schema(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except OSError as exc:
        raise click.ClickException(f"{path}: the JSON Schema cannot be read: {exc.strerror or exc}") from exc
    except (ValueError, RecursionError) as exc:
        raise click.ClickException(f"{path}: expected a JSON Schema, found no JSON ({exc}): mend the file") from exc
