"""Conversations by voice with real weights, in real time: how long an answer takes, and how soon it falls silent."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

import edgeai
from benchmarks.speech_turns import Budget, Interruption
from edgeai.speech.converse import Conversation, VoiceEvent
from edgeai.speech.cutting import FRAME_S
from edgeai.speech.ear import TURN_OPTIONS
from edgeai.speech.types import SAMPLE_RATE_HZ
from tests.speech.conversing import PacedSink, PacedSource

if TYPE_CHECKING:
    from edgeai.speech.base import Voice
    from edgeai.speech.types import Waveform

_HANG_OVER_S = FRAME_S * round(TURN_OPTIONS.hang_over_s / FRAME_S)
_WAIT_S = 60.0
_BETWEEN_S = 1.0
_AUDIBLE = 0.02
_SPEAKS_S = 1.0  # of the answer sounds before it is interrupted


class Source(PacedSource):
    """Tells when it has given the end of what was said."""

    def __init__(self) -> None:
        super().__init__()
        self.n_end = 0
        self.ended_at = 0.0

    def read(self) -> Waveform | None:
        block = super().read()
        if self.n_end and self.n_read >= self.n_end:
            self.n_end, self.ended_at = 0, time.monotonic()
        return block


class Sink(PacedSink):
    """Tells when the first samples came since it was asked to."""

    def __init__(self, source: PacedSource) -> None:
        super().__init__(source)
        self.began = threading.Event()
        self.began_at = 0.0

    def write(self, waveform: Waveform) -> None:
        if not self.began.is_set():
            self.began_at = time.monotonic()
            self.began.set()
        super().write(waveform)


class Made(NamedTuple):
    """When a sentence was made into sound."""

    began_at: float
    ended_at: float


class TimedVoice:
    """Writes down when it made each sentence."""

    def __init__(self, voice: Voice, made: list[Made]) -> None:
        self.name, self.language, self.sample_rate_hz = voice.name, voice.language, voice.sample_rate_hz
        self._voice = voice
        self._made = made

    def load(self) -> None:
        """Load its weights."""
        self._voice.load()

    def synthesize(self, sentence: str) -> Waveform:
        began_at = time.monotonic()
        waveform = self._voice.synthesize(sentence)
        self._made.append(Made(began_at, time.monotonic()))
        return waveform

    def close(self) -> None:
        self._voice.close()


class Talk:
    """A conversation that goes on in a thread of its own."""

    def __init__(self, session: edgeai.Session) -> None:
        self.source = Source()
        self.sink = Sink(self.source)
        self.made: list[Made] = []
        self.events: list[tuple[VoiceEvent, float]] = []
        self._session = session
        self._changed = threading.Condition()
        voices = {code: TimedVoice(voice, self.made) for code, voice in session.speech.voices().items()}
        self.conversation = Conversation(
            session, self.source, self.sink, session.speech.recognizer(), voices, echo="none", on_event=self._note
        )
        self._thread = threading.Thread(target=self.conversation.run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End it."""
        self.conversation.stop()
        self._thread.join(10)

    def ask(self, language: str, question: Waveform) -> Budget:
        """Say a question, and stop the answer as soon as it begins to sound."""
        self._fresh()
        n_before = len(self.events)
        begin = self.source.say(question)
        self.source.n_end = begin + _last_sound(question)
        heard = self._wait(n_before, "heard")
        self._wait_for_sound()
        budget = self._budget(language, len(question) / SAMPLE_RATE_HZ, heard)
        self._silence(n_before)
        return budget

    def interrupt(self, question: Waveform, interruption: Waveform) -> float | None:
        """Speak into an answer: ms of that speech until it stops; None where the answer was over before."""
        self._fresh()
        n_before = len(self.events)
        self.source.say(question)
        self._wait_for_sound()
        time.sleep(_SPEAKS_S)
        begin = self.source.say(interruption) + _first_sound(interruption)
        self._wait(n_before, "interrupted", "answered")
        n_stopped = self.sink.stopped_at[-1] if self.sink.stopped_at else begin
        self._wait_until(lambda: self.source.n_read > begin + len(interruption) + SAMPLE_RATE_HZ)
        self._silence(n_before)
        return 1000 * (n_stopped - begin) / SAMPLE_RATE_HZ if n_stopped > begin else None

    def _fresh(self) -> None:
        time.sleep(_BETWEEN_S)
        self._session.reset()
        self.sink.began.clear()
        self.sink.stopped_at.clear()
        self.made.clear()

    def _budget(self, language: str, question_s: float, heard: VoiceEvent) -> Budget:
        heard_at = next(at for event, at in self.events if event is heard)
        silent_at = heard_at - heard.after_s
        made = self.made[0]
        spans_s = {
            "hang_over_ms": _HANG_OVER_S,
            "transcription_ms": heard.after_s - _HANG_OVER_S,
            "sentence_ms": made.began_at - heard_at,
            "synthesis_ms": made.ended_at - made.began_at,
            "sound_ms": self.sink.began_at - made.ended_at,
            "total_ms": self.sink.began_at - silent_at,
            "audible_ms": self.sink.began_at - self.source.ended_at,
        }
        return Budget(language, question_s, **{part: 1000 * span_s for part, span_s in spans_s.items()})

    def _silence(self, n_before: int) -> None:
        """Stop every answer that was begun since then, and wait until it has ended."""
        self.conversation.interrupt()
        self._wait_until(lambda: self._n(n_before, "interrupted", "answered", "problem") >= self._n(n_before, "heard"))

    def _n(self, n_before: int, *kinds: str) -> int:
        return sum(event.kind in kinds for event, _ in self.events[n_before:])

    def _note(self, event: VoiceEvent) -> None:
        with self._changed:
            self.events.append((event, time.monotonic()))
            self._changed.notify_all()

    def _wait(self, n_before: int, *kinds: str) -> VoiceEvent:
        with self._changed:
            self._changed.wait_for(lambda: self._n(n_before, *kinds) > 0, _WAIT_S)
        found = [event for event, _ in self.events[n_before:] if event.kind in kinds]
        if not found:
            raise TimeoutError(f"no event {kinds} within {_WAIT_S:.0f} s: {[e for e, _ in self.events[n_before:]]}")
        return found[0]

    def _wait_for_sound(self) -> None:
        if not self.sink.began.wait(_WAIT_S):
            raise TimeoutError(f"no sound within {_WAIT_S:.0f} s")

    def _wait_until(self, is_so: Any) -> None:
        until = time.monotonic() + _WAIT_S
        while not is_so() and time.monotonic() < until:
            self.conversation.interrupt()
            time.sleep(0.05)


@contextmanager
def talking() -> Iterator[Talk]:
    """With the default model."""
    with edgeai.Session() as session:
        talk = Talk(session)
        try:
            yield talk
        finally:
            talk.close()


def latency(asked: dict[str, list[Waveform]], n_rounds: int) -> list[Budget]:
    """Every question of each language in every round; the first of all, which loads the voice, comes first."""
    with talking() as talk:
        return [
            talk.ask(language, question)
            for _ in range(n_rounds)
            for language, some in asked.items()
            for question in some
        ]


def barge_in(asked: dict[str, list[Waveform]], n_rounds: int) -> list[Interruption]:
    """The answer to every question is interrupted by the question after it, in every round and language."""
    with talking() as talk:
        return [
            Interruption(language, at, talk.interrupt(some[at - 1], question))
            for _ in range(n_rounds)
            for language, some in asked.items()
            for at, question in enumerate(some)
        ]


def _first_sound(waveform: Waveform) -> int:
    return int(np.argmax(np.abs(waveform) > _AUDIBLE))


def _last_sound(waveform: Waveform) -> int:
    return len(waveform) - _first_sound(waveform[::-1])
