"""Rankings are fused as the paper says, and context is as much as fits, in the order of the documents."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeai.documents.library_types import Hit
from edgeai.documents.passages import Passage, passages
from edgeai.documents.search import RRF_K, WEIGHTS, context_for, fuse, runs
from edgeai.documents.types import Block, Document
from tests.documents.library_files import document


def hits(*found: Passage) -> list[Hit]:
    return [Hit(passage, 1.0, {"words": rank}, None, rank) for rank, passage in enumerate(found, 1)]


def n_words(text: str) -> int:
    return len(text.split())


PASSAGES = {name: passages(document(name, *(f"{name}{n} " + "word " * 170 for n in range(8)))) for name in "ab"}
RANKING = st.lists(st.integers(0, 30), unique=True, max_size=12)


@given(st.dictionaries(st.sampled_from(["words", "vectors", "third"]), RANKING))
def test_fusion_is_reciprocal_ranks_added_exactly(rankings: dict[str, list[int]]) -> None:
    fused = fuse(rankings)
    exact = {
        number: sum(
            Fraction(WEIGHTS.get(name, 1), RRF_K + other.index(number) + 1)
            for name, other in rankings.items()
            if number in other
        )
        for held in rankings.values()
        for number in held
    }
    assert [number for number, _, _ in fused] == sorted(exact, key=lambda number: (-exact[number], number))
    for number, score, ranks in fused:
        assert score == pytest.approx(float(exact[number]))
        assert all(rankings[name][rank - 1] == number for name, rank in ranks.items())


def test_context_is_in_document_order_with_neighbours_merged() -> None:
    a, b = PASSAGES["a"], PASSAGES["b"]
    context = context_for(hits(b[3], a[5], b[1], b[2], a[0]), 10_000, n_words)
    assert [(run.path.stem, [part.ordinal for part in run.passages]) for run in context] == [
        ("b", [1, 2, 3]),
        ("a", [0]),
        ("a", [5]),
    ]
    assert context[0].text == "\n\n".join(part.text for part in b[1:4])


@given(st.lists(st.sampled_from([*PASSAGES["a"], *PASSAGES["b"]]), max_size=10), st.integers(0, 2000))
def test_context_never_exceeds_its_room_and_takes_the_best_first(found: list[Passage], room: int) -> None:
    context = context_for(hits(*found), room, n_words)
    taken = [part for run in context for part in run.passages]
    assert sum(n_words(run.text) for run in context) <= room
    assert len(taken) == min(room // 171, len(set(found)))
    assert set(taken) == set(list(dict.fromkeys(found))[: len(taken)])


def test_passages_of_two_versions_are_no_neighbours() -> None:
    older, newer = (passages(document("a", *(f"{word} {n} " * 110 for n in range(3)))) for word in ("old", "new"))
    of_older, of_newer = hits(older[0], older[1]), hits(newer[1], newer[2])
    of_newer = [replace(hit, source=1) for hit in of_newer]
    context = context_for([*of_newer, *of_older], 10_000, n_words)
    assert [run.passages for run in context] == [tuple(newer[1:]), tuple(older[:2])]


def test_merged_passages_are_the_document_again() -> None:
    rows = "\n".join(f"| {n} | {'cell ' * 12}|" for n in range(60))
    made = Document(
        Path("/m/x"),
        "text",
        "x",
        "0" * 64,
        (Block("One sentence. " * 200, page=1), Block(f"| a | b |\n| - | - |\n{rows}", kind="table", page=2)),
    )
    parts = passages(made)
    (run,) = runs(hits(*parts[::-1]))
    assert len(parts) > 6
    assert run.text == "\n\n".join(block.text.strip() for block in made.blocks)
    assert run.pages == (1, 2)
    assert run.lines is None
