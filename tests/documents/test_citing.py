"""Marks in an answer: put where the source says the same, whatever the model wrote itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeai.documents.citing import Citer
from edgeai.documents.passages import Passage, passages
from edgeai.documents.types import Block, Citation, Document

MANUAL = Document(
    Path("/shelf/manual.pdf"),
    "pdf",
    "Manual",
    "0" * 64,
    (
        Block("To reset the device, hold the red button for ten seconds. The lamp blinks twice.", page=12),
        Block("The battery is charged in 3.5 hours. Never open the case, e.g. with a knife.", page=13),
        Block("電源ボタンを10秒間長押しすると、装置は初期化されます。電池は3時間で充電されます。", page=14),
        Block("| part | price |\n| --- | --- |\n| filter | 1200 yen |\n| lamp | 800 yen |", "table", page=15),
    ),
)
PASSAGES = passages(MANUAL)


def cited(answer: str, question: str = "", n: int = 1, held: list[Passage] = PASSAGES) -> tuple[str, list[Citation]]:
    """The answer in pieces of n characters, with its marks; each citation is looked up in the source here."""
    citer = Citer(held, question)
    shown = "".join(citer.feed(answer[start : start + n]) for start in range(0, len(answer), n)) + citer.finish()
    for citation in citer.citations:
        assert shown[citation.start : citation.end] == citation.label
        assert citation.quote
        assert any(citation.quote in block.text for block in MANUAL.blocks if block.page == citation.page)
        assert citation.quote in citation.passage
    return shown, citer.citations


@pytest.mark.parametrize("n", [1, 2, 3, 7, 1000])
def test_a_statement_is_marked_before_its_full_stop_however_the_pieces_come(n: int) -> None:
    answer = "Hold the red button for ten seconds. Charging the battery takes 3.5 hours!\nParis is in France."
    shown, citations = cited(answer, n=n)
    assert shown == (
        "Hold the red button for ten seconds [manual.pdf p. 12]. "
        "Charging the battery takes 3.5 hours [manual.pdf p. 13]!\nParis is in France."
    )
    assert [citation.page for citation in citations] == [12, 13]


def test_japanese_statements_are_marked() -> None:
    shown, _ = cited("初期化するには、電源ボタンを10秒間長押しします。明日は雨が降るでしょう。")
    assert shown == "初期化するには、電源ボタンを10秒間長押しします [manual.pdf p. 14]。明日は雨が降るでしょう。"


def test_a_number_that_the_source_does_not_have_is_not_cited() -> None:
    assert cited("The battery is charged in 5 hours.")[1] == []
    assert cited("電池は5時間で充電されます。")[1] == []
    assert len(cited("The battery is charged in 3.5 hours.")[1]) == 1


@pytest.mark.parametrize(
    "mark", ["[manual.pdf p. 99]", "[p. 99]", "[manual.pdf]", "[page 4]", "[Manual.pdf, p. 3, 4]", "[p. 1] [l. 2]"]
)
def test_the_models_own_marks_are_replaced_by_checked_ones(mark: str) -> None:
    assert cited(f"Hold the red button for ten seconds {mark}.")[0] == (
        "Hold the red button for ten seconds [manual.pdf p. 12]."
    )
    assert cited(f"Whales sing at night {mark}.")[0] == "Whales sing at night."


@pytest.mark.parametrize(
    "text",
    [
        "A list [1], a [link](https://example.org) and [brackets that never end",
        "Version 2.0.1 of e.g. this [x] thing... and so on",
        "```\nhold_the_red_button(for=ten.seconds). Hold the red button for ten seconds.\n```\n",
        "~~~\nHold the red button for ten seconds.\n```\nThe lamp blinks twice.\n~~~\n",
        "The manual does not say that you hold the red button for ten seconds.",
        "装置が初期化されるかどうかは、文書に記載されていません。",
        "# Hold the red button for ten seconds\n",
        "| filter | 1200 yen |\n| lamp | 800 yen |\n",
        "",
        " \n\n ",
        "`code` and ``more`` 🙂 ",
    ],
)
def test_what_is_no_statement_of_the_source_stays_as_it_was(text: str) -> None:
    assert cited(text)[0] == text


def test_items_of_a_list_are_statements() -> None:
    shown, _ = cited("1. Hold the red button for ten seconds\n2. The filter costs 1200 yen\n")
    assert shown.splitlines() == [
        "1. Hold the red button for ten seconds [manual.pdf p. 12]",
        "2. The filter costs 1200 yen [manual.pdf p. 15]",
    ]


@pytest.mark.parametrize("sign", ["・", "１．", "２）", "3、", "• "])
def test_items_of_a_japanese_list_are_statements(sign: str) -> None:
    shown, _ = cited(f"{sign}電源ボタンを10秒間長押しする\n{sign}電池は3時間で充電される\n")
    assert shown.splitlines() == [
        f"{sign}電源ボタンを10秒間長押しする [manual.pdf p. 14]",
        f"{sign}電池は3時間で充電される [manual.pdf p. 14]",
    ]


def test_waves_at_the_end_of_a_word_open_no_code() -> None:
    assert cited("Well~~~ Hold the red button for ten seconds.", n=3)[0].endswith("seconds [manual.pdf p. 12].")


def test_a_statement_goes_on_over_the_end_of_a_line() -> None:
    assert cited("Hold the red\nbutton for ten\nseconds.\nWhales sing.")[0] == (
        "Hold the red\nbutton for ten\nseconds [manual.pdf p. 12].\nWhales sing."
    )
    assert cited("Hold the red button for ten seconds\n\nWhales sing")[0] == (
        "Hold the red button for ten seconds [manual.pdf p. 12]\n\nWhales sing"
    )


def test_a_short_answer_takes_its_meaning_from_the_question() -> None:
    assert cited("Ten seconds.", "How long do I hold the button?")[0] == "Ten seconds [manual.pdf p. 12]."
    assert cited("Ten seconds.", "How deep is the Nile?")[1] == []


def test_a_line_number_is_the_quotes_own() -> None:
    text = "First line of it.\nThe second line is dull.\nThe kettle whistles at noon."
    note = Document(Path("note.txt"), "text", "note", "1" * 64, (Block(text, line=40),))
    citer = Citer(passages(note))
    assert (
        citer.feed("At noon the kettle whistles.") + citer.finish() == "At noon the kettle whistles [note.txt l. 42]."
    )


def test_hostile_names_make_harmless_marks() -> None:
    odd = Document(Path("/x/a\n\x1b[31m].pdf"), "pdf", "", "2" * 64, (Block("The kettle whistles at noon.", page=1),))
    citer = Citer(passages(odd))
    shown = citer.feed("The kettle whistles at noon.") + citer.finish()
    assert "\x1b" not in shown
    assert "\n" not in shown
    assert len(citer.citations) == 1


def test_what_opens_a_list_states_nothing() -> None:
    assert cited("Hold the red button for ten seconds:\n- like this")[1] == []


def test_a_question_states_nothing() -> None:
    assert (
        cited("Do you hold the red button for ten seconds? 電源ボタンを10秒間長押しすると、初期化されますか？")[1] == []
    )


def test_a_statement_that_was_cut_off_gets_no_mark() -> None:
    citer = Citer(PASSAGES)
    shown = citer.feed("The lamp blinks twice. To reset it, hold the red button for") + citer.finish(is_cut=True)
    assert shown == "The lamp blinks twice [manual.pdf p. 12]. To reset it, hold the red button for"
