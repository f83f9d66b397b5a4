"""Words: what stands in a text is found by what people type, in any script."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeai.documents.words import MAX_QUERY_WORDS, query_words, words


def finds(query: str, text: str) -> bool:
    """Whether each word of the query is among the text's."""
    whole, beginnings = query_words(query)
    held = set(words(text))
    return (
        bool(whole or beginnings)
        and set(whole) <= held
        and all(any(word.startswith(beginning) for word in held) for beginning in beginnings)
    )


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("電源", "電源装置の取扱説明書"),
        ("装置", "電源装置の取扱説明書"),
        ("源", "電源装置"),
        ("置", "電源装置"),
        ("デンゲン", "ﾃﾞﾝｹﾞﾝを切る"),
        ("ＡＢＣ－１２", "abc-12"),
        ("E-42", "Error E-42 means"),
        ("e-42", "エラーE-42が出た"),
        ("42", "Error E-42"),
        ("foo_bar", "call foo_bar()"),
        ("bar", "call foo_bar()"),
        ("1.2.3", "version 1.2.3."),
        ("STRASSE", "Straße"),
        ("cafe", "Café"),
        ("ПРИВЕТ", "привет, мир"),
        ("한국", "한국어를"),
        ("电源", "关闭电源。"),
        ("हिन्दी", "यह हिन्दी है"),
        ("ไทย", "ภาษาไทยง่าย"),
        ("栗", "栗の木"),
        ("مرحبا", "مرحبا بالعالم"),
    ],
)
def test_found(query: str, text: str) -> None:
    assert finds(query, text)


@pytest.mark.parametrize(("query", "text", "shared"), [("栗を盗む", "栗の木", {"栗"}), ("大きな犬", "犬小屋", {"犬"})])
def test_chinese_characters_stand_alone_too(query: str, text: str, shared: set[str]) -> None:
    assert set(query_words(query)[0]) & set(words(text)) == shared


def test_a_character_is_not_counted_twice() -> None:
    assert words("電源を切る").count("源") == 1
    assert words("電源").count("源") == 1


@pytest.mark.parametrize(
    ("query", "text"),
    [("電池", "電源の池"), ("cat", "concatenate"), ("源電", "電源"), ("E-43", "E-42 and 43"), ("", "x"), ("?!", "?!")],
)
def test_not_found(query: str, text: str) -> None:
    assert not finds(query, text)


@given(st.text(max_size=200))
def test_any_text_finds_itself_and_words_hold_no_blanks(text: str) -> None:
    whole, beginnings = query_words(text)
    if whole or beginnings:
        assert finds(text, text)
    assert all(word and not any(char.isspace() for char in word) for word in words(text))
    assert set(words(text)) == set(words(unicodedata.normalize("NFC", text)))


def test_a_huge_query_is_cut() -> None:
    whole, _ = query_words(" ".join(f"word{n}" for n in range(100_000)))
    assert len(whole) == MAX_QUERY_WORDS


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        ("a-", {"a-" * 32, "a"}),
        ("a", {"a" * 64}),
        ("-", set()),
        ("電", {"電電", "電"}),
        ("é-", {"e-" * 32, "e"}),
        ("\u0903", {"\u0903" * 64}),
        ("_", set()),
    ],
)
def test_hostile_text_is_cut_into_words_of_a_bounded_length(unit: str, expected: set[str]) -> None:
    assert set(words(unit * 300_000)) == expected
    whole, beginnings = query_words(unit * 300_000)
    assert (sorted(whole), beginnings) == (sorted(expected), [])
