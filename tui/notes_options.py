"""The options that `edgeai summarize` and `edgeai report` share, and what they say together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from edgeai.documents.types import OcrMode
from edgeai.notes.condense import Wishes
from edgeai.notes.fixed_words import fixed_words
from edgeai.notes.prompts import wishes as wishes_text
from tui.session_options import load_options, ocr_option, password_option, sampling_options, take_sampling

_Function = TypeVar("_Function", bound=Callable[..., Any])

_MAX_TEXT_CHARS = 2000
_MAX_LANGUAGE_CHARS = 40

_OPTIONS = (
    click.option(
        "--length",
        type=click.Choice(["short", "medium", "long"]),
        default="medium",
        show_default=True,
        help="How much.",
    ),
    click.option("--words", type=click.IntRange(20, 100_000), help="About so many words instead."),
    click.option("--language", metavar="NAME", help="Write in this language; by default in the documents' own."),
    click.option("--prompt", metavar="TEXT", help="What to attend to besides."),
    click.option(
        "-o", "--out", type=click.Path(path_type=Path), metavar="FILE.md", help="Write there instead of to stdout."
    ),
    click.option("--dry-run", is_flag=True, help="Say what there is to do and how long it takes, and do nothing."),
    click.option("--json", "as_json", is_flag=True, help="Print JSON."),
)


def notes_options(function: _Function) -> _Function:
    """Adds what both commands take; `take_notes` makes one thing of it."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return load_options(sampling_options(password_option(ocr_option(function))))


@dataclass(frozen=True, slots=True)
class Asked:
    """What the options say.

    Attributes:
        n_words: about so many.
        language: that was asked for; None leaves it to the documents.
        prompt: what to attend to besides.
        sampling: how tokens are chosen, without their number.
        max_tokens: of an answer.
        password: of encrypted documents.
        ocr: which pages of them are recognised.
        out: the file that is written; None for stdout.
        dry_run: only the plan is told.
        as_json: JSON is printed.
    """

    n_words: int
    language: str | None
    prompt: str | None
    sampling: dict[str, Any]
    max_tokens: int | None
    password: str | None
    ocr: OcrMode
    out: Path | None
    dry_run: bool
    as_json: bool

    def wishes(self, texts: Iterable[str]) -> Wishes:
        """The same for who writes notes about these texts."""
        text = wishes_text(self.language, self.prompt)
        return Wishes(self.n_words, text, self.max_tokens, fixed_words(self.language, texts))


def take_notes(options: dict[str, Any], n_words: Mapping[str, int]) -> Asked:
    """Take what `notes_options` added out of a command's keywords; what is left opens a session.

    Raises:
        click.UsageError: a value makes no sense; told before a model is loaded.
    """
    sampling = take_sampling(options)
    length, words = options.pop("length"), options.pop("words")
    return Asked(
        words or n_words[length],
        checked_text("--language", options.pop("language")),
        checked_text("--prompt", options.pop("prompt")),
        sampling,
        sampling.pop("max_tokens", None),
        **{name: options.pop(name) for name in ("password", "ocr", "out", "dry_run", "as_json")},
    )


def checked_text(name: str, value: str | None) -> str | None:
    """A text that goes into prompts.

    Raises:
        click.UsageError: it is empty or too long.
    """
    if value is None:
        return None
    text = " ".join(value.encode("utf-8", "replace").decode().split())
    most = _MAX_LANGUAGE_CHARS if name == "--language" else _MAX_TEXT_CHARS
    if not text or len(text) > most:
        raise click.UsageError(f"{name}: {len(text):,} characters: expected 1 to {most:,}")
    return text
