"""`edgeai chat`: the application, or the same conversation line by line."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgeai import ModelError
from edgeai.catalog import Catalog
from edgeai.config import config_text
from edgeai.history import Conversation, History
from edgeai.options import Overflow
from edgeai.safe_text import one_line
from tui import session_options
from tui.audio_options import echo_option, input_option, output_option
from tui.document_refs import DocumentRef, refs_of
from tui.libraries import library_option, opened_libraries
from tui.output import message
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
    take_sampling,
)
from tui.settings import ConversationSettings

if TYPE_CHECKING:
    from edgeai.documents.library import Library
    from edgeai.documents.types import Document, OcrMode
    from edgeai.session import Session
    from edgeai.speech.converse import Echo
    from tui.plain_documents import LineDocuments


@click.command()
@load_options
@click.option("-s", "--system", metavar="TEXT", help="A system prompt.")
@sampling_options
@overflow_option
@document_option
@library_option
@password_option
@ocr_option
@image_option
@input_option
@output_option
@echo_option
@click.option("--plain", is_flag=True, help="Line by line, as it also is where there is no terminal.")
@click.option("-c", "--continue", "go_on", is_flag=True, help="Go on with the last conversation.")
@click.option("--conversation", metavar="ID", help="Go on with this conversation (see `edgeai history list`).")
@click.option("--no-history", is_flag=True, help="Store nothing.")
def command(
    model: str | None,
    system: str | None,
    overflow: Overflow,
    doc_paths: tuple[Path, ...],
    library_names: tuple[str, ...],
    password: str | None,
    ocr: OcrMode,
    image_paths: tuple[Path, ...],
    input_name: str | None,
    output_name: str | None,
    echo: Echo,
    plain: bool,
    go_on: bool,
    conversation: str | None,
    no_history: bool,
    **options: Any,
) -> int:
    """Talk with a model."""
    if no_history and (go_on or conversation):
        raise click.UsageError("--no-history has no conversation to go on with.")
    asked = given({"system": system, **take_sampling(options)})
    documents, n_failed = _documents(doc_paths, password, ocr)
    if doc_paths and not documents:
        return 1
    with (
        History(":memory:" if no_history else None) as history,
        opened_libraries(library_names) as libraries,
    ):
        stored = _stored(history, go_on, conversation)
        own = ConversationSettings.from_json(stored.settings if stored else None)
        own = replace(own, **asked, documents=_merged(own.documents, refs_of(documents)))
        if stored:
            history.update(stored.id, settings=own.to_json())
        new = ConversationSettings(**asked, documents=refs_of(documents))
        begin = _Beginning(history, stored.id if stored else None, own, model or _model_of(stored), image_paths)
        if plain or not _has_terminal():
            from tui.plain_documents import LineDocuments

            if input_name or output_name or echo != "mute":
                note = "--input, --output and --echo are for talking in the window: line by line there is no voice"
                message("note", note, "yellow")
            about = LineDocuments(own.documents, documents, password, libraries)
            return _plain(begin, about, given(options), overflow)
        devices = (input_name, output_name, echo)
        return _window(replace(begin, settings=new), (documents, n_failed), libraries, given(options), devices)


@dataclass(frozen=True, slots=True)
class _Beginning:
    """Where a chat begins: a stored conversation or a new one, its settings, its model, and the first pictures."""

    history: History
    conversation_id: str | None
    settings: ConversationSettings
    model: str | None
    image_paths: Sequence[Path] = ()


def _documents(doc_paths: Sequence[Path], password: str | None, ocr: OcrMode) -> tuple[list[Document], int]:
    """What is read before the chat begins, and how many cannot be."""
    if not doc_paths:
        return [], 0
    from tui.documents import read_documents

    with ProgressLine() as line:
        return read_documents(doc_paths, password, line, ocr)


def _merged(stored: Iterable[DocumentRef], more: Iterable[DocumentRef]) -> tuple[DocumentRef, ...]:
    return tuple({ref.path: ref for ref in (*stored, *more)}.values())


def _stored(history: History, go_on: bool, conversation_id: str | None) -> Conversation | None:
    """The conversation to go on with."""
    if conversation_id:
        return history.get(conversation_id)
    newest = history.conversations(limit=1) if go_on else []
    if go_on and not newest:
        message("note", "there is no conversation yet: this is the first", "yellow")
    return newest[0] if newest else None


def _has_terminal() -> bool:
    streams = (sys.stdin, sys.stdout)
    return os.environ.get("TERM") != "dumb" and all(stream is not None and stream.isatty() for stream in streams)


def _model_of(stored: Conversation | None) -> str | None:
    """The model that a conversation was held with, where it is still there; None takes the default."""
    if not stored or not stored.model:
        return None
    try:
        Catalog.load().resolve(stored.model)
    except ModelError:
        message("note", f"{stored.model} is not installed any more: the default model goes on", "yellow")
        return None
    return stored.model


def _window(
    begin: _Beginning,
    read: tuple[Sequence[Document], int],
    libraries: Sequence[Library],
    options: dict[str, Any],
    devices: tuple[str | None, str | None, Echo],
) -> int:
    from tui.app import EdgeAIApp
    from tui.graphics import graphics
    from tui.voice import RealEnds

    def open_session(model: str | None, **more: Any) -> Session:
        # What the user gave counts, also against a window that documents would need.
        session = session_options.open_session(model, **{"keep_states": True, **more, **options})
        session.documents = libraries
        return session

    app = EdgeAIApp(
        open_session,
        begin.history,
        begin.model,
        begin.settings,
        theme=config_text("theme"),
        conversation_id=begin.conversation_id,
        documents=read[0],
        n_unreadable=read[1],
        pictures=begin.image_paths,
        graphics=graphics(),
        open_ends=lambda: RealEnds(*devices),
    )
    app.run()
    return app.return_code or 0


def _plain(
    begin: _Beginning,
    about: LineDocuments,
    options: dict[str, Any],
    overflow: Overflow,
) -> int:
    from tui.documents import open_session_with
    from tui.plain import LineChat, converse

    for lost in begin.history.recover():
        message("note", f"an answer in {lost.conversation_id} was interrupted; what there is of it was kept", "yellow")

    def reopen(n_ctx: int) -> Session:
        with ProgressLine() as line:
            loading = {"keep_states": True, "on_load_progress": line.loading, "n_ctx": n_ctx, **options}
            return session_options.open_session(begin.model, **loading)

    with ProgressLine() as line:
        loading = {"keep_states": True, "on_load_progress": line.loading, **options}
        whole = () if about.libraries else about.documents  # beside a library no document is put whole
        session = open_session_with(whole, begin.model, **loading)
    with session:
        if sys.stderr.isatty():
            words = f"{one_line(session.model_name)} · n_ctx {session.n_ctx:,} · /help shows the commands"
            click.echo(click.style(words, dim=True), err=True)
        # What the user gave counts, also against a window that documents would need.
        larger = None if "n_ctx" in options else reopen
        own = LineChat(session, begin.history, begin.settings, begin.conversation_id, overflow, about, reopen=larger)
        with closing(own) as chat:
            if begin.image_paths:
                click.echo(chat.show(begin.image_paths), err=True)
            return converse(chat)
