"""A conversation by voice with a model that hears: it gets what was said itself, not its words."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edgeai.media import SOUND_RATE_HZ
from edgeai.speech.hibari import HibariVoice
from edgeai.speech.waveform import resample
from tests.speech.test_converse import Talk


def test_a_model_that_hears_gets_what_was_said_itself() -> None:
    question = resample(HibariVoice().synthesize("How is the weather?"), 24_000)
    talk = Talk(["It is warm.", "It is cold."])
    talk.backend._info = replace(talk.backend.info, hears=True)
    with talk:
        talk.source.say(question)
        talk.wait_for("answered")
        talk.source.say(question)
        talk.wait_for("answered", 2)
    first, second = (request.media for request in talk.backend.requests)
    assert len(first) == 1
    heard = np.frombuffer(first[0].data, "<f4")
    assert 0.5 * len(question) < len(heard) < len(question) + SOUND_RATE_HZ
    middle = question[len(question) // 3 : 2 * len(question) // 3]
    at = int(np.argmax(np.correlate(heard, middle, "valid")))
    assert np.corrcoef(heard[at : at + len(middle)], middle)[0, 1] > 0.99
    assert second[0] == first[0], "the conversation still has it"
    assert talk.of("heard")[0].text, "its words are told all the same"
    assert [message.content for message in talk.session.messages] == ["", "It is warm.", "", "It is cold."]
