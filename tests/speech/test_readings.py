"""What voices say of numbers, dates, units and marks: by their sounds the same as the words of a careful speaker.

The readings in the tables were written down before any output was looked at; numbers of Japanese agree with num2words.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from edgeai.speech.openjtalk import FRONTEND
from edgeai.speech.speakable import Reader


@cache
def english_sounds() -> Callable[[str], str]:
    from hibari.g2p import G2P

    phonemes = G2P()
    return lambda words: re.sub(r"[\W_ˈˌ]", "", phonemes(words))


def japanese_sounds(words: str) -> str:
    import pyopenjtalk

    return re.sub("[^ァ-ヺー]", "", "".join(node["pron"] for node in pyopenjtalk.run_frontend(words, **FRONTEND)))


def readings(language: str) -> list[list[str]]:
    table = Path(__file__).with_name(f"readings_{language}.tsv")
    return [line.split("\t") for line in table.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize(("text", "words"), readings("en"))
def test_english(text: str, words: str) -> None:
    spoken = Reader().spoken(text, "en")
    assert english_sounds()(spoken) == english_sounds()(words), spoken


@pytest.mark.parametrize(("text", "sounds"), readings("ja"))
def test_japanese(text: str, sounds: str) -> None:
    spoken = Reader().spoken(text, "ja")
    assert japanese_sounds(spoken) == sounds, spoken


@pytest.mark.parametrize("language", ["en", "ja"])
def test_words_that_are_read_twice_stay_what_they_are(language: str) -> None:
    for text, _ in readings(language):
        once = Reader().spoken(text, language)
        assert Reader().spoken(once, language) == once
