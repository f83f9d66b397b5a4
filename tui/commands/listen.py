"""`edgeai listen`: live transcription, line by line."""

from __future__ import annotations

import json
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import click

from edgeai.paths import recordings_dir
from tui import speech_weights
from tui.audio_options import input_option
from tui.output import message
from tui.progress_line import ProgressLine
from tui.voice_words import end_of

if TYPE_CHECKING:
    from edgeai.speech.base import AudioSource


@click.command()
@click.option("--language", default="auto", show_default=True, metavar="CODE", help="That is spoken: en, ja …")
@click.option("-m", "--model", metavar="NAME", help="The weights: whisper-base or whisper-tiny-en.")
@input_option
@click.option("--json", "as_json", is_flag=True, help="Print a line of JSON for each utterance.")
def command(language: str, model: str | None, input_name: str | None, as_json: bool) -> int:
    """Print what is said into the microphone, a line for each utterance, until Ctrl-C."""
    from edgeai.speech.devices import Microphone, find_device
    from edgeai.speech.engines import chosen_recognizer, load_recognizer
    from edgeai.speech.listener import Listener

    find_device("input", input_name)  # where it is missing, nobody waits for weights
    speech_weights.ensure(chosen_recognizer(model))
    with closing(Microphone(input_name)) as microphone, ProgressLine() as line, _ended_by_ctrl_c(microphone) as pressed:
        recognizer = load_recognizer(model)  # what is said meanwhile is heard too
        line.start()
        started = time.monotonic()
        listener = Listener(
            microphone,
            recognizer,
            language=language,
            with_partials=sys.stderr is not None and sys.stderr.isatty(),  # where they are shown
            keep_dir=recordings_dir(),
        )
        for heard in listener:
            if heard.kind == "partial":
                line.show(end_of(heard.text, shutil.get_terminal_size().columns - 1))
                continue
            line.clear()
            if heard.kind == "problem":
                message("error", heard.text, "red")
            else:
                _print(heard.text, heard.silent_since - started, as_json=as_json)
    return 130 if pressed.is_set() else 0


@contextmanager
def _ended_by_ctrl_c(microphone: AudioSource) -> Iterator[threading.Event]:
    """Ctrl-C closes the microphone, so that what was said until then is still printed; the second one ends at once."""
    pressed = threading.Event()
    before = signal.getsignal(signal.SIGINT)

    def handle(*_: Any) -> None:
        signal.signal(signal.SIGINT, before)
        pressed.set()
        microphone.close()

    signal.signal(signal.SIGINT, handle)
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, before)


def _print(words: str, end_s: float, *, as_json: bool) -> None:
    if words:
        click.echo(json.dumps({"text": words, "end_s": round(end_s, 2)}, ensure_ascii=False) if as_json else words)
