"""`edgeai caption`: what is to be seen in many pictures."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from edgeai.safe_text import one_line
from tui.docs_words import counted
from tui.output import message
from tui.progress_line import ProgressLine
from tui.session_options import given, load_options, open_session


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@load_options
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    required=True,
    help="Where the captions go: a line of JSON for each picture (file_name, text).",
)
@click.option(
    "--language", default="en", show_default=True, metavar="LANGUAGE", help="en, ja, or another's English name."
)
@click.option("--prompt", metavar="TEXT", help="What is asked about each picture, instead.")
@click.option("--max-tokens", type=click.IntRange(1), default=120, show_default=True, help="Of a caption.")
def command(
    paths: tuple[Path, ...], output: Path, language: str, prompt: str | None, max_tokens: int, **options: Any
) -> int:
    """Describe the pictures of PATHS: files, folders and globs.

    \b
      edgeai caption photos/ -o photos/captions.jsonl --language ja

    Each caption is on the disk when the next picture begins: the same command goes on where it was stopped, and looks
    only at pictures that are new or have changed.
    """
    from edgeai.errors import PictureError
    from edgeai.vision.caption import captions, prompt_in
    from edgeai.vision.caption_file import CaptionFile
    from edgeai.vision.finding import find_pictures

    pictures, n_failed = [], 0
    for found in find_pictures(paths):
        if isinstance(found, PictureError):
            message("error", str(found), "red")
            n_failed += 1
        else:
            pictures.append(found)
    with ProgressLine() as line, CaptionFile(output) as file:
        n_before, n_new = file.n_captions, 0
        opening = {**options, "on_load_progress": line.loading}
        with open_session(opening.pop("model"), **given(opening)) as session:
            line.start()
            try:
                for path, made in captions(
                    session, pictures, file, prompt or prompt_in(language), max_tokens=max_tokens
                ):
                    if isinstance(made, PictureError):
                        line.clear()
                        message("error", str(made), "red")
                        n_failed += 1
                    else:
                        n_new += 1
                        line.show(f"{n_new + n_failed:,} pictures looked at, the last is {one_line(path.name)}")
            except KeyboardInterrupt:
                line.clear()
                message(
                    "stopped", f"{counted(n_new, 'caption')} written: the same command goes on from there", "yellow"
                )
                return 130
    click.echo(f"{counted(n_new, 'caption')} new, {n_before:,} before, in {output}", file=sys.stderr)
    return int(n_failed > 0)
