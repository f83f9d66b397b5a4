"""The part of a passage that is shown holds the words that were looked for, and marks them."""

from __future__ import annotations

import pytest

from tui.docs_excerpt import excerpt


def marked(text: str, query: str, n_chars: int = 1000) -> list[str]:
    shown, spans = excerpt(text, query, n_chars)
    return [shown[start:end] for start, end in spans]


@pytest.mark.parametrize(
    ("text", "query", "expected"),
    [
        ("Reset the PUMP, not the pumphouse.", "pump", ["PUMP"]),
        ("Stopping stops; it stopped, unstoppable.", "stopped", ["Stopping", "stops", "stopped"]),
        ("Charge it, then charging ends.", "charged", ["Charge", "charging"]),
        ("装置の電源を切る。電池", "電源", ["電源"]),
        ("電源装置", "電源装置", ["電源装置"]),  # pairs that overlap are one place
        ("USB電源とＵＳＢ", "usb", ["USB", "ＵＳＢ"]),
        ("Fault E-42 and E42", "e-42", ["E-42"]),
        ("Café, CAFE", "cafe", ["Café", "CAFE"]),
        ("Straße", "strasse", ["Straße"]),
        ("насос и насосная", "насос", ["насос"]),
        ("a b c", "zebra", []),
        ("", "x", []),
        ("x", "", []),
        (".* [a-z] (", ".* (", []),
    ],
)
def test_the_words_are_marked(text: str, query: str, expected: list[str]) -> None:
    assert marked(text, query) == expected


def test_the_stretch_with_most_of_the_words_is_shown() -> None:
    text = "the " * 100 + "reset alone. " + "and " * 100 + "press the reset button here. " + "end " * 100
    shown, spans = excerpt(text, "how is the reset button pressed", 80)
    assert "press the reset button here." in shown
    assert {shown[start:end] for start, end in spans} >= {"press", "reset", "button"}
    assert shown.startswith("…")
    assert shown.endswith("…")
    assert len(shown) <= 82


def test_what_is_shown_is_one_harmless_line() -> None:
    text = "a\n\x1b[2Jb\t\u202eword\r" + "x" * 5000
    shown, spans = excerpt(text, "word", 60)
    assert shown.isprintable()
    assert [shown[start:end] for start, end in spans] == ["word"]
    assert len(shown) <= 62


def test_a_long_hostile_text_is_marked_as_a_short_one() -> None:
    shown, spans = excerpt("ab-" * 30_000, "ab-ab ab", 200)
    assert shown == f"{'ab-' * 66}ab…"
    assert {shown[start:end] for start, end in spans} == {"ab-ab", "ab"}
    assert "".join(shown[start:end] for start, end in spans).count("ab") == 67  # each is marked once
