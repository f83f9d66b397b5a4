"""The chat's ears and voice: a microphone that is listened to and a speaker that reads answers out, in threads of their
own. What happens is posted to the screen."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from textual.message import Message as Event

from edgeai import EdgeAIError

if TYPE_CHECKING:
    from edgeai.speech.base import AudioSink, AudioSource, Recognizer, Voice
    from edgeai.speech.ear import Ear, Hearing
    from edgeai.speech.mouth import Mouth
    from edgeai.speech.types import Waveform

_LEVEL_S = 0.1
_ECHO_S = 0.3
"""How long a room and a sound card go on sounding: so long it is deaf after it has spoken."""
_CLOSE_TIMEOUT_S = 3.0


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
    """Somebody has finished; `words` may be empty."""

    words: str


@dataclass
class VoiceUnspoken(Event):
    """An answer was stopped; so much of it has sounded."""

    said: str


@dataclass
class VoiceEnded(Event):
    """The microphone is closed; `error` says why, where nobody asked for it."""

    error: EdgeAIError | None = None


class Ends(Protocol):
    """Opens what is spoken with; tests put others in its place."""

    def recognizer(self) -> Recognizer: ...
    def voices(self) -> dict[str, Voice]: ...
    def microphone(self) -> AudioSource: ...
    def speaker(self) -> AudioSink: ...
    def ear(self) -> Ear: ...
    def release(self) -> None: ...


class RealEnds:
    """The engines of `edgeai.speech` and PortAudio's devices, each opened when it is first used."""

    def __init__(self, input_name: str | None = None, output_name: str | None = None) -> None:
        from edgeai.speech.engines import SpeechEngines

        self._names = (input_name, output_name)
        self._engines = SpeechEngines()

    def recognizer(self) -> Recognizer:
        return self._engines.recognizer()

    def voices(self) -> dict[str, Voice]:
        return self._engines.voices()

    def microphone(self) -> AudioSource:
        from edgeai.speech.devices import Microphone

        return Microphone(self._names[0])

    def speaker(self) -> AudioSink:
        from edgeai.speech.devices import Speaker

        return Speaker(self._names[1])

    def ear(self) -> Ear:
        from edgeai.speech.ear import Ear
        from edgeai.speech.vad import VoiceActivity

        return Ear(VoiceActivity())

    def release(self) -> None:
        self._engines.release()


class VoiceMode:
    """Listens and speaks for the chat.

    Attributes:
        is_on: the microphone is open, or about to be.
        is_hands_free: what is said is sent, and answers are read out.
    """

    def __init__(self, post: Callable[[Event], object], ends: Callable[[], Ends] = RealEnds) -> None:
        self.is_on = self.is_hands_free = False
        self._post, self._open_ends = post, ends
        self._ends: Ends | None = None
        self._source: AudioSource | None = None
        self._sink: AudioSink | None = None
        self._mouth: Mouth | None = None
        self._pieces: queue.SimpleQueue[str | None] | None = None
        self._listening: threading.Thread | None = None
        self._speaking: threading.Thread | None = None

    def start(self, *, hands_free: bool) -> None:
        """Open the microphone; for one utterance, or until `stop`."""
        self.is_on, self.is_hands_free = True, hands_free
        self._listening = threading.Thread(target=self._listen, name="edgeai-voice", daemon=True)
        self._listening.start()

    def stop(self) -> None:
        """Close the microphone and fall silent."""
        self.is_on = self.is_hands_free = False
        self.hush()
        if self._source is not None:
            self._source.close()

    def close(self) -> None:
        """Stop, and free everything."""
        self.stop()
        for thread in (self._listening, self._speaking):
            if thread is not None:
                thread.join(_CLOSE_TIMEOUT_S)
        if self._sink is not None:
            self._sink.close()
        if self._ends is not None:
            self._ends.release()

    # --- answers ---

    @property
    def is_speaking(self) -> bool:
        """An answer is being read out."""
        return self._speaking is not None and self._speaking.is_alive()

    def feed(self, text: str) -> None:
        """Read this out after what was fed before."""
        if self._pieces is None:
            self._pieces = queue.SimpleQueue()
            self._speaking = threading.Thread(target=self._speak, args=(self._pieces,), name="edgeai-say", daemon=True)
            self._speaking.start()
        self._pieces.put(text)

    def end_answer(self) -> None:
        """The answer is complete."""
        if self._pieces is not None:
            self._pieces.put(None)
            self._pieces = None

    def hush(self) -> None:
        """Fall silent."""
        self.end_answer()
        if self.is_speaking and self._mouth is not None:
            self._mouth.stop()

    def _speak(self, pieces: queue.SimpleQueue[str | None]) -> None:
        from edgeai.speech.mouth import Mouth
        from edgeai.speech.speak import speak

        try:
            ends = self._opened()
            if self._sink is None:
                self._sink = ends.speaker()
            self._mouth = mouth = Mouth(self._sink)
            mouth.begin()
            for speech in speak(_until_none(pieces), ends.voices()):
                if not mouth.say(speech):
                    break
            if not mouth.drain():
                self._post(VoiceUnspoken(mouth.said))
        except EdgeAIError as exc:
            self._post(VoiceEnded(exc))

    # --- listening ---

    def _listen(self) -> None:
        error: EdgeAIError | None = None
        try:
            ends = self._opened()
            recognizer, ear = ends.recognizer(), ends.ear()
            self._source = source = ends.microphone()
            if self.is_on:
                self._hear(source, ear, recognizer)
            source.close()
        except EdgeAIError as exc:
            error = exc
        self.is_on = self.is_hands_free = False
        self._post(VoiceEnded(error))

    def _hear(self, source: AudioSource, ear: Ear, recognizer: Recognizer) -> None:
        deaf_until = told_at = 0.0
        while self.is_on and (block := source.read()) is not None:
            now = time.monotonic()
            if now - told_at > _LEVEL_S:
                told_at = now
                self._post(VoiceLevel(_level(block)))
            if self.is_speaking:
                deaf_until = now + _ECHO_S
            if now < deaf_until:
                ear.forget()
                continue
            for hearing in ear.push(block):
                if self._heard(hearing, recognizer) and not self.is_hands_free:
                    return

    def _heard(self, hearing: Hearing, recognizer: Recognizer) -> bool:
        """Tell of what was heard; whether somebody has finished."""
        if hearing.kind == "began":
            return False
        found = recognizer.recognize([hearing.waveform])[0]
        words = " ".join(segment.text for segment in found.segments).strip()
        if hearing.kind == "ended":
            self._post(VoiceSaid(words))
            return bool(words)
        self._post(VoicePartial(words))
        return False

    def _opened(self) -> Ends:
        if self._ends is None:
            self._ends = self._open_ends()
        return self._ends


def _until_none(pieces: queue.SimpleQueue[str | None]) -> Iterator[str]:
    while (piece := pieces.get()) is not None:
        yield piece


def _level(block: Waveform) -> float:
    import numpy as np

    return float(min(1.0, 4 * np.sqrt(np.mean(block**2)))) if len(block) else 0.0
