"""Who speaks again silences it: heard by a real Microphone and counted in the samples of a real Speaker's recording."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edgeai.speech.hibari import HibariVoice
from edgeai.speech.waveform import resample
from tests.speech.virtual_card import VirtualCard

if TYPE_CHECKING:
    from edgeai.speech.types import Waveform

CONVERSE = """
import os
from edgeai import Session
from edgeai.speech.converse import Conversation
from edgeai.speech.devices import Microphone, Speaker
from edgeai.speech.hibari import HibariVoice
from tests.fakes import FakeBackend
from tests.speech.conversing import LengthRecognizer

answer = "It rains. Here is a second sentence, which is so long that nobody will wait for the end of it. And a third."
voice = HibariVoice()
voice.synthesize("It rains.")
conversation = Conversation(
    Session(backend=FakeBackend().enqueue(answer)),
    Microphone("vmic"),
    Speaker("vspk"),
    LengthRecognizer(),
    {"en": voice},
    echo="none",
    on_event=lambda event: os.write(1, f"{event.kind}\\n".encode()),  # whole lines, out of two threads
)
print("ready", flush=True)
conversation.run()
"""
MAX_S = 0.15
TRIES = 3
"""It runs in real time: where the machine was busy with something else, it is tried again."""


@pytest.fixture(scope="module")
def question() -> Waveform:
    """A person who asks something, 16 kHz, from the first sample that can be heard."""
    waveform = resample(HibariVoice().synthesize("How is the weather?"), 24_000)
    return waveform[np.argmax(np.abs(waveform) > 0.02) :]


def test_the_speaker_is_silent_within_150_ms_of_speech(question: Waveform, tmp_path: Path) -> None:
    delays = []
    for n in range(TRIES):
        folder = tmp_path / str(n)
        folder.mkdir()
        delays.append(_interrupted(VirtualCard(folder), question))
        if 0 < delays[-1] <= MAX_S:
            break
    assert 0 < delays[-1] <= MAX_S, delays


def _interrupted(card: VirtualCard, question: Waveform) -> float:
    """From the sample at which speech begins to the last one that sounded, in seconds."""
    with card.program(CONVERSE) as program:
        assert program.stdout is not None
        events = map(str.strip, program.stdout)
        while next(events) != "ready":
            pass
        card.say(question)
        for _ in range(2):
            while next(events) != "sentence":
                pass
        while np.abs(card.sounded()[-480:]).max(initial=0) < 0.05:  # until the second, long sentence sounds
            time.sleep(0.01)
        began = card.say(question)
        while next(events) != "interrupted":
            pass
    return float(np.flatnonzero(np.abs(card.sounded()) > 1e-3)[-1] / 24_000 - began / 16_000)
