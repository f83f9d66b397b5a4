"""`edgeai review`: remarks on the slides of a deck."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from tui.path_type import DOCUMENT_PATH
from tui.progress_line import ProgressLine
from tui.session_options import given, load_options, ocr_option, password_option


@click.command()
@click.argument("path", metavar="DECK", type=DOCUMENT_PATH)
@click.option("--slides", "wanted", metavar="3-7", help="Only these slides: a number, or the first and the last one.")
@click.option("--rules", "rules_path", type=click.Path(path_type=Path), metavar="FILE", help="Your limits and prompts.")
@click.option(
    "--language", type=click.Choice(["en", "ja"]), default="en", show_default=True, help="That remarks are written in."
)
@click.option("--no-model", is_flag=True, help="Only what can be measured; no model is loaded.")
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), metavar="FILE.md", help="Write there instead of to stdout."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@load_options
@password_option
@ocr_option
def command(path: Path, **options: Any) -> int:
    """Review the slides of a PDF or a presentation (.pptx), with their numbers.

    \b
      edgeai review deck.pdf -o review.md
      edgeai review --no-model --slides 3-7 deck.pptx
      edgeai review --rules our_rules.toml --language ja deck.pdf

    Measured: letters that are too small, too much text, low contrast, claims without a source, numbers that differ
    between slides. Apart from these stands what the model has to say; it quotes the slides, and a quote that does not
    stand there is dropped. What slides are held against, and what the model is told, is in edgeai/review/rules.toml:
    a file with some of its keys replaces them.

    The work is kept slide by slide: after Ctrl-C, a crash or a power cut the same command goes on where it was.
    """
    from edgeai.notes.markdown import NotesFile
    from edgeai.review.rules import load_rules
    from tui.reviewing import Reviewing, Wishes, slide_range

    first, last = slide_range(options.pop("wanted"))
    language = options.pop("language")
    rules = load_rules(language, options.pop("rules_path"))
    out = options.pop("out")
    wishes = Wishes(
        path, first, last, language, NotesFile(out, (path,)) if out else None, asks=not options.pop("no_model"),
        **{name: options.pop(name) for name in ("as_json", "password", "ocr")},
    )  # fmt: skip
    with ProgressLine() as line:
        Reviewing(rules, wishes, line).run(given({"on_load_progress": line.loading, **options}))
    return 0
