"""The language of what notes say by themselves."""

from __future__ import annotations

import string
from dataclasses import fields

import pytest

from edgeai.notes.fixed_words import ENGLISH, JAPANESE, FixedWords, fixed_words

KANA = "ポンプはタンクが空になると自動的に止まります。"
LATIN = "The pump stops by itself when the tank is empty. "


@pytest.mark.parametrize(
    ("language", "texts", "expected"),
    [
        (None, [KANA], JAPANESE),
        (None, [LATIN], ENGLISH),
        (None, [KANA, LATIN * 9], ENGLISH),
        (None, ["電源 装置 取扱 说明书 关闭电源"], ENGLISH),  # Chinese has no kana
        (None, [], ENGLISH),
        (None, ["", "1234 --- \n"], ENGLISH),
        ("Japanese", [LATIN], JAPANESE),
        ("日本語", [LATIN], JAPANESE),
        ("ja", [LATIN], JAPANESE),
        ("English", [KANA], ENGLISH),
        ("Javanese", [KANA], ENGLISH),
    ],
)
def test_they_follow_what_was_asked_for_else_the_texts(
    language: str | None, texts: list[str], expected: FixedWords
) -> None:
    assert fixed_words(language, texts) is expected


def test_each_language_has_all_of_them_with_the_same_places() -> None:
    for field in fields(FixedWords):
        found = [getattr(words, field.name) for words in (ENGLISH, JAPANESE)]
        assert all(found)
        places = [{name for _, name, _, _ in string.Formatter().parse(text) if name} for text in found]
        assert places[0] == places[1]
