"""The index of words finds stems, and one of an older make is made again."""

from __future__ import annotations

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
