"""`edgeai say`: text to speech, through the speaker or into a file."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgeai import AudioError
from edgeai.safe_text import one_line
from tui.audio_options import output_option
from tui.output import message
from tui.piped_text import read_stdin
from tui.progress_line import ProgressLine

if TYPE_CHECKING:
    from edgeai.speech.types import Speech


@click.command()
@click.argument("text", nargs=-1)
@click.option("-o", "--out", type=click.Path(dir_okay=False, path_type=Path), help="Write a WAV file instead.")
@click.option("--force", is_flag=True, help="Replace that file, if there is one.")
@click.option("--language", type=click.Choice(["en", "ja"]), help="Of all of it; by default sentence by sentence.")
@click.option("--voice", "voice_names", metavar="NAME", multiple=True, help="Like kokoro-jf_alpha; one a language.")
@click.option("--list-voices", is_flag=True, help="List the voices and their licences.")
@click.option("--rate", type=click.FloatRange(0.5, 2.0), default=1.0, help="How fast: 0.5 is slow, 2 is fast.")
@output_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON: a line for each sentence, or the voices.")
def command(
    text: tuple[str, ...],
    out: Path | None,
    force: bool,
    language: str | None,
    voice_names: tuple[str, ...],
    list_voices: bool,
    rate: float,
    output_name: str | None,
    as_json: bool,
) -> int:
    """Speak TEXT, or what is piped in, in English and Japanese.

    \b
      edgeai say "It is 25 °C at 14:30."
      edgeai say -o manual.wav < manual.md
      edgeai say --voice kokoro-jf_alpha "今日は良い天気ですね。"

    Sound starts with the first sentence. Markdown is read as its words; tables and code are announced.
    """
    from edgeai.speech.speak import speak
    from edgeai.speech.voices import choose_voices, voice_facts
    from tui.speech_weights import ensure
    from tui.voice_list import print_voices

    if list_voices:
        print_voices(as_json=as_json)
        return 0
    words = " ".join(text).strip() or read_stdin(from_terminal=False).strip()
    if not words:
        raise click.UsageError('There is nothing to say: give a text, as in `edgeai say "Hello."`.')
    if out is not None and out.exists() and not force:
        raise AudioError(f"{one_line(str(out))}: there is such a file already: choose another name, or --force")
    voices = choose_voices(voice_names, rate=rate)
    for weights in filter(None, (voice_facts(name).weights for name in voice_names)):
        ensure(weights)
    with ProgressLine() as line:
        sentences = speak(words, voices, language=language, on_skipped=lambda told: _skipped(line, told))
        shown = _shown(sentences, line, as_json=as_json)
        if out is not None:
            _write(out, shown)
        else:
            _play(shown, output_name)
    return 0


def _shown(sentences: Iterator[Speech], line: ProgressLine, *, as_json: bool) -> Iterator[Speech]:
    """The same sentences, each told as it comes."""
    start_s = 0.0
    for speech in sentences:
        if as_json:
            facts: dict[str, Any] = {"text": speech.text, "spoken": speech.spoken, "language": speech.language}
            times = {"start_s": round(start_s, 3), "duration_s": round(speech.duration_s, 3)}
            click.echo(json.dumps({**facts, **times}, ensure_ascii=False))
        else:
            line.show(one_line(speech.text)[:70])
        start_s += speech.duration_s
        yield speech


def _write(out: Path, sentences: Iterator[Speech]) -> None:
    from edgeai.speech.spoken import Spoken

    Spoken(sentences).write(out)


def _play(sentences: Iterator[Speech], output_name: str | None) -> None:
    from edgeai.speech.devices import Speaker
    from edgeai.speech.mouth import Mouth

    with contextlib.closing(Speaker(output_name)) as speaker:
        mouth = Mouth(speaker)
        mouth.begin()
        try:
            for speech in sentences:
                mouth.say(speech)
            mouth.drain()
        except KeyboardInterrupt:
            mouth.stop()
            raise


def _skipped(line: ProgressLine, told: str) -> None:
    line.clear()
    message("note", told, "yellow")
