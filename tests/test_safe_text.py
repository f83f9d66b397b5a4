"""Text from outside: what would steer a terminal is gone, what a person reads stays."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeai.safe_text import one_line, plain


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;owned\x07title", "title"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x9b2Jc1", "2Jc1"),
        ("\x1b]never closed", "]never closed"),
        ("\x1b\x1b[0m[2J", "[2J"),
        ("invoice\u202egpj.exe", "invoicegpj.exe"),
        ("bell\x07 back\x08 null\x00", "bell back null"),
        ("lone \ud83d surrogate", "lone  surrogate"),
        ("no\ufdd0 \ufdefcharacter\ufffe\uffff, \ufdcf \ufdf0 \ufffd stay", "no character, \ufdcf \ufdf0 \ufffd stay"),
        ("[bold]markup[/] stays", "[bold]markup[/] stays"),
        ("日本語 👩‍👩‍👧 é", "日本語 👩‍👩‍👧 é"),
    ],
)
def test_what_steers_is_gone_and_what_reads_stays(hostile: str, shown: str) -> None:
    assert plain(hostile) == shown


def test_lines_stay_in_text_and_go_in_titles() -> None:
    assert plain("a\n\tb\r\n") == "a\n\tb\n"
    assert one_line("a\nb\tc\rd") == "a b c d"


@given(st.text(st.characters(min_codepoint=0, max_codepoint=0x2070) | st.just("\x1b")))
def test_no_control_character_is_left(text: str) -> None:
    assert not [c for c in plain(text) if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") and c not in "\n\t"]
    plain(text).encode()
