"""`edgeai ocr`: what is written in pictures and scanned PDFs, as text."""

from __future__ import annotations

from pathlib import Path

import click

from tui.docs_words import counted
from tui.output import message
from tui.path_type import DOCUMENT_PATH
from tui.progress_line import ProgressLine
from tui.session_options import password_option


@click.command()
@click.argument("paths", metavar="FILE...", nargs=-1, required=True, type=DOCUMENT_PATH)
@click.option("--json", "as_json", is_flag=True, help="Lines with their places (pixels) and scores, an object a file.")
@click.option("--markdown", "as_markdown", is_flag=True, help="Tables and headings too.")
@click.option(
    "-o",
    "--out",
    "folder",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write NAME.txt, .md or .json there instead of to stdout.",
)
@click.option("--force", is_flag=True, help="Replace files that are there.")
@password_option
def command(
    paths: tuple[Path, ...], as_json: bool, as_markdown: bool, folder: Path | None, force: bool, password: str | None
) -> int:
    """Read what is written in pictures and on the pages of PDFs.

    \b
      edgeai ocr label.jpg
      edgeai ocr --markdown scan.pdf > scan.md
      edgeai ocr photos/ "*.png" -o texts

    English, Japanese and Chinese, printed or clearly written, upright or turned; columns are read one after the other.
    Folders stand for the pictures and PDFs in them. No language model is loaded.
    """
    from edgeai.vision import ocr
    from tui.ocr_files import Format, Recognizing, Wishes, find_readable

    if as_json and as_markdown:
        raise click.UsageError("--json and --markdown: choose one of them")
    if folder is None and force:
        raise click.UsageError("--force replaces files, and none is written without -o DIR")
    if not ocr.is_installed():
        raise ocr.not_installed()
    files, failed = find_readable(paths)
    for why in failed:
        message("error", why, "red")
    format_: Format = "json" if as_json else "markdown" if as_markdown else "text"
    with ProgressLine() as line, Recognizing(files, Wishes(format_, folder, force, password), line) as job:
        n_failed = job.run() + len(failed)
    if n_failed and len(files) + len(failed) > 1:
        message("note", f"{counted(n_failed, 'file')} of {len(files) + len(failed)} could not be read", "yellow")
    return int(n_failed > 0)
