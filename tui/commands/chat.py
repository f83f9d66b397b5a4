"""`edgeai chat`: the application, or the same conversation line by line."""

from __future__ import annotations

import functools
import os
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from edgeai import ModelNotFoundError
from edgeai.history import Conversation, History
from edgeai.options import Overflow
from tui import session_options
from tui.output import message
from tui.progress_line import ProgressLine
from tui.safe_text import one_line
from tui.session_options import given, load_options, overflow_option, sampling_options, take_sampling
from tui.settings import ConversationSettings

if TYPE_CHECKING:
    from edgeai.session import Session


@click.command()
@load_options
@click.option("-s", "--system", metavar="TEXT", help="A system prompt.")
@sampling_options
@overflow_option
@click.option("--plain", is_flag=True, help="Line by line, as it also is where there is no terminal.")
@click.option("-c", "--continue", "go_on", is_flag=True, help="Go on with the last conversation.")
@click.option("--conversation", metavar="ID", help="Go on with this conversation (see `edgeai history list`).")
@click.option("--no-history", is_flag=True, help="Store nothing.")
def command(
    model: str | None,
    system: str | None,
    overflow: Overflow,
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
    with History(":memory:" if no_history else None) as history:
        stored = _stored(history, go_on, conversation)
        settings = replace(ConversationSettings.from_json(stored.settings if stored else None), **asked)
        if stored and asked:
            history.update(stored.id, settings=settings.to_json())
        if plain or not _has_terminal():
            return _plain(history, stored, settings, model, given(options), overflow)
        return _window(history, stored, settings, model, given(options))


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


def _window(
    history: History,
    stored: Conversation | None,
    settings: ConversationSettings,
    model: str | None,
    load_options: dict[str, Any],
) -> int:
    from edgeai.config import config_text
    from tui.app import EdgeAIApp

    open_session = functools.partial(session_options.open_session, **load_options)
    app = EdgeAIApp(
        open_session,
        history,
        model or _installed(stored),
        settings,
        theme=config_text("theme"),
        conversation_id=stored.id if stored else None,
    )
    app.run()
    return app.return_code or 0


def _installed(stored: Conversation | None) -> str | None:
    """The model that a conversation was held with, if it is still there."""
    from edgeai.installed import installed_models

    return next((found.name for found in installed_models() if stored and found.name == stored.model), None)


def _plain(
    history: History,
    stored: Conversation | None,
    settings: ConversationSettings,
    model: str | None,
    load_options: dict[str, Any],
    overflow: Overflow,
) -> int:
    from tui.plain import LineChat, converse

    for lost in history.recover():
        message(
            "note",
            f"an answer in conversation {lost.conversation_id} was interrupted: what there is was kept",
            "yellow",
        )
    with ProgressLine() as line:
        session = _open(model, stored, on_load_progress=line.loading, **load_options)
    with session:
        if sys.stderr.isatty():
            about = f"{one_line(session.model_name)} · n_ctx {session.n_ctx:,} · /help shows the commands"
            click.echo(click.style(about, dim=True), err=True)
        chat = LineChat(session, history, settings, stored.id if stored else None, overflow)
        return converse(chat)


def _open(model: str | None, stored: Conversation | None, **options: Any) -> Session:
    """The model asked for, else the one the conversation was held with, else the default."""
    if model is None and stored and stored.model:
        try:
            return session_options.open_session(stored.model, **options)
        except ModelNotFoundError:
            message("note", f"{stored.model} is not installed any more: the default model goes on", "yellow")
    return session_options.open_session(model, **options)
