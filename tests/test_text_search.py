"""Terms and queries, tried on a real FTS5 table: what a person types finds what a person would expect."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeai.text_search import TOKENIZER, fold, index_terms, match_expression, snippet

TEXTS = [
    "電源を切ると、データが消えます。",
    "東京都の天気",
    "京都の天気",
    "Error E-42: the battery is empty",
    "Le café est fermé",
    "ﾊﾞｯﾃﾘｰを交換してください",
    "snake_case and CamelCase identifiers",
    "배터리를 교체하세요",
    "🎉 done",
    "เปลี่ยนแบตเตอรี่",
]


def found(query: str, texts: list[str] = TEXTS) -> list[str]:
    expression = match_expression(query)
    if expression is None:
        return []
    with closing(sqlite3.connect(":memory:")) as db:
        db.execute(f"CREATE VIRTUAL TABLE t USING fts5(terms, tokenize = '{TOKENIZER}')")
        db.executemany("INSERT INTO t (terms) VALUES (?)", [(index_terms(text),) for text in texts])
        rows = db.execute("SELECT rowid FROM t WHERE t MATCH ? ORDER BY rowid", (expression,)).fetchall()
    return [texts[row[0] - 1] for row in rows]


@pytest.mark.parametrize(
    ("query", "index"),
    [
        ("電源", 0),
        ("源", 0),  # one character, inside a word
        ("ます", 0),  # at the end of a run
        ("データ", 0),
        ("東京", 1),
        ("E-42", 3),
        ("e42", None),
        ("Ｅ－４２", 3),  # full width
        ("batter", 3),
        ("attery", None),
        ("BATTERY empty", 3),
        ("cafe", 4),
        ("CAFÉ", 4),
        ("バッテリー", 5),
        ("snake", 6),
        ("case and", 6),
        ("교체", 7),
        ("🎉", 8),
        ("แบต", 9),
        ("ばってりー", None),
    ],
)
def test_a_query_finds_the_text(query: str, index: int | None) -> None:
    assert found(query) == ([] if index is None else [TEXTS[index]])


def test_unspaced_text_is_found_by_its_characters_wherever_they_stand() -> None:
    assert found("京都") == [TEXTS[1], TEXTS[2]]
    assert found("天") == [TEXTS[1], TEXTS[2]]


def test_the_parts_of_a_query_must_all_be_found() -> None:
    assert found("battery 天気") == []
    assert found("empty battery") == [TEXTS[3]]


@given(st.text() | st.text("\"'*^:()-+{}ANDORNEAR \x00京"))
def test_any_query_is_harmless_and_any_text_finds_itself(text: str) -> None:
    found(text)
    single_line = text[:100]
    assert match_expression(single_line) is None or found(single_line, [single_line]) == [single_line]


@given(st.text(), st.text(max_size=20))
def test_a_snippet_marks_places_within_itself(text: str, query: str) -> None:
    shown, matches = snippet(text, query)
    assert "\n" not in shown
    assert len(shown) <= 122
    assert all(0 <= start < end <= len(shown) for start, end in matches)


def test_a_snippet_shows_the_match_of_a_long_text() -> None:
    shown, matches = snippet("x " * 500 + "電源を切る" + " y" * 500, "電源")
    assert [shown[start:end] for start, end in matches] == ["電源"]
    assert shown.startswith("…x")
    assert shown.endswith("…")


def test_a_hostile_query_is_answered_at_once() -> None:
    assert found("a" + '"' * 100_000 + " b" * 100_000) == found("a")


def test_folding_keeps_japanese_voicing_marks() -> None:
    assert fold("ガ") != fold("カ")
    assert fold("Ｃａｆé") == "cafe"
