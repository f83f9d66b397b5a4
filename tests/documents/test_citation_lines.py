"""The cited line is where the quote begins in the file: each file is read as users' files are, and looked into here."""

from __future__ import annotations

import contextlib
import random
import sqlite3
from pathlib import Path

import pytest

from edgeai.documents.citing import Citer
from edgeai.documents.library import Library
from edgeai.documents.passages import passages
from edgeai.documents.read import read_document

NAMES = [
    f"{one}{two}" for one in ("kel", "mor", "tav", "bix", "zun", "rop") for two in ("dan", "lis", "gur", "vek", "pol")
]
GAPS = ["\n\n", "\n\n\n\n", "\n   \n\t\n", "\n"]


def statements(seed: int) -> list[str]:
    """Sentences no two of which share a name."""
    names = random.Random(seed).sample(NAMES, 24)
    return [f"The {names[n]} valve feeds the {names[n + 1]} tank at noon." for n in range(0, len(names), 2)]


def markdown(said: list[str], draw: random.Random) -> str:
    """Headings of both kinds, lists, quotes, code, a written table, front matter and blank lines."""
    text = draw.choice(["", "---\ntitle: x\n---\n", "\n\n"])
    for number, sentence in enumerate(said):
        before = ("", f"A title\nof two lines\n{'=' * 8}\n", "## Heading ##\n", "* ", "> ", "```sh\nls -l\n\n```\n\n")
        text += (
            draw.choice(before) + sentence.replace(" feeds", draw.choice([" feeds", "\nfeeds"])) + draw.choice(GAPS[:3])
        )
        if number % 5 == 4:
            text += "| a | b |\n|---|---|\n" + "".join(f"| cell {n} | {n} |\n" for n in range(40)) + "\n"
    return text


def plain(said: list[str], draw: random.Random) -> str:
    filler = "Nothing of note happened on this day in the harbour, said the keeper. " * 3
    return "".join(draw.choice(["", "   ", filler + "\n"]) + sentence + draw.choice(GAPS) for sentence in said)


def code(said: list[str], draw: random.Random) -> str:
    blocks = (
        f"def f{n}():\n    # {sentence}\n    return {n}\n" + "\n" * draw.randint(0, 4)
        for n, sentence in enumerate(said)
    )
    return "#!/usr/bin/python\n\n" + "\n".join(
        f"{block}{'x = 1  # padding' * draw.randint(0, 30)}\n" for block in blocks
    )


def table(said: list[str], draw: random.Random) -> str:
    return "what,how much\n" + "".join(f"{sentence},{draw.randint(100, 999)}\n" for sentence in said)


MAKERS = {"a.md": markdown, "README": plain, "notes.txt": plain, "pump.py": code, "list.csv": table}


@pytest.mark.parametrize("name", MAKERS)
def test_the_cited_line_is_where_the_quote_begins_in_the_file(name: str, tmp_path: Path) -> None:
    for seed in range(4):
        said = statements(seed)
        path = tmp_path / name
        path.write_text(MAKERS[name](said, random.Random(seed)), "utf-8")
        lines = path.read_text("utf-8").split("\n")
        held = passages(read_document(path))
        for sentence in said:
            citer = Citer(held)
            citer.feed(sentence)
            citer.finish()
            (citation,) = citer.citations
            first = citation.quote.split("\n")[0].strip("| ").split(" | ")[0]
            assert citation.line is not None
            assert first in lines[citation.line - 1], (seed, sentence, citation.line)


def test_a_heading_over_two_lines_and_blank_lines_shift_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    path.write_text("Pumps\n=====\n\n\n\n\nShort text.\n\n\n\nThe kettle whistles at noon.\n", "utf-8")
    citer = Citer(passages(read_document(path)))
    citer.feed("At noon the kettle whistles.")
    citer.finish()
    assert [citation.line for citation in citer.citations] == [11]


def test_a_library_keeps_the_lines_and_reads_places_written_before(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    path.write_text("# Pumps\n\n\n\n\nShort text.\n\n\n\nThe kettle whistles at noon.\n", "utf-8")
    with Library.open(tmp_path / "lib") as library:
        library.add(read_document(path))
        (hit,) = library.search("kettle")
        assert hit.passage == passages(read_document(path))[0]
    with contextlib.closing(sqlite3.connect(tmp_path / "lib" / "library.sqlite")) as db, db:
        db.execute("UPDATE passages SET place = json_remove(place, '$[7]')")
        db.execute("ALTER TABLE documents DROP COLUMN reader")
        db.execute("ALTER TABLE documents DROP COLUMN ocr")
        db.execute("PRAGMA user_version = 3")
    with Library.open(tmp_path / "lib") as library:
        (hit,) = library.search("kettle")
        assert hit.passage.lines == ()
        assert hit.passage.line_of(0) == 1
        assert library.update(read=read_document).reread == (path,)
        (hit,) = library.search("kettle")
        assert hit.passage == passages(read_document(path))[0]
        assert library.update(read=read_document).unchanged == 1


def test_a_long_table_of_rows_knows_the_lines_of_its_later_parts(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("part,price\n" + "".join(f"item{n},{n}\n" for n in range(1000, 1250)), "utf-8")
    lines = path.read_text("utf-8").split("\n")
    for passage in passages(read_document(path)):
        for number in (1000, 1099, 1100, 1101, 1248):
            place = passage.text.find(f"| item{number} ")
            if place >= 0:
                line = passage.line_of(place)
                assert line is not None
                assert lines[line - 1] == f"item{number},{number}"
        assert passage.first_line is not None
        assert passage.last_line is not None
        assert lines[passage.last_line - 1].split(",")[0] in passage.text.splitlines()[-1]
