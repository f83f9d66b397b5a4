"""The model's own marks: taken out where they are marks, and nothing else with them, at a cost in proportion."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeai.documents.citing import Citer
from edgeai.documents.passages import passages
from edgeai.documents.support import Support
from edgeai.documents.types import Block, Document

TEXT = "The gate opens onto the garden. The battery is charged in 3.5 hours. 電池は3時間で充電されます。"


def note(name: str = "manual.md") -> Support:
    return Support(passages(Document(Path(name), "markdown", name, "1" * 64, (Block(TEXT, line=6),))))


def shown(answer: str, n: int = 1, held: Support | None = None) -> str:
    citer = Citer(held or note())
    return "".join(citer.feed(answer[at : at + n]) for at in range(0, len(answer), n)) + citer.finish()


@pytest.mark.parametrize("n", [1, 3, 1000])
@pytest.mark.parametrize(
    "text",
    [
        "Use `buf[p1]` and list[l2] first. See [Notes on frogs](frogs.md) and [Notesworthy].",
        "Call `open [p. 3]`, ``read `x` [Notes p. 3]`` and row[p. 4]; see [Notes](n.md) or [p. 3](n.md).",
        "[other.txt l. 3] and [note 4] and [Notes and more] and [p.] and [see p. 3]",
        "```\n[p. 3] x\n```\nand [unclosed p. 3",
    ],
)
def test_what_is_no_mark_stays(text: str, n: int) -> None:
    assert shown(text, n, note("Notes")) == text


@pytest.mark.parametrize(
    "name", ["a [1].md", "Notes", "取扱説明書.pdf", 'the "best" one.txt', "x" * 120 + ".md", "a]]b.md"]
)
def test_marks_with_odd_names_are_taken_out(name: str) -> None:
    assert shown(f"Frogs sing [{name} p. 3].", held=note(name)) == "Frogs sing."
    assert shown(f"Frogs [{name} l. 3, 7] sing", held=note(name)) == "Frogs sing"


@pytest.mark.parametrize("n", [1, 2, 5, 1000])
def test_a_mark_before_a_new_sentence_ends_the_statement(n: int) -> None:
    said = "The gate opens onto the garden [manual.md l. 6] The battery is charged in 3.5 hours [p. 9] Frogs"
    assert shown(said, n) == (
        "The gate opens onto the garden [manual.md l. 6] The battery is charged in 3.5 hours [manual.md l. 6] Frogs"
    )
    assert (
        shown("電池は3時間で充電されます [p. 2] 門は開く", n) == "電池は3時間で充電されます [manual.md l. 6] 門は開く"
    )
    assert shown("The gate [manual.md l. 9] opens onto the garden.", n) == (
        "The gate opens onto the garden [manual.md l. 6]."
    )
    assert shown("Frogs sing [p. 1] The sea is blue", n) == "Frogs sing The sea is blue"
    assert shown("[p. 1] Frogs sing.\n[manual.md l. 6] The sea is blue.", n) == "Frogs sing.\nThe sea is blue."


def test_code_that_was_not_closed_ends_with_its_answer() -> None:
    citer = Citer(note())
    assert citer.feed("```\nx = 1\n") + citer.finish() == "```\nx = 1\n"
    assert citer.feed("The gate opens onto the garden.") + citer.finish() == (
        "The gate opens onto the garden [manual.md l. 6]."
    )
    (citation,) = citer.citations
    assert citation.start == len("```\nx = 1\n") + len("The gate opens onto the garden [")


def test_one_support_serves_several_answers() -> None:
    held = note()
    for question, answer in (("How long is it charged?", "3.5 hours."), ("Where does the gate open?", "The garden.")):
        citer = Citer(held, question)
        citer.feed(answer)
        citer.finish()
        assert len(citer.citations) == 1
    assert not Citer(held).feed("") + Citer(held).finish()


UNITS = [
    "[",
    "[p1",
    "p",
    ".",
    "!a",
    ". ",
    "。",
    " ",
    "\n",
    "` ",
    "```",
    "[manual.md ",
    "]",
    "x\n",
    "e.g. ",
    "(*_",
    "\t",
    "- a\n",
]


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("n", [1, 100_000])
def test_hostile_answers_cost_time_in_proportion(unit: str, n: int) -> None:
    """A square of this length would not end before the suite's limit of time."""
    text = (unit * 100_000)[:100_000]
    assert shown(text, n) == text
