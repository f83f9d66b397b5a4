"""Vectors: near ones are found as exact arithmetic finds them, and making them can stop and go on."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeai.documents.library import Library
from edgeai.documents.vectors import cosines, to_rows
from edgeai.errors import DocumentError
from tests.documents.library_files import document

SYNONYMS = {"car": "automobile", "doctor": "physician", "電源": "power"}


class FakeEmbedder:
    """A bag of hashed words, in which some words mean the same."""

    dimension = 64

    def __init__(self, name: str = "fake") -> None:
        self.name = name
        self.embedded: list[str] = []
        self.bad: Any = None

    def embed_query(self, texts: Sequence[str]) -> Any:
        return self._vectors(texts)

    def embed_passages(self, texts: Sequence[str]) -> Any:
        self.embedded += texts
        return self._vectors(texts) if self.bad is None else self.bad

    def _vectors(self, texts: Sequence[str]) -> Any:
        result = np.zeros((len(texts), self.dimension), np.float32)
        for row, text in zip(result, texts, strict=True):
            for word in re.findall(r"\w+", text.lower()):
                seed = int.from_bytes(hashlib.sha256(SYNONYMS.get(word, word).encode()).digest()[:4], "big")
                row += np.random.default_rng(seed).standard_normal(self.dimension)
        return result


class ZeroQueries(FakeEmbedder):
    """Its questions crash."""

    def embed_query(self, texts: Sequence[str]) -> Any:
        return np.zeros((len(texts), self.dimension), np.float32)


def test_cosines_are_exact_but_for_the_rounding() -> None:
    rng = np.random.default_rng(3)
    vectors = rng.standard_normal((10_000, 48)).astype(np.float32) * rng.uniform(1e-3, 1e3, (10_000, 1)).astype(
        np.float32
    )
    query = rng.standard_normal(48).astype(np.float32)
    exact = (vectors @ query.astype(np.float64)) / np.linalg.norm(vectors, axis=1) / np.linalg.norm(query)
    rows, scales = to_rows(vectors)
    assert rows.dtype == np.int8
    half_steps = scales.astype(np.float64) / 2  # the most that each number is rounded by
    bound = half_steps * np.abs(query).sum() / np.linalg.norm(query) + 1e-5
    assert (np.abs(cosines(query, rows, scales) - exact) <= bound).all()


def test_zero_vectors_are_near_to_nothing() -> None:
    rows, scales = to_rows(np.zeros((2, 4), np.float32))
    assert cosines(np.ones(4, np.float32), rows, scales).tolist() == [0, 0]
    assert to_rows(np.zeros((0, 4), np.float32))[0].shape == (0, 4)


def test_a_vector_of_zeros_ranks_nothing_and_is_not_ranked(tmp_path: Path) -> None:
    """It stands for a text that crashed the embedder."""
    with Library.open(tmp_path) as library:
        library.add(document("x", "a car"), document("y", "..."), document("z", "the doctor"))
        embedder = FakeEmbedder()
        embedder.bad = np.zeros((1, 64), np.float32)
        library.search("car", embedder=embedder, n_new_vectors=1)
        embedder.bad = None
        library.embed_pending(embedder)
        assert {hit.passage.title for hit in library.search("physician", embedder=embedder)} == {"y", "z"}
        assert library.search("?", embedder=embedder) == []
        (hit,) = library.search("car ?", embedder=ZeroQueries())
        assert (hit.passage.title, hit.ranks) == ("x", {"words": 1})


def test_meaning_finds_what_words_do_not(tmp_path: Path) -> None:
    with Library.open(tmp_path) as library:
        library.add(document("x", "the automobile"), document("y", "a garden"), document("z", "car garage for hire"))
        embedder = FakeEmbedder()
        assert library.embed_pending(embedder)
        assert [hit.passage.title for hit in library.search("car")] == ["z"]
        found = library.search("car", embedder=embedder)
        x = next(hit for hit in found if hit.passage.title == "x")
        assert x.ranks == {"vectors": 1} or x.ranks == {"vectors": 2}
        exact = embedder.embed_query(["car", "x\nthe automobile"]).astype(np.float64)
        cosine = exact[0] @ exact[1] / math.prod(np.linalg.norm(exact, axis=1))
        assert x.cosine == pytest.approx(cosine, abs=0.02)
        assert next(hit for hit in found if hit.passage.title == "z").ranks["words"] == 1


def test_the_first_vectors_are_those_of_what_words_found_and_they_are_kept(tmp_path: Path) -> None:
    with Library.open(tmp_path) as library:
        library.add(*(document(f"d{n}", f"text {'needle' if n % 10 == 0 else 'hay'} {n}") for n in range(40)))
        embedder = FakeEmbedder()
        library.search("needle", embedder=embedder, n_new_vectors=3)
        assert len(embedder.embedded) == 3
        assert all("needle" in text for text in embedder.embedded)
        library.search("needle", embedder=embedder, n_new_vectors=3)
        assert len(embedder.embedded) == 3
        assert library.stats().n_embedded == {"fake": 3}
    with Library.open(tmp_path) as library:
        library.search("needle", embedder=embedder, n_new_vectors=4)
        assert len(embedder.embedded) == len(set(embedder.embedded)) == 4


def test_making_vectors_stops_and_goes_on_where_it_was(tmp_path: Path) -> None:
    embedder, told = FakeEmbedder(), list[tuple[int, int]]()
    with Library.open(tmp_path) as library:
        library.add(*(document(f"d{n}", f"text {n}") for n in range(25)))
        on_progress = lambda done, total: told.append((done, total))  # noqa: E731
        assert not library.embed_pending(embedder, on_progress, stop=lambda: len(told) == 2, n_batch=10)
    with Library.open(tmp_path) as library:
        assert library.embed_pending(embedder, on_progress, n_batch=10)
        assert told == [(10, 25), (20, 25), (25, 25)]
        assert len(embedder.embedded) == len(set(embedder.embedded)) == 25
        assert library.embed_pending(FakeEmbedder("other"), stop=lambda: False)
        assert library.stats().n_embedded == {"fake": 25, "other": 25}


def test_vectors_go_with_their_document(tmp_path: Path) -> None:
    embedder = FakeEmbedder()
    with Library.open(tmp_path) as library:
        library.add(document("a", "automobile"), document("b", "garden"))
        library.embed_pending(embedder)
        assert library.search("car", embedder=embedder)[0].passage.title == "a"
        library.add(document("a", "flowers"), document("c", "automobile parts"))
        assert "a" not in [hit.passage.title for hit in library.search("car", embedder=embedder)]
        assert library.embed_pending(embedder)
        assert library.search("car", embedder=embedder)[0].passage.title == "c"
        library.remove(Path("/made/c.txt"))
        assert library.stats().n_embedded == {"fake": 2}


@pytest.mark.parametrize(
    "bad", [np.full((1, 64), np.nan, np.float32), np.zeros((1, 63), np.float32), np.zeros((2, 64), np.float32)]
)
def test_an_embedder_that_gives_nonsense_is_named(tmp_path: Path, bad: Any) -> None:
    embedder = FakeEmbedder("broken one")
    embedder.bad = bad
    with Library.open(tmp_path) as library:
        library.add(document("a", "word"))
        with pytest.raises(DocumentError, match=r"broken one: expected .* finite numbers"):
            library.embed_pending(embedder)
        assert [hit.passage.title for hit in library.search("word")] == ["a"]


def test_another_dimension_under_the_same_name_is_refused(tmp_path: Path) -> None:
    with Library.open(tmp_path) as library:
        library.embed_pending(FakeEmbedder())
    other = FakeEmbedder()
    other.dimension = 32
    with Library.open(tmp_path) as library:
        for _ in range(2):  # also where the library has met the first
            with pytest.raises(DocumentError, match="64 dimensions are kept, got 32"):
                library.embed_pending(other)
            library.embed_pending(FakeEmbedder())


def test_passages_that_read_as_before_keep_their_vectors(tmp_path: Path) -> None:
    embedder = FakeEmbedder()
    blocks = [f"word{number} " * 200 for number in range(4)]
    with Library.open(tmp_path) as library:
        library.add(document("a", *blocks), document("b", "car"))
        library.embed_pending(embedder)
        library.search("word2", embedder=embedder)  # its vectors are read
        old = {hit.id: hit.passage.text for hit in library.search("word2 word1", embedder=embedder)}
        embedder.embedded.clear()
        library.add(document("a", "new " * 200, *blocks[1:]))
        (first, *_) = hits = library.search("word2", embedder=embedder, n_new_vectors=0)
        assert "word2" in first.passage.text
        assert first.cosine == pytest.approx(max(hit.cosine or 0 for hit in hits))
        assert not old.keys() & {hit.id for hit in hits if hit.passage.path.name == "a.txt"}
        assert library.embed_pending(embedder)
        assert [text.split()[1] for text in embedder.embedded] == ["new"]
        assert library.stats().n_embedded == {"fake": library.stats().n_passages}
