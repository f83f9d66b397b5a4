"""`edgeai docs search` and `edgeai docs embed`: finding passages, and what finding them by meaning needs."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgeai.documents import e5, embedders
from edgeai.documents.library_place import DEFAULT_LIBRARY, existing_library_dir
from edgeai.errors import EdgeAIError
from edgeai.history_export import inert_json
from tui.docs_ctrl_c import CtrlC
from tui.docs_hits import hit_facts, hits_text
from tui.docs_words import counted, span_text
from tui.libraries import json_option, one_library_option, opened
from tui.output import console, message
from tui.pace import Pace
from tui.progress_line import ProgressLine

if TYPE_CHECKING:
    from edgeai.documents.library import Library
    from edgeai.documents.library_types import Hit
    from edgeai.documents.vectors import F32, Embedder

_N_BATCH = 8  # two to four seconds on two cores: so long Ctrl-C at most loses

embedder_option = click.option(
    "--embedder", "embedder_name", metavar="MODEL", help="e5 (the default), or an embedding model's .gguf file."
)


@click.command()
@click.argument("query", metavar="TEXT...", nargs=-1, required=True)
@click.option("-n", "--limit", type=click.IntRange(1, 1000), default=5, show_default=True, help="Passages at most.")
@click.option("--words", "mode", flag_value="words", help="Search by words alone.")
@click.option("--hybrid", "mode", flag_value="hybrid", help="Search by words and by meaning.")
@embedder_option
@one_library_option
@json_option
def search(
    query: tuple[str, ...], limit: int, mode: str | None, embedder_name: str | None, name: str, as_json: bool
) -> int:
    """Find the passages that answer a question or hold its words.

    \b
      edgeai docs search "how do I reset it"
      edgeai docs search -n 20 --words E-42

    The best come first. By words and by meaning where `edgeai docs embed` has run, else by words alone. The exit
    code is 1 where nothing is found.
    """
    text = " ".join(query)
    if not text.strip():
        raise click.UsageError('Nothing is searched for: give some words, as in `edgeai docs search "reset"`.')
    folder = existing_library_dir(name)
    with ProgressLine() as line, opened(folder) as library, ExitStack() as held:
        embedder = _embedder_for(library, mode, embedder_name)
        if embedder is not None:
            held.callback(embedders.close, embedder)
            line.show("searching by words and by meaning")
        hits, used = _found(library, text, limit, embedder, line)
    if as_json:
        click.echo(inert_json({"library": name, "query": text, "mode": used, "hits": list(map(hit_facts, hits))}))
        return 0 if hits else 1
    out = console()
    for item in hits_text(hits, text):
        out.print(item)
    if not hits:
        console(stderr=True).print(f"Nothing found in library {name}.")
    if embedder is None and mode is None:
        _hint(folder, name)
    return 0 if hits else 1


@click.command()
@embedder_option
@click.option("--threads", "n_threads", type=click.IntRange(1, 256), help="Threads; as many as cores by default.")
@one_library_option
def embed(embedder_name: str | None, n_threads: int | None, name: str) -> int:
    """Make the library searchable by meaning, too.

    \b
      edgeai docs embed --threads 1

    Each passage that has none yet gets a vector. It takes a while, and may be ended by Ctrl-C at any time: the next
    run goes on from there.
    """
    folder = existing_library_dir(name)
    with ProgressLine() as line, opened(folder) as library, CtrlC() as ctrl_c, ExitStack() as held:
        own = embedders.open_embedder(embedder_name, n_threads=n_threads)
        held.callback(embedders.close, own)
        embedder = _Interruptible(own, ctrl_c)
        library.remember_embedder(embedder.name, _source(embedder_name))
        n_before, began = _n_embedded(library, embedder), time.monotonic()
        line.show("embedding the first passages")
        try:
            library.embed_pending(embedder, _Shown(line).progress, lambda: ctrl_c.pressed, _N_BATCH)
        except KeyboardInterrupt:
            ctrl_c.pressed = True
        line.clear()
        n_done, n_all = _n_embedded(library, embedder), library.stats().n_passages
    seconds, n_new = time.monotonic() - began, n_done - n_before
    made = f"{n_new:,} in {span_text(seconds)}" + (f" ({n_new / seconds:.1f} a second)" if n_new else "")
    done = f"{n_done:,} of {counted(n_all, 'passage')}"
    if ctrl_c.pressed and n_done < n_all:
        message("stopped", f"{done} done, {made}; run it again to go on", "yellow")
        return 130
    click.echo(f"library {name}: {done} can be found by meaning; made {made}")
    return 0


def _source(embedder_name: str | None) -> str:
    """What finds the embedder again, from any folder."""
    if embedder_name is None or not Path(embedder_name).exists():
        return embedder_name or embedders.DEFAULT
    return str(Path(embedder_name).absolute())


class _Interruptible:
    """An embedder whose work Ctrl-C ends; what is stored is not cut short."""

    def __init__(self, embedder: Embedder, ctrl_c: CtrlC) -> None:
        self._embedder, self._ctrl_c = embedder, ctrl_c
        self.name, self.dimension = embedder.name, embedder.dimension

    def embed_query(self, texts: Sequence[str]) -> F32:
        return self._run(self._embedder.embed_query, texts)

    def embed_passages(self, texts: Sequence[str]) -> F32:
        return self._run(self._embedder.embed_passages, texts)

    def _run(self, embed: Callable[[Sequence[str]], F32], texts: Sequence[str]) -> F32:
        with self._ctrl_c.interruptible():
            return embed(texts)


class _Shown:
    """How far the embedding is, how fast, and how long it takes."""

    def __init__(self, line: ProgressLine) -> None:
        self._line, self._pace = line, Pace()
        self._first: tuple[float, int] | None = None

    def progress(self, n_done: int, n_total: int) -> None:
        """So many passages have a vector."""
        now = time.monotonic()
        self._first = self._first or (now, n_done)
        self._pace.tell(n_done, n_total)
        seconds, n_new = now - self._first[0], n_done - self._first[1]
        rate = f", {n_new / seconds:.1f} a second" if n_new else ""
        self._line.show(f"embedding: {n_done:,} of {n_total:,} passages ({self._pace.words}{rate})")


def _embedder_for(library: Library, mode: str | None, embedder_name: str | None) -> Embedder | None:
    if mode == "words":
        return None
    if mode == "hybrid" or embedder_name is not None:
        return embedders.open_embedder(embedder_name)
    return embedders.embedder_of(library)


def _found(
    library: Library, text: str, limit: int, embedder: Embedder | None, line: ProgressLine
) -> tuple[list[Hit], str]:
    """Hits, and how they were found: by words alone where the embedder fails, as sessions do."""
    if embedder is None:
        return library.search(text, limit), "words"
    try:
        return library.search(text, limit, embedder=embedder), "hybrid"
    except EdgeAIError as exc:
        hits = library.search(text, limit)  # before the warning: where the library is at fault, one line says so
        line.clear()
        message("warning", f"searched by words alone: {exc}", "yellow")
        return hits, "words"


def _n_embedded(library: Library, embedder: Embedder) -> int:
    return library.stats().n_embedded.get(embedder.name, 0)


def _hint(folder: Path, name: str) -> None:
    """Say, once for each library, that it could be searched by meaning too."""
    mark = folder / "hint-shown"
    if mark.exists():
        return
    with suppress(OSError):  # then it is said again
        mark.touch()
    install = "" if e5.is_installed() else 'pip install "edgeai[embed]", then '
    option = "" if name == DEFAULT_LIBRARY else f" --library {name}"
    message("hint", f"found by words alone; by meaning too: {install}`edgeai docs embed{option}`", "cyan")
