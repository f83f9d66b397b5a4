"""Transcripts as text, JSON and subtitles (SubRip, WebVTT)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import asdict

from edgeai.safe_text import one_line, plain
from edgeai.speech.subtitles import cues
from edgeai.speech.types import Transcript

# SubRip has no escaping, and players read <b> and {\an8} in it as commands.
_SRT_MARKS = str.maketrans({"<": "‹", ">": "›", "{": "(", "}": ")"})
_VTT_MARKS = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_ARROW = re.compile("--+>")


def as_text(transcript: Transcript) -> str:
    """A line for each segment."""
    return "".join(f"{one_line(segment.text)}\n" for segment in transcript.segments)


def as_json(transcript: Transcript) -> str:
    """All of it, times in seconds."""
    return json.dumps(_clean(asdict(transcript)), ensure_ascii=False, indent=2) + "\n"


def as_srt(transcript: Transcript) -> str:
    """SubRip."""
    blocks = (
        f"{number}\n{_time(cue.start_s, ',')} --> {_time(cue.end_s, ',')}\n"
        + "".join(f"{_ARROW.sub('→', line).translate(_SRT_MARKS)}\n" for line in cue.lines)
        for number, cue in enumerate(cues(transcript.segments), 1)
    )
    return "\n".join(blocks)


def as_vtt(transcript: Transcript) -> str:
    """WebVTT. Source: https://www.w3.org/TR/webvtt1/."""
    blocks = (
        f"\n{_time(cue.start_s, '.')} --> {_time(cue.end_s, '.')}\n"
        + "".join(f"{line.translate(_VTT_MARKS)}\n" for line in cue.lines)
        for cue in cues(transcript.segments)
    )
    return "WEBVTT\n" + "".join(blocks)


FORMATS: dict[str, Callable[[Transcript], str]] = {"text": as_text, "json": as_json, "srt": as_srt, "vtt": as_vtt}
SUFFIXES = {"text": ".txt", "json": ".json", "srt": ".srt", "vtt": ".vtt"}


def _time(seconds: float, mark: str) -> str:
    ms = round(seconds * 1000)
    return f"{ms // 3_600_000:02}:{ms // 60_000 % 60:02}:{ms // 1000 % 60:02}{mark}{ms % 1000:03}"


def _clean(value: object) -> object:
    """Harmless text, and numbers to the millisecond: what is behind that is noise."""
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, float):
        return round(value, 3)
    if isinstance(value, dict):
        return {key: _clean(item) for key, item in value.items()}
    return [_clean(item) for item in value] if isinstance(value, (list, tuple)) else value
