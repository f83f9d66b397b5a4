"""`edgeai models`: what is installed, what could be, and getting from one to the other."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from edgeai import EdgeAIError
from edgeai.catalog import Catalog, default_name, set_default_model, uninstall
from edgeai.installed import add_model, read_installed, verify_model
from edgeai.model_list import USUAL_N_CTX, ModelFacts, all_models, memory_at, model_facts
from edgeai.safe_text import one_line
from tui.output import console, print_json, table, transfer_progress
from tui.units import bytes_text, count_text


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:
    """List models; with a command: fetch, add, check, remove them.

    Without a command it lists the models that are installed and those that the catalog knows.
    """
    if ctx.invoked_subcommand is None:
        _list(as_json)


@command.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(as_json: bool) -> None:
    """The same list as without a command."""
    _list(as_json)


def _list(as_json: bool) -> None:
    models = all_models()
    if as_json:
        print_json([as_json_value(model) for model in models])
    else:
        _print_list(models)


def _print_list(models: Sequence[ModelFacts]) -> None:
    listing = table("", "model", "params", "size", "licence", "takes", "fits", right=("params", "size"))
    for model in models:
        listing.add_row(
            "●" if model.installed else "",
            model.name,
            count_text(model.parameters) if model.parameters else "?",
            bytes_text(model.size_bytes),
            _short_licence(model.licence),
            ", ".join(model.modalities),
            _yes_no(model.fits),
        )
    out = console()
    out.print(listing)
    out.print(f"\n● installed · default: {one_line(default_name())}")
    out.print(f"fits: the memory that is free now holds it with a context window of {USUAL_N_CTX:,} tokens")
    for model in models:
        if model.problem:
            out.print(f"{model.name}: {one_line(model.problem)}")
    if not any(model.installed for model in models):
        out.print(f"Nothing is installed yet: edgeai models pull {Catalog.load().default_name}")


def _short_licence(licence: str) -> str:
    """A licence's name without the words that all have in common, and without its address."""
    name = one_line(licence).partition(" (")[0]
    return name.removesuffix(" License").removesuffix(" Terms of Use")[:20] or "?"


def _yes_no(value: bool | None) -> str:
    return {True: "yes", False: "no", None: "?"}[value]


def as_json_value(model: ModelFacts) -> dict[str, Any]:
    """A model as `--json` prints it."""
    installed = model.installed
    return {
        "name": model.name,
        "title": model.title,
        "installed": installed is not None,
        "default": model.is_default,
        "architecture": model.architecture,
        "parameters": model.parameters or None,
        "ftype": model.ftype,
        "size_bytes": model.size_bytes,
        "licence": model.licence,
        "licence_url": model.entry.licence_url if model.entry else None,
        "modalities": list(model.modalities),
        "languages": list(model.entry.languages) if model.entry else [],
        "n_ctx_train": model.n_ctx_train,
        "has_chat_template": model.has_chat_template,
        "memory_bytes": model.memory_bytes,
        "fits": model.fits,
        "sampling": dict(model.entry.sampling) if model.entry else {},
        "notes": model.entry.notes if model.entry else "",
        "sources": [file.source for file in model.entry.files] if model.entry else [],
        "path": str(installed.path) if installed else None,
        "mmproj_path": str(installed.mmproj_path) if installed and installed.mmproj_path else None,
        "sha256": installed.sha256 if installed else None,
        "is_link": installed.is_link if installed else None,
        "added": installed.added if installed else None,
        "problem": model.problem or None,
    }


@command.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(name: str, as_json: bool) -> None:
    """All that is known of one model: files, licence, context window, memory it needs."""
    model = model_facts(name)
    memory = memory_at(model)
    if as_json:
        needs = [{"n_ctx": n_ctx, "memory_bytes": n_bytes} for n_ctx, n_bytes in memory]
        print_json({**as_json_value(model), "memory": needs})
        return
    out = console()
    for label, value in _rows(model, memory):
        if value:  # not wrapped by us, so that a path or a checksum can be copied whole
            out.print(f"{label:<17}", end="", style="bold")
            out.print(one_line(value), soft_wrap=True)


def _rows(model: ModelFacts, memory: Sequence[tuple[int, int]]) -> list[tuple[str, str]]:
    installed, entry = model.installed, model.entry
    template = {True: "yes", False: "no: it continues text and does not chat", None: ""}[model.has_chat_template]
    return [
        ("name", model.name + (" (default)" if model.is_default else "")),
        ("title", model.title),
        ("architecture", model.architecture),
        ("parameters", f"{model.parameters:,}" if model.parameters else ""),
        ("file type", model.ftype),
        ("size", f"{bytes_text(model.size_bytes)} ({model.size_bytes:,} bytes)"),
        ("takes", ", ".join(model.modalities)),
        ("languages", ", ".join(entry.languages) if entry else ""),
        ("licence", model.licence),
        ("", entry.licence_url if entry else ""),
        ("trained context", f"{model.n_ctx_train:,} tokens" if model.n_ctx_train else ""),
        ("chat template", template),
        ("sampling", ", ".join(f"{key} {value}" for key, value in entry.sampling.items()) if entry else ""),
        ("notes", entry.notes if entry else ""),
        *[("memory" if not index else "", _memory_text(*need)) for index, need in enumerate(memory)],
        ("fits here", _yes_no(model.fits) if model.fits is not None else ""),
        ("path", _path_text(model)),
        ("projector", str(installed.mmproj_path) if installed and installed.mmproj_path else ""),
        ("SHA-256", (installed.sha256 or "not recorded") if installed else ""),
        *[("source" if not index else "", source) for index, source in enumerate(_sources(model))],
        ("added", installed.added if installed else ""),
        ("problem", model.problem),
    ]


def _sources(model: ModelFacts) -> list[str]:
    if model.installed:
        return [model.installed.source]
    return [file.source for file in model.entry.files] if model.entry else []


def _memory_text(n_ctx: int, n_bytes: int) -> str:
    return f"{bytes_text(n_bytes)} with n_ctx = {n_ctx:,}"


def _path_text(model: ModelFacts) -> str:
    if not model.installed:
        return f"not installed: edgeai models pull {model.name}"
    path = model.installed.path
    return f"{path} -> {path.resolve()}" if model.installed.is_link else str(path)


@command.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--name", help="What to call it; made of the file's name otherwise.")
@click.option("--link", is_flag=True, help="Link to the file instead of copying it.")
@click.option("--force", is_flag=True, help="Replace a model of the same name.")
def add(path: Path, name: str | None, link: bool, force: bool) -> None:
    """Add a GGUF file, a folder with one, or an ONNX folder, after checking what it says of itself."""
    with transfer_progress() as progress:
        task = progress.add_task("copying", total=None)
        model = add_model(
            path,
            name,
            link=link,
            force=force,
            on_progress=lambda n_done, n_total: progress.update(task, completed=n_done, total=n_total),
        )
    click.echo(f"{model.name}: {bytes_text(model.size_bytes)} {'linked' if link else 'added'}")


@command.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_context
def remove(ctx: click.Context, name: str, yes: bool) -> None:
    """Delete a model's files. Of a linked model only the link goes."""
    model = read_installed(name.lower())
    if not yes:
        if not sys.stdin.isatty():
            raise click.UsageError("There is no terminal to ask on: confirm with --yes.", ctx)
        what = "the link" if model.is_link else bytes_text(model.size_bytes)
        if not click.confirm(f"Remove {model.name} ({what})?", err=True):
            ctx.exit(1)
    before = default_name()
    uninstall(model.name)
    click.echo(f"{model.name}: removed")
    if default_name() != before:
        click.echo(f"{default_name()} is the default again")


@command.command()
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.pass_context
def verify(ctx: click.Context, names: tuple[str, ...]) -> None:
    """Compare models' files with their SHA-256; all that are installed when none is named."""
    chosen = [name.lower() for name in names] or [model.name for model in Catalog.load().installed()]
    all_well = True
    for name in chosen:
        try:
            is_well = _verify(name)
            click.echo(f"{name}: {'ok' if is_well else 'CHANGED: remove it and fetch it again'}")
        except EdgeAIError as exc:
            is_well = False
            click.echo(one_line(str(exc)))
        all_well = all_well and is_well
    ctx.exit(0 if all_well else 1)


def _verify(name: str) -> bool:
    with transfer_progress() as progress:
        task = progress.add_task(name, total=None)
        return verify_model(name, lambda n_done, n_total: progress.update(task, completed=n_done, total=n_total))


@command.command()
@click.argument("name")
@click.option("--force", is_flag=True, help="Fetch it again, or although this machine's memory is too small for it.")
def pull(name: str, force: bool) -> None:
    """Fetch a model of the catalog. No other command reaches for a network, but for weights of speech that
    you agree to at their first use."""
    from edgeai.offline import network_allowed
    from edgeai.pull import is_installed
    from edgeai.pull import pull as fetch

    entry = Catalog.load().entry(name.lower())
    if is_installed(entry.name) and not force:
        click.echo(f"{entry.name} is installed already (--force fetches it again)")
        return
    click.echo(f"{entry.name}: {bytes_text(entry.size_bytes)}, {entry.licence} ({entry.licence_url})", err=True)
    with network_allowed(), transfer_progress() as progress:
        task = progress.add_task("fetching", total=entry.size_bytes)
        model = fetch(
            entry.name,
            force=force,
            on_progress=lambda n_done, n_total: progress.update(task, completed=n_done, total=n_total),
        )
    click.echo(f"{model.name}: {bytes_text(model.size_bytes)} fetched and checked")


@command.command()
@click.argument("name")
def default(name: str) -> None:
    """Make an installed model the one that is used when none is named."""
    set_default_model(name)
    click.echo(f"{name.lower()} is the default now")


@command.command()
@click.argument("model")
def retry(model: str) -> None:
    """Forget that loading a model has crashed the engine, so that it is tried again.

    MODEL is a name, a .gguf file or a folder.
    """
    from edgeai.engine.crash_marks import forget

    path = Catalog.load().resolve(model).path
    was_marked = forget(path)
    click.echo(f"{path}: will be tried again" if was_marked else f"{path}: is not marked as one that crashes")
