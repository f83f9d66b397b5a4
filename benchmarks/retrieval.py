"""How often search finds the passage that answers: by words, by meaning, and by both; and when it should say nothing.

python -m benchmarks.retrieval [--work FOLDER] [--words] [--json]

Texts and questions stand in benchmarks/data/retrieval. Embedding the texts takes some 30 minutes on two cores, once:
the work folder keeps the vectors. With --words nothing is embedded.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from benchmarks.common import main_json, print_machine
from benchmarks.retrieval_set import SET_DIR, Question, questions, reciprocal_rank, texts
from benchmarks.retrieval_vectors import RememberingEmbedder
from edgeai.documents.library import Library
from edgeai.documents.library_types import Hit
from edgeai.documents.passages import index_text
from edgeai.documents.read import read_document
from edgeai.documents.relevance import is_relevant
from edgeai.documents.vectors import Embedder

DEPTH = 10
"""Passages that are looked at for the reciprocal rank."""

_N_HITS = 24  # as many as an answer looks at
_ENOUGH = 200  # so many of the fused ranking hold the best ten of the ranking by vectors
_GROUPS = ("en", "ja", "cross")


@dataclass(frozen=True, slots=True)
class Searched:
    """What was found for a question: the method's name and its hits, best first."""

    question: Question
    hits: dict[str, list[Hit]]

    def reciprocal_rank(self, method: str) -> float:
        """1 divided by the place of the passage that answers, 0 beyond the depth."""
        found = [index_text(hit.passage) for hit in self.hits[method][:DEPTH]]
        return reciprocal_rank(found, self.question.quote or "")


def search(library: Library, asked: Sequence[Question], embedder: Embedder | None) -> list[Searched]:
    """Ask all questions in every way."""
    result = []
    for question in asked:
        hits = {"words": library.search(question.question, _N_HITS)}
        if embedder is not None:
            both = library.search(question.question, _ENOUGH, embedder=embedder, n_new_vectors=0)
            near = sorted((hit for hit in both if "vectors" in hit.ranks), key=lambda hit: hit.ranks["vectors"])
            hits["vectors"] = near[:DEPTH]
            hits["hybrid"] = library.search(question.question, _N_HITS, embedder=embedder, n_new_vectors=0)
        result.append(Searched(question, hits))
    return result


def quality(searched: Iterable[Searched], method: str) -> dict[str, float]:
    """recall@1, recall@5 and MRR@10 of questions that have an answer, and how many they are."""
    ranks = [entry.reciprocal_rank(method) for entry in searched]
    return {
        "n": len(ranks),
        "recall@1": fmean(rank == 1 for rank in ranks),
        "recall@5": fmean(rank >= 1 / 5 for rank in ranks),
        "mrr@10": fmean(ranks),
    }


def refusals(searched: Sequence[Searched], method: str) -> dict[str, float]:
    """The shares of questions with an answer that are refused, and of those without one that are seen as such."""

    def refused(entries: Iterable[Searched]) -> float:
        return fmean(not is_relevant(entry.question.question, entry.hits[method]) for entry in entries)

    answered = [entry for entry in searched if entry.question.group in ("en", "ja")]
    return {
        "wrongly_refused": refused(answered),
        "recognised": refused(entry for entry in searched if entry.question.group == "none"),
    }


def measure(
    work: Path, embedder: Embedder | None, folder: Path = SET_DIR, tell: Callable[[str], object] = print
) -> dict[str, Any]:
    """All figures, by split ("tune", "held").

    Args:
        work: where the library is made, if it is not there yet.
        embedder: None searches by words alone.
        folder: the set.
        tell: gets a line now and then while passages are embedded.
    """

    def progress(n_done: int, n: int) -> None:
        if n_done % 160 == 0:
            tell(f"{n_done} of {n} passages embedded")

    with Library.open(work / "library") as library:
        library.update(texts(folder), read=read_document)
        if embedder is not None:
            library.embed_pending(embedder, progress)
        searched = search(library, questions(folder), embedder)
    result: dict[str, Any] = {}
    for split in ("tune", "held"):
        half = [entry for entry in searched if entry.question.split == split]
        groups = {group: [entry for entry in half if entry.question.group == group] for group in _GROUPS}
        groups["en + ja"] = groups["en"] + groups["ja"]
        methods = list(half[0].hits)
        result[split] = {
            "quality": {
                name: {method: quality(entries, method) for method in methods} for name, entries in groups.items()
            },
            "refusals": {method: refusals(half, method) for method in methods if method != "vectors"},
        }
    return result


def table(results: dict[str, Any]) -> list[str]:
    """One line for each half, group and method; then what is refused."""
    lines = ["half questions    n  by        recall@1  recall@5    MRR@10"]
    for split, result in results.items():
        for group, methods in result["quality"].items():
            for method, figures in methods.items():
                lines.append(
                    f"{split} {group:<9} {figures['n']:>4}  {method:<8} {figures['recall@1']:>9.3f} "
                    f"{figures['recall@5']:>9.3f} {figures['mrr@10']:>9.3f}"
                )
    lines.append("half by        answerable, yet refused   unanswerable, and recognised")
    for split, result in results.items():
        for method, shares in result["refusals"].items():
            lines.append(f"{split} {method:<8} {shares['wrongly_refused']:>24.1%} {shares['recognised']:>30.1%}")
    return lines


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--work", type=Path, help="keeps the library and the vectors for the next run")
    parser.add_argument("--words", action="store_true", help="search by words alone")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="edgeai-retrieval-") as scratch:
        work = options.work or Path(scratch)
        work.mkdir(parents=True, exist_ok=True)
        results = measure(work, None if options.words else _embedder(work), tell=_quiet if options.json else print)
    if options.json:
        main_json(results)
        return
    print_machine()
    print("\n".join(table(results)))


def _embedder(work: Path) -> Embedder:
    from edgeai.documents.e5 import E5Embedder

    return RememberingEmbedder(E5Embedder(), work / "vectors.sqlite")


def _quiet(_line: str) -> None:
    pass


if __name__ == "__main__":
    main()
