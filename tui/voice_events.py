"""What the chat's ears and voice tell the screen."""

from __future__ import annotations

from dataclasses import dataclass

from textual.message import Message as Event

from edgeai import EdgeAIError


@dataclass
class VoiceLevel(Event):
    """The microphone is open, and so loud (0..1)."""

    level: float


@dataclass
class VoicePartial(Event):
    """Words so far."""

    words: str


@dataclass
class VoiceSaid(Event):
    """Somebody has finished, or `goes_on` after a pause; `words` may be empty."""

    words: str
    goes_on: bool = False


@dataclass
class VoiceInterrupted(Event):
    """An answer was stopped, or somebody speaks before it sounds; so much of it has sounded."""

    said: str


@dataclass
class VoiceSpoken(Event):
    """An answer has sounded to its end."""


@dataclass
class VoiceProblem(Event):
    """Something could not be heard or spoken, and it goes on; `is_lasting` where the line is to stay on the screen."""

    line: str
    is_lasting: bool = True


@dataclass
class VoiceEnded(Event):
    """The microphone is closed; `error` says why, where nobody asked for it."""

    error: EdgeAIError | None = None
