"""The index of words finds stems, and one of an older make is made again."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import tantivy

from edgeai.documents.library import Library
from edgeai.documents.types import Block, Document
from edgeai.documents.word_index import BrokenIndexError, WordIndex


def document(path: Path, text: str) -> Document:
    return Document(path, "text", path.name, "0" * 64, (Block(text),))


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("charging", "It is charged overnight."),
        ("batteries", "Take the battery out."),
        ("vaccinate", "a program of vaccination"),
        ("栗を盗む", "庭に栗の木がある。"),
        ("E-42", "Errors E-42 and E-43"),
    ],
)
def test_what_shares_a_stem_is_found(tmp_path: Path, query: str, text: str) -> None:
    with Library.open(tmp_path / "library") as library:
        library.add(document(tmp_path / "one.txt", text), document(tmp_path / "two.txt", "Nothing of it."))
        assert [hit.passage.text for hit in library.search(query)] == [text]


def test_an_index_of_whole_words_is_made_again(tmp_path: Path) -> None:
    """As it was before stems: the same fields, other words."""
    with Library.open(tmp_path / "library") as library:
        library.add(document(tmp_path / "one.txt", "It is charged overnight."))
    index = tmp_path / "library" / "index"
    for path in index.iterdir():
        path.unlink()
    builder = tantivy.SchemaBuilder()
    builder.add_unsigned_field("id", indexed=True, fast=True)
    builder.add_unsigned_field("document", indexed=True)
    builder.add_unsigned_field("identity", fast=True)
    builder.add_unsigned_field("generation", fast=True)
    builder.add_text_field("words", tokenizer_name="whitespace", index_option="freq")
    tantivy.Index(builder.build(), path=str(index))
    with pytest.raises(BrokenIndexError):
        WordIndex(index)
    with Library.open(tmp_path / "library") as library:
        assert len(library.search("charging")) == 1


def test_scores_are_bm25_with_rare_words_raised(tmp_path: Path) -> None:
    """Robertson and Zaragoza 2009, equation 3.15 with k1 = 1.2 and b = 0.75, times rarity to the power of 1.25."""
    texts = ["the cat and the dog", "the bird", "a cat", "the the the the ant", "dog dog bird of the north"]
    held = dict(enumerate((text.split() for text in texts), 1))
    average = sum(map(len, held.values())) / (len(held) + 1)  # the index's mark of its own is an entry without words

    def score(words: list[str], asked: list[str]) -> float:
        total = 0.0
        for word in asked:
            n_with = sum(word in other for other in held.values())
            rarity = math.log(1 + (len(held) + 1 - n_with + 0.5) / (n_with + 0.5))
            tf = words.count(word)
            total += rarity**1.25 * tf * 2.2 / (tf + 1.2 * (0.25 + 0.75 * len(words) / average))
        return total

    index = WordIndex(tmp_path / "index")
    with index.writing():
        index.add(1, enumerate(texts, 1))
        index.commit(7, 1)
    index.reload()
    for question in ("the cat", "dog of the north", "the", "bird ant nowhere"):
        scores = {number: score(words, question.split()) for number, words in held.items()}
        assert dict(index.search(question, 9)) == pytest.approx(
            {number: value for number, value in scores.items() if value}, rel=1e-5
        )
