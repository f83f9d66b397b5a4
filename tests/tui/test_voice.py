"""The chat by voice: what is said is written or sent, answers are read out, and what goes wrong is one line."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from edgeai import AudioDeviceError, AudioError, PullError
from edgeai.catalog import Catalog
from edgeai.catalog_entry import CatalogEntry
from edgeai.files import Progress
from edgeai.paths import recordings_dir
from edgeai.speech.converse import Echo
from edgeai.speech.ear import Ear
from tests.speech.conversing import LengthRecognizer, PacedSink, PacedSource
from tests.tui.chat_app import Models, running_chat
from tui.screens import voice as voice_screen
from tui.screens.confirm import ConfirmScreen
from tui.voice import RealEnds
from tui.voice_events import VoicePartial

SPEECH = np.full(16_000, 0.9, np.float32)


class ToneVoice:
    """Says everything in so many seconds, or all but the first sentence in `later_s`."""

    name = "tone"
    language = "en"
    sample_rate_hz = 24_000

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.later_s: float | None = None
        self.said: list[str] = []

    def load(self) -> None:
        pass

    def synthesize(self, sentence: str) -> Any:
        self.said.append(sentence)
        seconds = self.seconds if self.later_s is None or len(self.said) == 1 else self.later_s
        return np.full(int(seconds * self.sample_rate_hz), 0.3, np.float32)

    def close(self) -> None:
        pass


class FakeEnds:
    """Both ends in real time; speech is what is loud."""

    def __init__(
        self, seconds: float = 0.1, error: AudioDeviceError | None = None, echo: Echo = "mute", gain: float = 0.0
    ) -> None:
        self.echo: Echo = echo
        self.words = LengthRecognizer()
        self.source = PacedSource()
        self.sink = PacedSink(self.source, gain)
        self.voice = ToneVoice(seconds)
        self.error = error
        self.released = False
        self.missing: CatalogEntry | None = None

    def missing_weights(self) -> CatalogEntry | None:
        return self.missing

    def recognizer(self) -> Any:
        return self.words

    def voices(self) -> Any:
        return {"en": self.voice}

    def microphone(self) -> Any:
        if self.error is not None:
            raise self.error
        return self.source

    def speaker(self) -> Any:
        return self.sink

    def ear(self) -> Ear:
        return Ear(lambda frames: np.abs(frames[::512]))

    def release(self) -> None:
        self.released = True


async def test_what_is_said_is_written_into_the_prompt() -> None:
    ends = FakeEnds()
    async with running_chat(open_ends=lambda: ends) as chat:
        chat.screen.prompt.write("Well,")
        await chat.press("f5")
        await chat.until(lambda: "listening" in chat.screen.status.activity)
        ends.source.say(SPEECH)
        await chat.until(lambda: chat.screen.prompt.text == "Well, short")
        await chat.until(lambda: not chat.app.voice.is_on)
        assert chat.texts == []
    assert ends.released


async def test_a_conversation_by_voice() -> None:
    ends = FakeEnds()
    async with running_chat(Models("It is warm. And dry.", "Yes."), open_ends=lambda: ends) as chat:
        await chat.press("f6")
        ends.source.say(SPEECH)
        await chat.until(lambda: chat.texts[:1] == ["short"])
        await chat.until(lambda: ends.voice.said == ["It is warm.", "And dry."])
        await chat.until(lambda: not chat.app.voice.is_speaking)
        ends.source.say(SPEECH)
        await chat.until(lambda: ends.voice.said[2:] == ["Yes."])
        await chat.press("f6")
        await chat.until(lambda: not chat.app.voice.is_on)
        assert chat.texts == ["short", "It is warm. And dry.", "short", "Yes."]


async def test_escape_stops_it_and_what_was_not_spoken_is_marked() -> None:
    ends = FakeEnds(seconds=0.8)
    ends.voice.later_s = 90.0
    async with running_chat(Models("It is warm. And dry. And windy."), open_ends=lambda: ends) as chat:
        await chat.press("f6")
        ends.source.say(SPEECH)
        await chat.until(lambda: ends.sink.n_played > 0.8 * ends.voice.sample_rate_hz)  # the first has sounded
        await chat.answered()
        assert "Esc" in chat.screen.status.activity
        await chat.press("escape")
        await chat.until(lambda: not chat.app.voice.is_speaking)
        await chat.until(lambda: chat.blocks[-1].note.endswith("not spoken from “And dry. And windy.”"))
        assert ends.sink.stopped_at
        assert chat.texts[-1] == "It is warm. And dry. And windy."


async def test_the_status_line_tells_that_an_answer_is_written_and_read_out() -> None:
    ends, models = FakeEnds(seconds=30.0), Models("It is warm. And dry. And windy.")
    models.backend.pause_after = 6
    async with running_chat(models, open_ends=lambda: ends) as chat:
        await chat.press("f6")
        ends.source.say(SPEECH)
        told = re.compile("writing.* · speaking · Esc stops")
        await chat.until(lambda: told.fullmatch(chat.screen.status.activity))
        models.backend.gate.set()
        await chat.answered()
        await chat.press("escape")


async def test_what_was_said_last_is_seen_on_a_small_screen() -> None:
    ends = FakeEnds()
    async with running_chat(open_ends=lambda: ends) as chat:
        await chat.press("f5")
        await chat.until(lambda: "listening" in chat.screen.status.activity)
        for words in ("言葉が続いて" * 20, "words go on " * 20):
            chat.screen.post_message(VoicePartial(words + "the end"))
            await chat.until(lambda: "the end" in chat.screen.status.render().plain)


@pytest.mark.parametrize("key", ["f5", "f6"])
async def test_without_a_microphone_the_typed_chat_goes_on(key: str) -> None:
    ends = FakeEnds(error=AudioDeviceError("there is no microphone here"))
    ends.recognizer = lambda: pytest.fail("weights were loaded before")  # type: ignore[method-assign]
    async with running_chat(Models("Yes."), open_ends=lambda: ends) as chat:
        await chat.press(key)
        await chat.until(lambda: "there is no microphone here" in chat.notices)
        await chat.ask("Still there?")
        assert chat.texts == ["Still there?", "Yes."]


async def test_what_was_said_when_it_is_ended_is_written_too() -> None:
    ends = FakeEnds()
    async with running_chat(open_ends=lambda: ends) as chat:
        await chat.press("f5")
        ends.source.say(np.full(160_000, 0.9, np.float32))
        await chat.until(lambda: "short" in chat.screen.status.activity)
        await chat.press("f5")
        await chat.until(lambda: chat.screen.prompt.text)
        assert ends.source.n_read < 160_000


async def test_who_wears_headphones_interrupts_by_speaking() -> None:
    ends = FakeEnds(seconds=0.8, echo="none")
    models = Models("One two. Three four. Five six. Seven eight.", "Yes.")
    models.backend.pause_after = 7
    async with running_chat(models, open_ends=lambda: ends) as chat:
        await chat.press("f6")
        ends.source.say(SPEECH)
        await chat.until(lambda: len(ends.voice.said) > 2)  # the first has sounded, and the answer is being written
        assert chat.screen.live is not None
        ends.source.say(SPEECH)
        await chat.until(lambda: ends.sink.stopped_at)
        await chat.until(lambda: chat.screen.live is None)
        models.backend.gate.set()
        await chat.until(lambda: ends.voice.said[-1] == "Yes.")
        await chat.until(lambda: chat.texts == ["short", "One two. Three four. Five six. Seven", "short", "Yes."])
        assert "stopped" in chat.blocks[1].note
        assert "not spoken from “" in chat.blocks[1].note
    told = models.backend.detokenize(models.backend.requests[-1].tokens)
    heard = told.split("<|im_start|>assistant\n")[1].split("<|im_end|>")[0]
    assert heard.startswith("One two.")
    assert heard.endswith(" …")
    assert "Five six." not in heard


async def test_its_own_voice_does_not_interrupt_the_chat() -> None:
    ends = FakeEnds(seconds=0.8, gain=3.0)
    async with running_chat(Models("One two. Three four.", "Yes."), open_ends=lambda: ends) as chat:
        await chat.press("f6")
        ends.source.say(SPEECH)
        await chat.until(lambda: "speaking · Esc" in chat.screen.status.activity)
        await chat.until(lambda: not chat.app.voice.is_speaking)
        ends.source.say(np.concatenate([np.zeros(8_000, np.float32), SPEECH]))
        await chat.until(lambda: ends.voice.said == ["One two.", "Three four.", "Yes."])
        await chat.until(lambda: chat.texts == ["short", "One two. Three four.", "short", "Yes."])
        assert not ends.sink.stopped_at


@pytest.mark.parametrize("key", ["f5", "f6"])
async def test_what_cannot_be_transcribed_is_kept_and_a_conversation_goes_on(key: str) -> None:
    ends = FakeEnds()
    ends.words.error = AudioError("no words")
    async with running_chat(Models("Yes."), open_ends=lambda: ends) as chat:
        await chat.press(key)
        ends.source.say(SPEECH)
        await chat.until(lambda: "no words (the recording is kept: " in chat.notices)
        (path,) = recordings_dir().iterdir()
        assert str(path) in chat.notices
        if key == "f5":
            await chat.until(lambda: not chat.app.voice.is_on)
        else:
            ends.words.error = None
            ends.source.say(SPEECH)
            await chat.until(lambda: chat.texts[:1] == ["short"])


class WithoutMicrophone(RealEnds):
    """Real engines; what is said comes from a test."""

    def microphone(self) -> Any:
        return PacedSource()


@pytest.mark.parametrize("key", ["f5", "f6"])
async def test_without_weights_the_command_is_named(key: str) -> None:
    async with running_chat(Models("Yes."), open_ends=WithoutMicrophone) as chat:
        await chat.press(key)
        await chat.until(lambda: isinstance(chat.app.screen, ConfirmScreen))
        await chat.press("n")
        await chat.until(lambda: "`edgeai models pull whisper-base`" in chat.notices)
        await chat.ask("Still there?")
        assert chat.texts == ["Still there?", "Yes."]


async def test_without_the_extra_the_command_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    class Ends(WithoutMicrophone):
        def missing_weights(self) -> None:
            return None

        def recognizer(self) -> Any:
            return LengthRecognizer()

    monkeypatch.setattr("edgeai.speech.vad.find_spec", lambda _name: None)
    async with running_chat(Models("Yes."), open_ends=Ends) as chat:
        await chat.press("f6")
        await chat.until(lambda: "pip install 'edgeai[speech]'" in chat.notices)
        await chat.ask("Still there?")
        assert chat.texts == ["Still there?", "Yes."]


async def test_an_answer_without_a_word_is_one_line_and_the_conversation_goes_on() -> None:
    ends = FakeEnds()
    async with running_chat(Models("🙂", "Yes."), open_ends=lambda: ends) as chat:
        await chat.press("f6")
        ends.source.say(SPEECH)
        await chat.until(lambda: "nothing can be spoken" in chat.notices)
        ends.source.say(SPEECH)
        await chat.until(lambda: ends.voice.said == ["Yes."])


@pytest.mark.parametrize("answer", ["y", "n", "broken"])
async def test_weights_that_are_missing_are_offered_first(answer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ends = FakeEnds()
    ends.missing = Catalog.load().entry("whisper-base")
    fetched = list[str]()

    def fetch(entry: CatalogEntry, on_progress: Progress) -> None:
        on_progress(1, entry.size_bytes)
        if answer == "broken":
            raise PullError("no network here")
        fetched.append(entry.name)

    monkeypatch.setattr(voice_screen, "fetch", fetch)
    async with running_chat(open_ends=lambda: ends) as chat:
        await chat.press("f5")
        await chat.until(lambda: isinstance(chat.app.screen, ConfirmScreen))
        assert ends.source.n_read == 0
        await chat.press("n" if answer == "n" else "y")
        await chat.until(lambda: "listening" in chat.screen.status.activity)  # or what listens says what is missing
        assert fetched == (["whisper-base"] if answer == "y" else [])
