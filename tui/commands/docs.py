"""`edgeai docs`: libraries of documents, searchable by words and by meaning."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgeai.documents.library_place import existing_library_dir, library_dir, library_names
from edgeai.errors import DocumentError
from edgeai.history_export import inert_json
from edgeai.safe_text import one_line
from tui.commands import docs_search
from tui.docs_ctrl_c import CtrlC
from tui.docs_reading import FileReader, Outcome
from tui.docs_wait import when_free
from tui.docs_words import counted, local_time, shown_path
from tui.libraries import json_option, one_library_option, opened
from tui.output import console, message, table
from tui.path_type import DOCUMENT_PATH
from tui.progress_line import ProgressLine
from tui.ray_options import cluster_of, ray_options
from tui.session_options import ocr_option, password_option
from tui.units import bytes_text

if TYPE_CHECKING:
    from rich.table import Table

    from edgeai.cluster import Cluster
    from edgeai.documents.library import Library
    from edgeai.documents.library_roots import Found
    from edgeai.documents.library_types import StoredDocument
    from edgeai.documents.types import OcrMode

_ENDLESS = 10_000  # cells


@click.group()
def command() -> None:
    """Keep documents in a library and search it by words and by meaning.

    \b
      edgeai docs add ~/manuals report.pdf
      edgeai docs search "how do I reset it"
      edgeai docs update                        # after files have changed

    There can be several libraries: --library NAME, with each of the commands.
    """


@command.command()
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=DOCUMENT_PATH)
@one_library_option
@password_option
@ocr_option
@ray_options
@json_option
def add(paths: tuple[Path, ...], name: str, as_json: bool, **options: Any) -> int:
    """Read files, folders and globs into the library.

    \b
      edgeai docs add manual.pdf notes/ "reports/*.docx"
      edgeai docs add --ray auto /share/archive       # a folder that all machines of the cluster see

    What is in it already is read only where it changed. Folders and globs are remembered: `edgeai docs update`
    finds new files in them too. Ctrl-C keeps what was read.
    """
    from edgeai.documents.library_empty import discard_if_empty
    from edgeai.documents.library_roots import find
    from edgeai.documents.library_types import UpdateReport

    folder, outcome = library_dir(name), Outcome(name)
    reading = (options["password"], options["ocr"], cluster_of(options))
    with ProgressLine() as line:
        found = find(paths, _looking(line))
        if not found.paths:
            if found.n_empty:
                empty = counted(found.n_empty, "empty file")
                found.failed.append(f"{', '.join(map(str, paths))}: {empty} and nothing else: expected documents")
            _tell_all(found.failed, line)
            if as_json:
                outcome.take(found)
                click.echo(inert_json(outcome.facts(UpdateReport())))
            return 1
        try:
            with when_free(folder, lambda: opened(folder), line) as library:
                return _bring_in(library, outcome, found, line, reading, as_json=as_json, added=paths)
        finally:
            discard_if_empty(folder)  # none of the first files could be read


@command.command()
@one_library_option
@password_option
@ocr_option
@json_option
def update(name: str, password: str | None, ocr: OcrMode, as_json: bool) -> int:
    """Read what is new or was changed, and take out what was deleted.

    \b
      edgeai docs update --library manuals

    What is new is found in the folders and globs that were added. A folder that is not there (a disk that is not
    connected) keeps its documents.
    """
    folder, outcome = existing_library_dir(name), Outcome(name)
    with ProgressLine() as line, when_free(folder, lambda: opened(folder), line) as library:
        found = library.find_again(_looking(line))
        return _bring_in(library, outcome, found, line, (password, ocr, None), as_json=as_json)


@command.command("list")
@one_library_option
@click.option("--all", "all_", is_flag=True, help="List the libraries instead of one's documents.")
@json_option
def list_command(name: str, all_: bool, as_json: bool) -> None:
    """List the documents of the library, or all libraries.

    \b
      edgeai docs list --library manuals --json
      edgeai docs list --all
    """
    if all_:
        _print_libraries(as_json)
        return
    with opened(existing_library_dir(name)) as library:
        documents, roots = library.documents(), library.roots()
    if as_json:
        listed = [{**asdict(held), "path": str(held.path)} for held in documents]
        click.echo(inert_json({"library": name, "remembered": list(map(str, roots)), "documents": listed}))
        return
    out = console()
    if not out.is_terminal:
        out.width = _ENDLESS  # names are not folded for programs
    if documents:
        out.print(_table_of(documents))
    out.print(f"{counted(len(documents), 'document')} in library {name}")
    if roots:
        shown = ", ".join(one_line(shown_path(root)) for root in roots)
        out.print(f"`edgeai docs update` finds new ones in: {shown}", soft_wrap=True)


@command.command()
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=DOCUMENT_PATH)
@one_library_option
def remove(paths: tuple[Path, ...], name: str) -> int:
    """Take documents out of the library. No file is deleted.

    \b
      edgeai docs remove old-manual.pdf archive/

    A folder stands for all that is below it. No update brings them back; adding them does. With the last document
    goes the library.
    """
    from edgeai.documents.library_empty import discard_if_empty

    n_removed, n_failed, folder = 0, 0, existing_library_dir(name)
    with when_free(folder, lambda: opened(folder)) as library:
        for path in paths:
            removed, was_remembered = when_free(folder, partial(library.remove_below, path))
            n_removed += len(removed)
            if not removed and not was_remembered:
                n_failed += 1
                message("error", f"{path}: not in library {name}: `edgeai docs list` shows what is", "red")
    is_gone = discard_if_empty(folder)
    click.echo(f"library {name}: {counted(n_removed, 'document')} removed{', the library with it' * is_gone}")
    return 1 if n_failed else 0


@command.command()
@one_library_option
@json_option
def stats(name: str, as_json: bool) -> None:
    """Show how large the library is, on the disk too.

    \b
      edgeai docs stats --json
    """
    folder = existing_library_dir(name)
    with opened(folder) as library:
        found, roots = library.stats(), library.roots()
    if as_json:
        facts = {"library": name, "folder": str(folder), "remembered": list(map(str, roots)), **asdict(found)}
        click.echo(inert_json(facts))
        return
    texts_bytes = found.database_bytes - found.vector_bytes
    rows = [
        ("documents", f"{found.n_documents:,}"),
        ("passages", f"{found.n_passages:,}"),
        ("characters", f"{found.n_chars:,} ({bytes_text(found.text_bytes)})"),
        *((f"vectors of {one_line(key)}", _share(n, found.n_passages)) for key, n in found.n_embedded.items()),
        ("texts on disk", _of_text(texts_bytes, found.text_bytes)),
        ("words on disk", _of_text(found.index_bytes, found.text_bytes)),
        ("vectors on disk", _of_text(found.vector_bytes, found.text_bytes)),
        ("folder", one_line(shown_path(folder))),
    ]
    listing = table(f"library {name}", "")
    for row in rows:
        listing.add_row(*row)
    console().print(listing)


def _bring_in(
    library: Library,
    outcome: Outcome,
    found: Found,
    line: ProgressLine,
    reading: tuple[str | None, OcrMode, Cluster | None],
    *,
    as_json: bool,
    added: Sequence[Path] = (),
) -> int:
    """Read what is new or changed, and say what became of it; the exit code.

    Only what was found is looked at where there are `added` paths, else all that the library holds.
    `reading`: the password, which pages are recognised, and who reads.
    """
    outcome.take(found)
    _tell_all(found.failed, line)
    with CtrlC() as ctrl_c, closing(FileReader(line, ctrl_c, *reading)) as reader:
        try:
            away = None if added else found.away
            update = partial(library.update, read=reader, on_plan=reader.plan, on_progress=reader.progress)
            update = partial(update, away=away, roots=added, ocr=reading[1])
            report = when_free(library.folder, lambda: update(found.paths), line=line, ctrl_c=ctrl_c)
        except KeyboardInterrupt:
            line.clear()
            kept = f"{counted(reader.n_read, 'file')} read and kept"
            message("stopped", f"{kept}; the same command goes on from there", "yellow")
            return 130
    for path, why in report.failed:
        if path not in reader.told:
            reader.tell("error", path, why, "red")
    line.clear()
    outcome.failed += [why for _, why in report.failed]
    click.echo(inert_json(outcome.facts(report)) if as_json else outcome.words(report))
    return 1 if outcome.failed else 0


def _looking(line: ProgressLine) -> Callable[[int], None]:
    return lambda n_found: line.show(f"looking for documents: {n_found:,} so far")


def _tell_all(failed: Sequence[str], line: ProgressLine) -> None:
    line.clear()
    for why in failed:
        message("error", why, "red")


def _table_of(documents: Sequence[StoredDocument]) -> Table:
    listing = table("name", "kind", "pages", "passages", "added", right=("pages", "passages"))
    for column in listing.columns[1:]:  # narrowing the table folds the names
        column.no_wrap = True
    for held in documents:
        pages = "" if held.n_pages is None else f"{held.n_pages:,}"
        name = one_line(shown_path(held.path))
        listing.add_row(name, one_line(held.kind), pages, f"{held.n_passages:,}", local_time(held.added))
    return listing


def _print_libraries(as_json: bool) -> None:
    found: list[tuple[str, int, int]] = []
    for name in library_names():
        try:
            with opened(library_dir(name)) as library:
                documents = library.documents()
            found.append((name, len(documents), sum(held.n_passages for held in documents)))
        except DocumentError as exc:
            message("error", str(exc), "red")
    if as_json:
        keys = ("library", "documents", "passages")
        click.echo(inert_json([dict(zip(keys, row, strict=True)) for row in found]))
        return
    listing = table("library", "documents", "passages", right=("documents", "passages"))
    for name, n_documents, n_passages in found:
        listing.add_row(name, f"{n_documents:,}", f"{n_passages:,}")
    console().print(listing if found else "No libraries yet: `edgeai docs add PATH` makes one.")


def _share(n: int, n_all: int) -> str:
    return f"{n:,}" + (f" ({n / n_all:.0%} of the passages)" if n_all else "")


def _of_text(n_bytes: int, text_bytes: int) -> str:
    return bytes_text(n_bytes) + (f" ({n_bytes / text_bytes:.2f} × the text)" if text_bytes else "")


for _subcommand in (docs_search.search, docs_search.embed):
    command.add_command(_subcommand)
