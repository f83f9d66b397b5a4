"""Cutting documents: nothing is lost, nothing comes twice, and the places are those of the text."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeai.documents.cuts import size
from edgeai.documents.types import Block, Document
from edgeai.notes.parts import packed, parts_of, place
from tests.notes.readers import marked_document, marks


def all_marks(blocks: tuple[Block, ...]) -> list[str]:
    return marks(" ".join(block.text for block in blocks))


@pytest.mark.parametrize("per_heading", [0, 1, 3, 10])
@pytest.mark.parametrize("n_most", [1, 2, 7, 100])
def test_parts_are_the_document_in_order(per_heading: int, n_most: int) -> None:
    document = marked_document(30, per_heading=per_heading)
    parts = parts_of(document, n_most, 2000)
    assert 1 <= len(parts) <= n_most
    blocks = tuple(block for part in parts for block in part.blocks)
    assert blocks == document.blocks
    assert len({part.heading for part in parts}) == len(parts)


def test_headings_name_the_parts() -> None:
    parts = parts_of(marked_document(12, per_heading=3), 100, 2000)
    assert [part.heading for part in parts] == [f"Chapter {number}" for number in range(4)]
    joined = parts_of(marked_document(12, per_heading=3), 2, 2000)
    assert joined[0].heading.startswith("Chapter 0")
    assert joined[-1].heading.endswith("Chapter 3")


def test_each_block_is_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[str] = []

    def counted(text: str) -> int:
        measured.append(text)
        return size(text)

    monkeypatch.setattr("edgeai.notes.parts.size", counted)
    document = marked_document(300, per_heading=1)
    assert 1 < len(parts_of(document, 10, 2000)) <= 10
    assert len(measured) <= len(document.blocks)


def test_a_title_over_all_is_no_part() -> None:
    blocks = [Block("The Book", "heading"), Block("intro " * 60, headings=("The Book",))]
    for name in ("One", "Two"):
        blocks += [Block(name, "heading", headings=("The Book",)), Block("text " * 60, headings=("The Book", name))]
    parts = parts_of(Document(Path("/b"), "markdown", "The Book", "", tuple(blocks)), 9, 2000)
    assert [part.heading for part in parts] == ["The Book", "One", "Two"]


@pytest.mark.parametrize("limit", [40, 300, 1000])
def test_pieces_keep_to_the_limit_and_hold_every_word(limit: int) -> None:
    document = marked_document(20, filler=600)
    cut = packed(document.blocks, limit)
    for blocks in cut:
        assert sum(len(block.text) for block in blocks) <= limit
    assert (
        " ".join(block.text for blocks in cut for block in blocks).split()
        == " ".join(block.text for block in document.blocks).split()
    )
    assert all_marks(tuple(block for blocks in cut for block in blocks)) == all_marks(document.blocks)


def test_places() -> None:
    path = Path("/d/notes\n.txt")
    assert place(path, [Block("a", page=3), Block("b", page=5)]) == "notes .txt p. 3-5"
    assert place(path, [Block("a", page=3)]) == "notes .txt p. 3"
    assert place(path, [Block("a\nb", line=1), Block("c\nd\ne", line=4)]) == "notes .txt l. 1-6"
    assert place(path, [Block("a")]) == "notes .txt"
