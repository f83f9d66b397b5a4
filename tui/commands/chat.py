"""`edgeai chat`: the application, or the same conversation line by line."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
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
from tui.output import message
from tui.progress_line import ProgressLine
from tui.session_options import (
    document_option,
    given,
    load_options,
    overflow_option,
    password_option,
    sampling_options,
    take_sampling,
)
from tui.settings import ConversationSettings

if TYPE_CHECKING:
    from edgeai.session import Session


@click.command()
@load_options
@click.option("-s", "--system", metavar="TEXT", help="A system prompt.")
@sampling_options
@overflow_option
@document_option
@password_option
@click.option("--plain", is_flag=True, help="Line by line, as it also is where there is no terminal.")
@click.option("-c", "--continue", "go_on", is_flag=True, help="Go on with the last conversation.")
@click.option("--conversation", metavar="ID", help="Go on with this conversation (see `edgeai history list`).")
@click.option("--no-history", is_flag=True, help="Store nothing.")
def command(
    model: str | None,
    system: str | None,
    overflow: Overflow,
    doc_paths: tuple[Path, ...],
    password: str | None,
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
    open_session = _opener(doc_paths, password, given(options))
    if open_session is None:
        return 1
    with History(":memory:" if no_history else None) as history:
        stored = _stored(history, go_on, conversation)
        model = model or _model_of(stored)
        if stored:
            own = replace(ConversationSettings.from_json(stored.settings), **asked)
            history.update(stored.id, settings=own.to_json())
        conversation_id = stored.id if stored else None
        if plain or not _has_terminal():
            return _plain(history, conversation_id, ConversationSettings(**asked), model, open_session, overflow)
        return _window(history, conversation_id, ConversationSettings(**asked), model, open_session)


def _opener(doc_paths: Sequence[Path], password: str | None, options: dict[str, Any]) -> Callable[..., Session] | None:
    """What opens a model, after the documents that every conversation is about have been read; None where none can."""
    if not doc_paths:
        return functools.partial(session_options.open_session, **{"keep_states": True, **options})
    from tui.documents import open_session_with, read_documents

    with ProgressLine() as line:
        documents, _ = read_documents(doc_paths, password, line)
    return functools.partial(open_session_with, documents, **options) if documents else None


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
    history: History,
    conversation_id: str | None,
    settings: ConversationSettings,
    model: str | None,
    open_session: Callable[..., Session],
) -> int:
    from tui.app import EdgeAIApp

    theme = config_text("theme")
    app = EdgeAIApp(open_session, history, model, settings, theme=theme, conversation_id=conversation_id)
    app.run()
    return app.return_code or 0


def _plain(
    history: History,
    conversation_id: str | None,
    settings: ConversationSettings,
    model: str | None,
    open_session: Callable[..., Session],
    overflow: Overflow,
) -> int:
    from tui.plain import LineChat, converse

    for lost in history.recover():
        message("note", f"an answer in {lost.conversation_id} was interrupted; what there is of it was kept", "yellow")
    with ProgressLine() as line:
        session = open_session(model, on_load_progress=line.loading)
    with session:
        if sys.stderr.isatty():
            about = f"{one_line(session.model_name)} · n_ctx {session.n_ctx:,} · /help shows the commands"
            click.echo(click.style(about, dim=True), err=True)
        return converse(LineChat(session, history, settings, conversation_id, overflow))
