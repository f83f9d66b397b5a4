"""Where lines break."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len, split_graphemes

from tui.wrap import break_offsets

PIECES = ["a", "b", " ", "-", "（", "）", "「", "」", "、", "。", "日", "本", "ー", "👨‍👩‍👧", "❤️", "🇯", "é", "."]
TEXTS = st.lists(st.sampled_from(PIECES), max_size=60).map("".join)


def cut(text: str, width: int, hang: int = 0, *, fold: bool = False) -> list[str]:
    offsets = [0, *break_offsets(text, width, hang, fold=fold), len(text)]
    return [text[start:end] for start, end in pairwise(offsets)]


def test_words_stay_whole() -> None:
    assert cut("The quick brown fox jumps", 12) == ["The quick ", "brown fox ", "jumps"]


def test_later_lines_are_narrower_by_the_hang() -> None:
    assert cut("aaa bbb ccc", 8, 4) == ["aaa bbb ", "ccc"]
    assert cut("aaa bbb ccc", 7, 5) == ["aaa bbb ", "cc", "c"]


def test_a_long_word_is_folded() -> None:
    assert cut("aaaaaaaaaaaa bb", 5) == ["aaaaa", "aaaaa", "aa bb"]


def test_japanese_breaks_between_characters_but_not_before_closing_ones() -> None:
    assert cut("日本語の文章は、空白がない「例」です。", 12) == ["日本語の文章", "は、空白がな", "い「例」で", "す。"]
    assert cut("これは「折り返し」", 8) == ["これは", "「折り返", "し」"]


def test_code_breaks_anywhere() -> None:
    assert cut("x = foo(bar)", 5, fold=True) == ["x = f", "oo(ba", "r)"]


@given(TEXTS, st.integers(2, 20), st.integers(0, 8), st.booleans())
def test_every_line_fits_and_no_character_is_cut(text: str, width: int, hang: int, fold: bool) -> None:
    lines = cut(text, width, hang, fold=fold)
    assert "".join(lines) == text
    starts = {start for start, _end, _cells in split_graphemes(text)[0]} | {0}
    assert set(break_offsets(text, width, hang, fold=fold)) <= starts
    for index, line in enumerate(lines):
        assert cell_len(line.rstrip()) <= (width if index == 0 else max(width - hang, 2))


@given(TEXTS, st.integers(4, 20))
def test_no_line_starts_with_a_closing_bracket_unless_the_word_is_too_long(text: str, width: int) -> None:
    closing, words = "）」、。ー", text.split()
    if max(map(len, words), default=0) * 2 > width or any(word[0] in closing for word in words):
        return
    for line in cut(text, width)[1:]:
        assert line[:1] not in closing
