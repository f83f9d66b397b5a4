"""Transcripts as text, JSON and subtitles (SubRip, WebVTT)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict

from edgeai.safe_text import one_line
from edgeai.speech.types import Segment, Transcript

_MAX_LINE = 42
"""Cells of a line of subtitles, as broadcasters have it; letters of Japanese and Chinese take two."""


def as_text(transcript: Transcript) -> str:
    """A line for each segment."""
    return "".join(f"{one_line(segment.text)}\n" for segment in transcript.segments)


def as_json(transcript: Transcript) -> str:
    """All of it, times in seconds."""
    return json.dumps(asdict(transcript), ensure_ascii=False, indent=2) + "\n"


def as_srt(transcript: Transcript) -> str:
    """SubRip."""
    cues = (
        f"{number}\n{_time(segment.start_s, ',')} --> {_time(segment.end_s, ',')}\n{_lines(segment)}\n"
        for number, segment in enumerate(transcript.segments, 1)
    )
    return "\n".join(cues)


def as_vtt(transcript: Transcript) -> str:
    """WebVTT. Source: https://www.w3.org/TR/webvtt1/."""
    cues = (
        f"\n{_time(segment.start_s, '.')} --> {_time(segment.end_s, '.')}\n{_escaped(_lines(segment))}\n"
        for segment in transcript.segments
    )
    return "WEBVTT\n" + "".join(cues)


FORMATS: dict[str, Callable[[Transcript], str]] = {"text": as_text, "json": as_json, "srt": as_srt, "vtt": as_vtt}
SUFFIXES = {"text": ".txt", "json": ".json", "srt": ".srt", "vtt": ".vtt"}


def _time(seconds: float, mark: str) -> str:
    ms = round(seconds * 1000)
    return f"{ms // 3_600_000:02}:{ms // 60_000 % 60:02}:{ms // 1000 % 60:02}{mark}{ms % 1000:03}"


def _lines(segment: Segment) -> str:
    """The text in lines that a screen has room for. An arrow in it would begin another cue."""
    text = one_line(segment.text).replace("-->", "→").strip()
    lines, line = list[str](), ""
    for piece in _pieces(text):
        if line and _width(line + piece.rstrip()) > _MAX_LINE:
            lines.append(line.rstrip())
            line = ""
        line += piece if line else piece.lstrip()
    return "\n".join([*lines, line.rstrip()])


def _pieces(text: str) -> Iterable[str]:
    """Where a line may end: after spaces, and after each wide letter."""
    piece = ""
    for letter in text:
        piece += letter
        if letter == " " or _width(letter) == 2:
            yield piece
            piece = ""
    yield piece


def _width(text: str) -> int:
    return sum(2 if "\u1100" <= letter <= "\u115f" or "\u2e80" <= letter <= "\uff60" else 1 for letter in text)


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
