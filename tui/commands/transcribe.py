"""`edgeai transcribe`: sound and video files to text."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgeai.errors import AudioError
from edgeai.safe_text import one_line
from tui.docs_words import counted
from tui.output import message
from tui.path_type import DOCUMENT_PATH
from tui.progress_line import ProgressLine

if TYPE_CHECKING:
    from tui.transcribing import Wishes


@click.command()
@click.argument("paths", metavar="FILE...", nargs=-1, required=True, type=DOCUMENT_PATH)
@click.option("--language", metavar="CODE", default="auto", show_default=True, help="en, ja …: what is spoken.")
@click.option("-m", "--model", metavar="NAME", help="Weights that transcribe, like whisper-base.")
@click.option(
    "--format",
    "format_",
    type=click.Choice(["text", "json", "srt", "vtt"]),
    default="text",
    show_default=True,
    help="srt and vtt are subtitles.",
)
@click.option("--words", "with_words", is_flag=True, help="With the times of words (json).")
@click.option(
    "-o",
    "--out",
    "folder",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write NAME.txt, .json, .srt or .vtt there instead of to stdout.",
)
@click.option("--force", is_flag=True, help="Replace files that are there.")
def command(
    paths: tuple[Path, ...],
    language: str,
    model: str | None,
    format_: str,
    with_words: bool,
    folder: Path | None,
    force: bool,
) -> int:
    """Write down what is said in sound and video files.

    \b
      edgeai transcribe talk.mp3
      edgeai transcribe interview.mp4 --language ja --format srt -o subtitles
      edgeai transcribe recordings/ "*.m4a" -o texts

    Folders stand for the sounds and videos in them. Files may be hours long; Ctrl-C keeps what was heard, and the same
    command goes on from there. No language model is loaded.
    """
    from edgeai.speech.engines import chosen_recognizer
    from tui.sound_files import find_sounds
    from tui.speech_weights import ensure
    from tui.transcribing import Wishes

    if folder is None and force:
        raise click.UsageError("--force replaces files, and none is written without -o DIR")
    if folder is not None:
        _check_writable(folder)
    files, failed = find_sounds(paths)
    for why in failed:
        message("error", why, "red")
    if not files:
        return 1
    ensure(chosen_recognizer(model))
    n_failed = _transcribe(files, Wishes(language.lower(), format_, with_words, folder, force), model)
    if n_failed is None:
        message("stopped", "what was heard is kept: the same command goes on from there", "yellow")
        return 130
    n_failed += len(failed)
    if n_failed and len(files) + len(failed) > 1:
        message("note", f"{counted(n_failed, 'file')} of {len(files) + len(failed)} could not be transcribed", "yellow")
    return int(n_failed > 0)


def _transcribe(files: Sequence[Path], wishes: Wishes, model: str | None) -> int | None:
    """How many files failed; None where Ctrl-C ended it."""
    from edgeai.speech.engines import load_recognizer
    from edgeai.speech.vad import VoiceActivity
    from tui.transcribing import Transcribing

    with ProgressLine() as line:
        recognizer = load_recognizer(model)
        try:
            if wishes.language != "auto":
                recognizer.recognize([], wishes.language)  # an unknown language is said once, not of each file
            return Transcribing(files, wishes, recognizer, VoiceActivity(), line).run()
        except KeyboardInterrupt:
            return None
        finally:
            recognizer.close()


def _check_writable(folder: Path) -> None:
    """Hours of hearing shall not end in a folder that cannot be."""
    there = folder
    while not os.path.lexists(there) and there != there.parent:
        there = there.parent
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise AudioError(
            f"{one_line(os.fspath(folder))}: no file can be written there: expected a folder that you may write into; "
            "choose another with -o"
        )
