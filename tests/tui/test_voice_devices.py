"""The chat by voice on real devices that fail: one line each, and the typed chat goes on."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.speech.test_device_faults import NO_LIBRARY
from tests.speech.virtual_card import VirtualCard

CHAT = """
import asyncio
import pathlib
import numpy as np
from edgeai.speech import microphone, speaker
from edgeai.speech.ear import Ear
from tests.speech.conversing import LengthRecognizer
from tests.tui.chat_app import Models, running_chat
from tests.tui.test_voice import ToneVoice
from tui.voice import RealEnds

microphone._STALL_S = speaker._STALL_S = 0.4

class Ends(RealEnds):
    def missing_weights(self):
        return None

    def recognizer(self):
        return LengthRecognizer()

    def voices(self):
        return {{"en": ToneVoice(3.0)}}

    def ear(self):
        return Ear(lambda frames: np.abs(frames[::512]))

async def talk():
    async with running_chat(Models("It is warm.", "Yes."), open_ends=lambda: Ends("vmic", "vspk")) as chat:
        await chat.press("{key}")
        {then}
        await chat.until(lambda: "{words}" in chat.notices)
        await chat.until(lambda: not chat.app.voice.is_on)
        print(*(block.text for block in chat.blocks if "{words}" in block.text), sep="\\n")
        await chat.ask("Still there?")
        print(chat.texts[-2:])

asyncio.run(talk())
"""
LISTENING = 'await chat.until(lambda: "listening" in chat.screen.status.activity)'
UNPLUG = "pathlib.Path({0!r}).touch()"


@pytest.fixture
def card(tmp_path: Path) -> VirtualCard:
    return VirtualCard(tmp_path)


def notices(card: VirtualCard, key: str, words: str, then: str = "", before: str = "") -> str:
    """What the chat says, after which the typed chat goes on."""
    *told, last = card.run(before + CHAT.format(key=key, words=words, then=then)).splitlines()
    assert re.fullmatch(r"\['Still there\?', '(It is warm|Yes)\.'\]", last)
    assert len(told) == 1, told
    return told[0]


def test_a_microphone_that_is_unplugged(card: VirtualCard, tmp_path: Path) -> None:
    then = f"{LISTENING}; {UNPLUG.format(str(tmp_path / 'unplugged'))}"
    assert "plug it in again, or choose another" in notices(card, "f5", "the microphone 'vmic'", then)


def test_a_microphone_that_is_in_use(card: VirtualCard) -> None:
    with card.in_use("microphone"):
        told = notices(card, "f5", "there is no microphone here")
    assert "another program holds it" in told


def test_no_portaudio(card: VirtualCard) -> None:
    assert "apt install libportaudio2" in notices(card, "f6", "there is no PortAudio here", before=NO_LIBRARY)
