"""`edgeai history`: the stored conversations, from the command line."""

from __future__ import annotations

import sys
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from edgeai.errors import HistoryError
from edgeai.files import write_text
from edgeai.history import Conversation, History, SearchHit, StoredMessage
from edgeai.history_export import from_json, inert_json, to_json, to_markdown
from edgeai.safe_text import one_line, plain
from tui.output import console, table

if TYPE_CHECKING:
    from rich.text import Text

_SPEAKERS = {"user": ("You", "bold cyan"), "assistant": ("Assistant", "bold green")}
_WIDE = 110
_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def command() -> None:
    """List, search, show, export and delete the conversations of `edgeai chat`.

    ID is a conversation's id, or as much of its beginning as no other has.
    """


@command.command("list")
@click.option("-n", "--limit", type=click.IntRange(1), default=None, help="Only the last ones.")
@_as_json
def list_command(limit: int | None, as_json: bool) -> None:
    """List the conversations, the last changed one first."""
    with History() as history:
        conversations = history.conversations(limit)
    if as_json:
        click.echo(inert_json([_listed(conversation) for conversation in conversations]))
    elif not conversations:
        console(stderr=True).print("No conversations yet: `edgeai chat` begins one.")
    else:
        _print_list(conversations)


@command.command()
@click.argument("id")
@_as_json
def show(id: str, as_json: bool) -> None:
    """Show a conversation: its branch that was last open. --json gives all branches."""
    with History() as history:
        conversation = history.get(id)
        messages = history.all_messages(conversation.id) if as_json else history.path(conversation.id)
    if as_json:
        click.echo(to_json(conversation, messages), nl=False)
    else:
        _print_conversation(conversation, messages)


@command.command()
@click.argument("query", nargs=-1, required=True)
@click.option("-n", "--limit", type=click.IntRange(1), default=20, show_default=True, help="Results at most.")
@_as_json
def search(query: tuple[str, ...], limit: int, as_json: bool) -> None:
    """Find the messages and titles in which all the words stand."""
    with History() as history:
        hits = history.search(" ".join(query), limit)
    if as_json:
        click.echo(inert_json([asdict(hit) for hit in hits]))
        return
    out = console()
    for hit in hits:
        out.print(_hit_text(hit), soft_wrap=True)
    if not hits:
        console(stderr=True).print("Nothing found.")


@command.command()
@click.argument("id")
@click.option("--format", "format_", type=click.Choice(["md", "json"]), help="Without it: as --out ends, else md.")
@click.option("-o", "--out", type=click.Path(path_type=Path), help="A file instead of stdout.")
@click.option("--force", is_flag=True, help="Overwrite the file.")
def export(id: str, format_: str | None, out: Path | None, force: bool) -> None:
    """Write a conversation as Markdown, or as JSON with all its branches."""
    is_json = format_ == "json" or (format_ is None and out is not None and out.suffix.lower() == ".json")
    with History() as history:
        conversation = history.get(id)
        if is_json:
            text = to_json(conversation, history.all_messages(conversation.id))
        else:
            text = to_markdown(conversation, history.path(conversation.id))
    if out is None:
        click.echo(text, nl=False)
        return
    if out.exists() and not force:
        raise HistoryError(f"{out}: there is such a file already: name another, or use --force")
    write_text(out, text)
    console(stderr=True).print(f"Written: {one_line(str(out))}")


@command.command("import")
@click.argument("file", type=click.File("r", encoding="utf-8", errors="replace"))
def import_command(file: TextIO) -> None:
    """Add a conversation that was exported as JSON, here or on another device."""
    text = file.read()
    with History() as history:
        conversation = from_json(history, text)
    console(stderr=True).print(f"Added as {conversation.id}: {one_line(conversation.title)}")


@command.command()
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def delete(ids: tuple[str, ...], yes: bool) -> None:
    """Delete conversations, with all their branches."""
    with History() as history:
        conversations = [history.get(id) for id in ids]
        if not yes and not sys.stdin.isatty():
            raise click.UsageError("There is no terminal to ask on: confirm with --yes.")
        for conversation in conversations:
            what = f"{conversation.id} ({one_line(conversation.title)}, {conversation.n_messages} messages)"
            if yes or click.confirm(f"Delete {what}?", err=True):
                history.delete(conversation.id)
                console(stderr=True).print(f"Deleted: {what}")


def _print_list(conversations: list[Conversation]) -> None:
    out = console()
    names = ["id", "changed", "messages", *(["model"] if out.width >= _WIDE else []), "title"]
    listing = table(*names, right=("messages",))
    for column in listing.columns[:-1]:  # narrowing the table narrows the titles
        column.no_wrap, column.overflow, column.max_width = True, "ellipsis", 24
    for conversation in conversations:
        cells = {
            "id": conversation.id,
            "changed": _local_time(conversation.updated),
            "messages": str(conversation.n_messages),
            "model": one_line(conversation.model),
            "title": one_line(conversation.title) or "(no title)",
        }
        listing.add_row(*(cells[name] for name in names))
    out.print(listing)


def _listed(conversation: Conversation) -> dict[str, Any]:
    names = ("id", "title", "model", "created", "updated", "n_messages")
    return {name: getattr(conversation, name) for name in names}


def _local_time(iso: str) -> str:
    """A stored time as a person reads it; text that is none, as it stands."""
    try:
        return datetime.fromisoformat(iso).astimezone().strftime("%Y-%m-%d %H:%M")
    except (ValueError, OSError, OverflowError):
        return one_line(iso)


def _print_conversation(conversation: Conversation, messages: list[StoredMessage]) -> None:
    from rich.text import Text

    out = console()
    about = " · ".join(
        part for part in (conversation.id, conversation.model, _local_time(conversation.created)) if part
    )
    out.print(Text(one_line(conversation.title), style="bold"))
    out.print(Text(one_line(about), style="dim"))
    for message in messages:
        speaker, style = _SPEAKERS[message.role]
        head = Text(f"\n{speaker}", style=style)
        if message.n_branches > 1:
            head.append(f"  {message.branch}/{message.n_branches}", style="dim")
        if message.status != "complete":
            head.append(f"  {message.status}", style="yellow")
        out.print(head)
        for shown in message.pictures:
            out.print(Text(f"▣ {one_line(Path(shown.path).name)}", style="dim"), soft_wrap=True)
        out.print(Text(plain(message.content)), soft_wrap=True)


def _hit_text(hit: SearchHit) -> Text:
    from rich.text import Text

    text = Text.assemble((hit.conversation_id, "cyan"), "  ", (one_line(hit.title), "bold"), "\n    ")
    text.append(f"{_SPEAKERS[hit.role][0]}: " if hit.role else "")
    end = 0
    for match_start, match_end in hit.matches:
        if match_start >= end:
            text.append(one_line(hit.snippet[end:match_start]))
            text.append(one_line(hit.snippet[match_start:match_end]), "bold yellow")
            end = match_end
    return text.append(one_line(hit.snippet[end:]))
