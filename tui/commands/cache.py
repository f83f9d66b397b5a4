"""`edgeai cache`: the evaluated documents and pictures that are kept, so that they need not be read again."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime

import click

from edgeai.config import set_config_text
from edgeai.errors import OptionError
from edgeai.kv_store.room import LIMIT_KEY, clear_states, kept_states, limit_bytes, shrink, states_dir
from edgeai.safe_text import one_line
from edgeai.sizes import parse_size
from tui.output import console, print_json, table
from tui.units import bytes_text


@click.group()
def command() -> None:
    """List, bound and clear the evaluated documents and pictures that are kept on the disk."""


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_command(as_json: bool) -> None:
    """List what is kept, what was used last first."""
    root = states_dir()
    kept, limit = kept_states(root), limit_bytes(root)
    if as_json:
        print_json({"folder": str(root), "limit_bytes": limit, "states": [asdict(item) for item in kept]})
        return
    out = console()
    if kept:
        listing = table("model", "what", "tokens", "size", "last used", right=("tokens", "size"))
        for item in kept:
            used = datetime.fromtimestamp(item.used).strftime("%Y-%m-%d %H:%M")
            name, what = one_line(item.model) or item.key[:8], "picture, sound" if item.is_medium else "text"
            listing.add_row(name, what, f"{item.n_tokens:,}", bytes_text(item.n_bytes), used)
        out.print(listing)
    total = sum(item.n_bytes for item in kept)
    out.print(f"{len(kept)} kept, {bytes_text(total)} of {bytes_text(limit)} at most, in {one_line(str(root))}")


@command.command()
def clear() -> None:
    """Remove all of it. Documents are then evaluated anew."""
    click.echo(f"{bytes_text(clear_states(states_dir()))} removed")


@command.command()
@click.argument("size", required=False)
def limit(size: str | None) -> None:
    """Set what all together may take, such as 2GB; 0 keeps nothing. Without SIZE, show it."""
    root = states_dir()
    if size is not None:
        try:
            n_bytes = parse_size(size)
        except OptionError as exc:
            raise click.UsageError(str(exc)) from exc
        set_config_text(LIMIT_KEY, size.strip())
        shrink(root, n_bytes)
    click.echo(f"{bytes_text(limit_bytes(root))} at most")
