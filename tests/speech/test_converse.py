"""Conversations by voice, in real time: the ear, the answer that sounds while it is made, and interruptions."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from edgeai import AudioError, OptionError, Session
from edgeai.speech.converse import Conversation, VoiceEvent
from edgeai.speech.ear import Ear
from edgeai.speech.hibari import HibariVoice
from edgeai.speech.unspoken import NOT_SPOKEN
from edgeai.speech.waveform import resample
from tests.fakes import FakeBackend
from tests.speech.conversing import LengthRecognizer, PacedSink, PacedSource

if TYPE_CHECKING:
    from edgeai.speech.types import Waveform

ANSWER = "It rains. Here is a second one, which nobody will wait for. And a third."


@pytest.fixture(scope="module")
def question() -> Waveform:
    """A person who asks something, 16 kHz."""
    return resample(HibariVoice().synthesize("How is the weather?"), 24_000)


class Talk:
    """A conversation that runs in a thread of its own."""

    def __init__(self, answers: list[str], *, gain: float = 0.0, **options: Any) -> None:
        """`gain` is how loud the microphone hears the speaker."""
        self.backend = FakeBackend().enqueue(*answers)
        self.session = Session(backend=self.backend)
        self.source = PacedSource()
        self.sink = PacedSink(self.source, gain)
        self.recognizer = LengthRecognizer()
        self.events: list[VoiceEvent] = []
        self._changed = threading.Condition()
        self.conversation = Conversation(
            self.session, self.source, self.sink, self.recognizer, {"en": HibariVoice()}, on_event=self._note, **options
        )
        self._thread = threading.Thread(target=self.conversation.run, daemon=True)

    def _note(self, event: VoiceEvent) -> None:
        with self._changed:
            self.events.append(event)
            self._changed.notify_all()

    def wait_for(self, kind: str, n: int = 1) -> VoiceEvent:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.of(kind)) >= n, 60), self.events
            return self.of(kind)[n - 1]

    def of(self, kind: str) -> list[VoiceEvent]:
        return [event for event in self.events if event.kind == kind]

    def __enter__(self) -> Talk:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.conversation.stop()
        self._thread.join(5)
        assert not self._thread.is_alive()
        self.session.close()


def test_a_question_is_answered_aloud_sentence_by_sentence(question: Waveform) -> None:
    with Talk(["It is warm. Dry."]) as talk:
        talk.source.say(question)
        answered = talk.wait_for("answered")
    assert [event.kind for event in talk.events if event.kind != "partial"] == [
        *("speech", "heard", "sentence", "sentence", "answered")
    ]
    assert answered.text == "It is warm. Dry."
    assert [event.text for event in talk.of("sentence")] == ["It is warm.", "Dry."]
    assert talk.session.messages[-1].content == "It is warm. Dry."
    assert sum(map(len, talk.sink.heard)) > 0.5 * 24_000


def test_speaking_again_stops_it_within_150_ms_and_what_was_not_heard_was_not_said(question: Waveform) -> None:
    onset = _first_sound(question)
    with Talk([ANSWER, "Yes."], echo="none") as talk:
        talk.source.say(question)
        talk.wait_for("sentence", 2)
        n_begin = talk.source.say(question) + onset
        interrupted = talk.wait_for("interrupted")
        talk.wait_for("answered")
    (n_stop,) = talk.sink.stopped_at
    assert 0 < n_stop - n_begin <= 0.15 * 16_000
    assert interrupted.text == "It rains."
    assert interrupted.unspoken.startswith("Here is a second one")
    assert [message.content for message in talk.session.messages] == [
        *("short", interrupted.text + NOT_SPOKEN, "short", "Yes.")
    ]


def test_its_own_voice_does_not_interrupt_it_where_the_loudspeaker_is_near(question: Waveform) -> None:
    with Talk(["It is warm today.", "Yes."], gain=0.7, echo="mute") as talk:
        talk.source.say(question)
        talk.wait_for("answered")
        talk.source.say(np.concatenate([np.zeros(8_000, np.float32), question]))
        talk.wait_for("answered", 2)
    assert not talk.of("interrupted")
    assert [event.text for event in talk.of("heard")] == ["short", "short"]


def test_who_has_a_loudspeaker_and_says_none_hears_it_interrupt_itself(question: Waveform) -> None:
    """The mix of the test above is speech: it is the muting that keeps the conversation going."""
    with Talk([ANSWER], gain=0.7, echo="none") as talk:
        talk.source.say(question)
        assert talk.wait_for("interrupted").unspoken


def test_who_goes_on_after_a_pause_gets_one_answer(question: Waveform) -> None:
    with Talk(["Yes."], echo="mute") as talk:
        talk.recognizer.waits = threading.Event()
        talk.source.say(question)
        talk.wait_for("speech")
        talk.source.say(np.concatenate([np.zeros(14_000, np.float32), question]))
        talk.wait_for("speech", 2)  # the first part is still being transcribed
        talk.recognizer.waits.set()
        talk.wait_for("answered")
    assert [event.text for event in talk.of("heard")] == ["short short"]


def test_it_can_be_stopped_by_hand(question: Waveform) -> None:
    with Talk([ANSWER]) as talk:
        talk.source.say(question)
        talk.wait_for("sentence")
        talk.conversation.interrupt()
        assert talk.wait_for("interrupted").unspoken.startswith("It rains")


def test_what_cannot_be_transcribed_is_kept(question: Waveform, tmp_path: Path) -> None:
    with Talk([], keep_dir=tmp_path / "kept") as talk:
        talk.recognizer.error = AudioError("no")
        talk.source.say(question)
        problem = talk.wait_for("problem")
    (path,) = (tmp_path / "kept").iterdir()
    assert str(path) in problem.text
    assert path.stat().st_size > 2 * len(question) * 0.9


def test_a_pause_is_transcribed_before_it_is_known_to_be_the_end(question: Waveform) -> None:
    with Talk(["Yes."]) as talk:
        talk.source.say(question)
        heard = talk.wait_for("heard")
        talk.wait_for("answered")
    assert [event.text for event in talk.of("partial")][-1] == heard.text
    assert talk.recognizer.n_calls == len(talk.of("partial"))


def test_an_unknown_way_with_echo_is_refused() -> None:
    with pytest.raises(OptionError, match="echo"):
        Talk([], echo="loud")


# --- the ear alone ---


def levels(*values: float) -> Iterator[Any]:
    """Frames whose level is the probability of speech."""
    for value in values:
        yield np.full(512, value, np.float32)


def as_probabilities(frames: Waveform) -> Any:
    return frames[::512]


def test_an_ear_hears_beginning_pause_and_end() -> None:
    ear = Ear(as_probabilities)
    speech = [*levels(*[0.0] * 20, *[0.9] * 30, *[0.0] * 8, *[0.9] * 10, *[0.0] * 30)]
    heard = [hearing for frame in speech for hearing in ear.push(frame)]
    assert [hearing.kind for hearing in heard if hearing.kind != "partial"] == ["began", "paused", "paused", "ended"]
    ended = heard[-1]
    assert 48 * 512 < ended.n_spoken <= (48 + 12) * 512  # with what was before
    assert ended.n_spoken == heard[-2].n_spoken
    assert ended.silence_s == pytest.approx(0.5, abs=0.04)


def test_an_ear_does_not_hear_clicks() -> None:
    ear = Ear(as_probabilities)
    assert not [hearing for frame in levels(*[0.0, 0.9, 0.0, 0.0] * 50) for hearing in ear.push(frame)]


def test_an_ear_ends_endless_speech() -> None:
    ear = Ear(as_probabilities)
    heard = [hearing for frame in levels(*[0.9] * 2000) for hearing in ear.push(frame)]
    ended = [hearing for hearing in heard if hearing.kind == "ended"]
    assert len(ended) == 2
    assert all(len(hearing.waveform) <= 30 * 16_000 for hearing in ended)


def _first_sound(waveform: Waveform) -> int:
    """The first sample of a waveform that can be heard."""
    return int(np.argmax(np.abs(waveform) > 0.02))
