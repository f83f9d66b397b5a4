"""Cutting: nothing is lost or doubled, places are right, and cuts stand where a reader would make them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeai.documents.passages import Passage, passages
from edgeai.documents.types import Block, BlockKind, Document


def document(*blocks: Block) -> Document:
    return Document(Path("/m/manual.md"), "markdown", "Manual", "0" * 64, blocks)


def put_together(parts: list[Passage]) -> str:
    """The document's text, out of what the passages say of themselves."""
    return "".join((part.glue if part.ordinal else "") + part.text[part.repeated :] for part in parts)


def squeezed(text: str) -> str:
    return re.sub(r"\s+", "", text)


SENTENCES = [f"Sentence {n} says that valve {n * 7} must be closed before the pump is started." for n in range(60)]
KINDS: list[BlockKind] = ["text", "heading", "table", "code"]


def test_a_long_paragraph_is_cut_at_sentence_ends() -> None:
    parts = passages(document(Block(" ".join(SENTENCES))))
    assert len(parts) > 3
    assert all(part.text.endswith(".") and part.text.startswith("Sentence") for part in parts)
    assert all(600 < len(part.text) <= 900 for part in parts[:-1])
    assert put_together(parts) == " ".join(SENTENCES)


@pytest.mark.parametrize("mark", ["。", "！", "？", "。」"])
def test_japanese_is_cut_at_its_own_marks_and_counts_three_bytes_a_character(mark: str) -> None:
    text = "".join(f"装置{n}の電源を切ってから電池を交換してください{mark}" for n in range(80))
    parts = passages(document(Block(text)))
    assert all(part.text.endswith(mark) and part.text.startswith("装置") for part in parts)
    assert all(200 < len(part.text) <= 330 for part in parts[:-1])
    assert put_together(parts) == text


def test_a_table_is_cut_between_rows_and_its_head_repeated() -> None:
    rows = [f"| E-{n} | reason number {n} | what to do about it |" for n in range(100)]
    head = ["| code | reason | remedy |", "| --- | --- | --- |"]
    parts = passages(document(Block("Codes:"), Block("\n".join(head + rows), kind="table", line=3)))
    assert len(parts) > 4
    for part in parts[1:]:
        assert part.text.startswith("\n".join(head) + "\n| E-")
        assert all(row in rows + head for row in part.text.splitlines())
        first = part.text[part.repeated :].splitlines()[0]
        assert part.first_line == 5 + rows.index(first)
        assert part.last_line == 5 + rows.index(part.text.splitlines()[-1])
    assert put_together(parts) == "\n".join(["Codes:", "", *head, *rows])


def test_code_is_cut_at_blank_lines_and_keeps_its_indentation() -> None:
    functions = [f"def f{n}():\n    if {n}:\n        return {n} + {'9' * 200}" for n in range(20)]
    text = "\n\n".join(functions)
    parts = passages(document(Block(text, kind="code", line=1)))
    assert all(part.text.startswith("def f") for part in parts)
    assert put_together(parts) == text
    lines = text.split("\n")
    for part in parts:
        assert part.first_line
        assert "\n".join(lines[part.first_line - 1 : part.last_line]) == part.text


def test_a_heading_goes_with_what_follows_and_passages_stop_at_the_outermost_one() -> None:
    blocks: list[Block] = []
    for chapter in ("Safety", "Operation", "Repair"):
        blocks.append(Block(chapter, kind="heading", page=len(blocks) + 1))
        blocks.append(Block(f"About {chapter}. " + "x " * 100, headings=(chapter,), page=len(blocks) + 1))
        blocks.append(Block("Details", kind="heading", headings=(chapter,), page=len(blocks) + 1))
        blocks.append(Block("y " * 430, headings=(chapter, "Details"), page=len(blocks) + 1))
    parts = passages(document(*blocks))
    assert [part.text.split("\n")[0] for part in parts] == [
        "Safety",
        "Details",
        "Operation",
        "Details",
        "Repair",
        "Details",
    ]
    assert parts[1].headings == ("Safety", "Details")
    assert [(part.first_page, part.last_page) for part in parts[:2]] == [(1, 2), (3, 4)]


def test_tiny_chapters_share_a_passage_rather_than_being_one_each() -> None:
    blocks = [block for n in range(50) for block in (Block(f"T{n}", kind="heading"), Block("ok", headings=(f"T{n}",)))]
    assert len(passages(document(*blocks))) < 15


def test_no_text_no_passages() -> None:
    assert passages(document()) == passages(document(Block(""), Block(" \n "))) == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("unit", ["a", ".", "。", "\n", "a\n", " ", ". ", "|", "\n ", '"', "電", "x\n\n", "\ud800"])
def test_hostile_blocks_cost_time_in_proportion(kind: BlockKind, unit: str) -> None:
    """A square of this length would not end before the suite's limit of time."""
    text = unit * 300_000
    parts = passages(document(Block(text, kind=kind, line=1)))
    assert squeezed("".join(part.text[part.repeated :] for part in parts)) == squeezed(text)
    assert all(len(part.text) <= 1800 for part in parts)


BLOCKS = st.builds(
    Block,
    text=st.text(alphabet=st.sampled_from('ab .\n|-。電"\t'), max_size=300),
    kind=st.sampled_from(KINDS),
    line=st.none() | st.integers(1, 9),
    headings=st.lists(st.sampled_from("AB"), max_size=2).map(tuple),
)


@given(st.lists(BLOCKS, max_size=8), st.integers(20, 200))
def test_nothing_is_lost_or_doubled_and_the_order_is_kept(blocks: list[Block], target: int) -> None:
    parts = passages(document(*blocks), target)
    assert squeezed(put_together(parts)) == squeezed("".join(block.text for block in blocks))
    assert parts == passages(document(*blocks), target)
    assert [part.ordinal for part in parts] == list(range(len(parts)))
    assert all(part.text.strip() for part in parts)
    for block in blocks:  # whatever is one piece stands in a passage as it stands in the block
        if block.text.strip() and len(block.text.encode()) <= target:
            assert any(block.text.strip() in part.text for part in parts)
