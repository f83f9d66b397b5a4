"""The chat by voice: what is said is written or sent, answers are read out, and what goes wrong is one line."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgeai import AudioDeviceError
from edgeai.speech.ear import Ear
from tests.speech.conversing import LengthRecognizer, PacedSink, PacedSource
from tests.tui.chat_app import Models, running_chat

SPEECH = np.full(16_000, 0.9, np.float32)


class ToneVoice:
    """Says everything in so many seconds."""

    name = "tone"
    language = "en"
    sample_rate_hz = 24_000

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.said: list[str] = []

    def synthesize(self, sentence: str) -> Any:
        self.said.append(sentence)
        return np.full(int(self.seconds * self.sample_rate_hz), 0.3, np.float32)

    def close(self) -> None:
        pass


class FakeEnds:
    """Both ends in real time; speech is what is loud."""

    def __init__(self, seconds: float = 0.1, error: AudioDeviceError | None = None) -> None:
        self.source = PacedSource()
        self.sink = PacedSink(self.source)
        self.voice = ToneVoice(seconds)
        self.error = error
        self.released = False

    def recognizer(self) -> Any:
        return LengthRecognizer()

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
    async with running_chat(Models("It is warm. And dry. And windy."), open_ends=lambda: ends) as chat:
        await chat.press("f6")
        ends.source.say(SPEECH)
        await chat.until(lambda: len(ends.voice.said) > 2)  # the first has sounded
        await chat.answered()
        assert "Esc" in chat.screen.status.activity
        await chat.press("escape")
        await chat.until(lambda: not chat.app.voice.is_speaking)
        await chat.until(lambda: "Spoken until it was stopped: It is warm." in chat.notices)
        assert ends.sink.stopped_at
        assert chat.texts[-1] == "It is warm. And dry. And windy."


@pytest.mark.parametrize("key", ["f5", "f6"])
async def test_without_a_microphone_the_typed_chat_goes_on(key: str) -> None:
    ends = FakeEnds(error=AudioDeviceError("there is no microphone here"))
    async with running_chat(Models("Yes."), open_ends=lambda: ends) as chat:
        await chat.press(key)
        await chat.until(lambda: "there is no microphone here" in chat.notices)
        await chat.ask("Still there?")
        assert chat.texts == ["Still there?", "Yes."]
