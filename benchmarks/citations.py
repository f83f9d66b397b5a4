"""How often a citation is right: a true statement gets the place that says so, a false one of the same words none.

python -m benchmarks.citations [--held] [--verbose] [--json]

The statements stand in benchmarks/data/citations.jsonl, their texts in benchmarks/data/retrieval/texts. They were
written from reading, before anything was cited for them; the rules were changed until these came out well, so their
figure flatters. Those of citations_held.jsonl (`--held`) were written before the rules were changed and were counted
once, after it. Their author changed the rules and knew them: the rule for numbers paired otherwise was written with
one of them in mind.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path

from benchmarks.common import main_json
from benchmarks.retrieval_set import SET_DIR, even
from edgeai.documents.citing import Citer
from edgeai.documents.passages import passages
from edgeai.documents.read import read_document
from edgeai.documents.support import Support

STATEMENTS_PATH = Path(__file__).parent / "data" / "citations.jsonl"
HELD_PATH = STATEMENTS_PATH.with_name("citations_held.jsonl")
"""Kept aside while the rules are changed."""
TEXTS_DIR = SET_DIR / "texts"
MIN_SHARED_CHARS = 15
"""A citation is right where it shares so many characters in a row with the quote that is expected."""

_COUNTS = ("n_true", "right", "elsewhere", "uncited", "n_false", "wrongly_cited")
_JAPANESE = re.compile("[\u3041-\u30ff\u3400-\u9fff]")


@dataclass(frozen=True, slots=True)
class Statement:
    """A sentence such as an answer is made of.

    Attributes:
        text: the name of the text that it is about.
        statement: in other words than the text's.
        is_true: whether the text says so.
        quote: what says so there, word for word; None for a false one.
    """

    text: str
    statement: str
    is_true: bool
    quote: str | None = None

    @property
    def language(self) -> str:
        """ "en" or "ja"."""
        return "ja" if _JAPANESE.search(self.statement) else "en"


@dataclass(frozen=True, slots=True)
class Cited:
    """A statement, and the quotes of the citations that it got."""

    statement: Statement
    quotes: tuple[str, ...]

    @property
    def outcome(self) -> str:
        """ "right", "elsewhere" or "uncited" for a true one, "wrongly_cited" or "rightly_uncited" for a false one."""
        expected = self.statement.quote
        if expected is None:
            return "wrongly_cited" if self.quotes else "rightly_uncited"
        if any(shares_run(quote, expected) for quote in self.quotes):
            return "right"
        return "elsewhere" if self.quotes else "uncited"


def statements(path: Path = STATEMENTS_PATH) -> list[Statement]:
    """All statements of a set."""
    return [Statement(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]


def shares_run(one: str, other: str, n_chars: int = MIN_SHARED_CHARS) -> bool:
    """Whether two quotes have so many characters in a row in common; line breaks do not matter."""
    one, other = even(one), even(other)
    return any(one[at : at + n_chars] in other for at in range(len(one) - n_chars + 1))


def cite(asked: Sequence[Statement], folder: Path = TEXTS_DIR) -> Iterator[Cited]:
    """Cite each statement alone, as an answer of one sentence; a text is read once."""
    for name, about in groupby(sorted(asked, key=lambda entry: entry.text), key=lambda entry: entry.text):
        support = Support(passages(read_document(folder / name)))
        for entry in about:
            citer = Citer(support)
            citer.feed(entry.statement)
            citer.finish()
            yield Cited(entry, tuple(citation.quote for citation in citer.citations))


def counts(cited: Sequence[Cited]) -> dict[str, dict[str, int]]:
    """How many statements ended how, for each language and for all."""
    languages = sorted({entry.statement.language for entry in cited})
    groups = {language: [entry for entry in cited if entry.statement.language == language] for language in languages}
    result = {}
    for name, entries in {**groups, "all": cited}.items():
        found = Counter(entry.outcome for entry in entries)
        n_true = sum(entry.statement.is_true for entry in entries)
        found.update(n_true=n_true, n_false=len(entries) - n_true)
        result[name] = {count: found[count] for count in _COUNTS}
    return result


def table(result: dict[str, dict[str, int]]) -> list[str]:
    """One line a language."""
    lines = ["          true  cited right  elsewhere  not cited   false  yet cited"]
    for name, n in result.items():
        lines.append(
            f"{name:<8}  {n['n_true']:>4}  {n['right']:>11}  {n['elsewhere']:>9}  {n['uncited']:>9}   "
            f"{n['n_false']:>5}  {n['wrongly_cited']:>9}"
        )
    return lines


def misses(cited: Sequence[Cited]) -> list[str]:
    """What went wrong: the outcome, the text and the statement, then what was expected and what was cited."""
    lines = []
    for entry in cited:
        if entry.outcome in ("right", "rightly_uncited"):
            continue
        lines.append(f"{entry.outcome}: {entry.statement.text}: {entry.statement.statement}")
        if entry.statement.quote is not None:
            lines.append(f"  expected: {entry.statement.quote}")
        lines += [f"  cited:    {even(quote)}" for quote in entry.quotes]
    return lines


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--held", action="store_true", help="the statements kept aside while rules were changed")
    parser.add_argument("--verbose", action="store_true", help="also print each statement that went wrong")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    cited = list(cite(statements(HELD_PATH if options.held else STATEMENTS_PATH)))
    if options.json:
        all_cited = [{**asdict(entry), "outcome": entry.outcome} for entry in cited]
        main_json({"counts": counts(cited), "statements": all_cited})
        return
    print("\n".join(table(counts(cited))))
    if options.verbose:
        print("\n".join(["", *misses(cited)]))


if __name__ == "__main__":
    main()
