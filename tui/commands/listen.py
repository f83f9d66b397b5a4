"""`edgeai listen`: live transcription, line by line."""

from __future__ import annotations

import contextlib
import json
import time

import click

from tui.audio_options import input_option
from tui.progress_line import ProgressLine


@click.command()
@click.option("--language", default="auto", show_default=True, metavar="CODE", help="That is spoken: en, ja …")
@click.option("-m", "--model", metavar="NAME", help="The weights: whisper-base or whisper-tiny-en.")
@input_option
@click.option("--json", "as_json", is_flag=True, help="Print a line of JSON for each utterance.")
def command(language: str, model: str | None, input_name: str | None, as_json: bool) -> int:
    """Print what is said into the microphone, a line for each utterance, until Ctrl-C."""
    from edgeai.speech.devices import Microphone
    from edgeai.speech.ear import Ear, Hearing
    from edgeai.speech.engines import load_recognizer
    from edgeai.speech.vad import VoiceActivity

    recognizer = load_recognizer(model)
    code = None if language == "auto" else language
    started = time.monotonic()

    def words(hearing: Hearing) -> str:
        found = recognizer.recognize([hearing.waveform], code)[0]
        return " ".join(segment.text for segment in found.segments)

    with contextlib.closing(Microphone(input_name)) as microphone, ProgressLine() as line:
        ear = Ear(VoiceActivity())
        line.start()
        while (block := microphone.read()) is not None:
            for hearing in ear.push(block):
                if hearing.kind == "ended":
                    line.clear()
                    end_s = time.monotonic() - started
                    _print(words(hearing), end_s, as_json=as_json)
                elif hearing.kind == "partial":
                    line.show(words(hearing))
    return 0


def _print(words: str, end_s: float, *, as_json: bool) -> None:
    if words:
        click.echo(json.dumps({"text": words, "end_s": round(end_s, 2)}, ensure_ascii=False) if as_json else words)
