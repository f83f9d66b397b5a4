"""The voices, as `edgeai say --list-voices` shows them."""

from __future__ import annotations

from dataclasses import asdict

from edgeai.safe_text import one_line
from edgeai.speech.voices import DEFAULT_VOICES, VoiceFacts, known_voices
from tui.output import console, print_json, table
from tui.units import bytes_text


def print_voices(*, as_json: bool) -> None:
    """Print what voices there are, under which licences, and how to get those that are not here."""
    voices = known_voices()
    if as_json:
        print_json([_json_value(voice) for voice in voices])
        return
    listing = table("", "voice", "language", "rate", "size", "licence", right=("rate", "size"))
    for voice in voices:
        name = voice.name + (" (default)" if voice.name in DEFAULT_VOICES else "")
        rate, size = f"{voice.sample_rate_hz // 1000} kHz", bytes_text(voice.size_bytes)
        listing.add_row("●" if voice.is_installed else "", name, voice.language, rate, size, voice.licence)
    out = console()
    out.print(listing)
    out.print("\n● here")
    for get in dict.fromkeys(voice.get for voice in voices if voice.get):
        out.print(f"{_names(voices, 'get', get)}: {one_line(get)}", soft_wrap=True)
    out.print("\nTo be credited where their sound is passed on:")
    for credit in dict.fromkeys(voice.credit for voice in voices):
        url = next(voice.licence_url for voice in voices if voice.credit == credit)
        out.print(f"{_names(voices, 'credit', credit)}: {one_line(credit)} ({url})", soft_wrap=True)


def _names(voices: list[VoiceFacts], field: str, value: str) -> str:
    """The voices of which a fact is true: one by its name, several by what their names begin with."""
    names = [voice.name for voice in voices if getattr(voice, field) == value]
    return names[0] if len(names) == 1 else f"{names[0].partition('-')[0]}-…"


def _json_value(voice: VoiceFacts) -> dict[str, object]:
    return {
        **asdict(voice),
        "weights": voice.weights or None,
        "get": voice.get or None,
        "installed": voice.is_installed,
        "default": voice.name in DEFAULT_VOICES,
    }
