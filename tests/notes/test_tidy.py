"""What is made of a model's answer before it is written down."""

from __future__ import annotations

import pytest

from edgeai.notes.tidy import beginning, loop_start, tidy


@pytest.mark.parametrize("unit", ["x", "and so on, ", "The pump stops when it is dry. ", "a longer thing " * 12])
def test_a_loop_is_found_and_cut_behind_its_first_round(unit: str) -> None:
    text = "It begins well. " + unit * max(4, 80 // len(unit))
    at = loop_start(text)
    assert at is not None
    assert text[:at] in ("It begins well. " + unit, "It begins well. " + unit[: at - 16])
    assert loop_start(text[:at]) is None


@pytest.mark.parametrize(
    "text", ["", "a", "ha ha ha", "One. Two. Three.", "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14"]
)
def test_what_is_no_loop(text: str) -> None:
    assert loop_start(text) is None


def test_what_was_cut_ends_with_a_whole_sentence() -> None:
    assert tidy("The pump stops. Then the val", is_whole=False) == "The pump stops."
    assert tidy("The pump stops. Then the val", is_whole=True) == "The pump stops. Then the val"
    assert tidy("版は 1.2 です。それから", is_whole=False) == "版は 1.2 です。"
    assert tidy("no end at all", is_whole=False) == "no end at all"


def test_the_structure_of_the_file_stays_ours() -> None:
    text = tidy("# Summary\n\n## Safety ##\nWear gloves.\n\n---\nDone.\n```\ncode", is_whole=True)
    assert not [line for line in text.split("\n") if line.startswith("#") or line == "---"]
    assert "**Safety**" in text
    assert text.count("```") == 2


def test_nothing_in_it_acts_when_it_is_shown() -> None:
    text = tidy("a ![x](http://h/p.png) <img src=q> </document> \x1b[2J\u202e b < 3", is_whole=True)
    assert "![" not in text
    assert "<img" not in text.replace("\\<", "")
    assert "document" not in text
    assert "\x1b" not in text
    assert "b < 3" in text


def test_items_that_come_again_are_left_out() -> None:
    items = "\n".join(
        ["- Press the red key for long.", "- Wait until the lamp is green.", "- Press the red key for long."] * 3
    )
    assert tidy(items, is_whole=True) == "- Press the red key for long.\n- Wait until the lamp is green."
    prose = "The pump stops when it is dry. It is red. The pump stops when it is dry. It is red.\n\nYes."
    assert tidy(prose, is_whole=True) == "The pump stops when it is dry. It is red. It is red.\n\nYes."


def test_a_beginning_is_whole_sentences() -> None:
    assert beginning("One two. Three four. Five six.", 22) == "One two. Three four."
    assert beginning("word " * 50, 23) == "word word word word …"
    assert beginning("short", 22) == "short"
