"""The question set: texts in the public domain, questions with the place of their answer, and some without one."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

SET_DIR = Path(__file__).parent / "data" / "retrieval"
_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class Question:
    """One question.

    Attributes:
        id: its group and number: "en-001", "ja-001", "cross-001" (asked in the other language), "none-01-ja".
        language: that it is asked in: "en" or "ja".
        question: in a person's own words.
        text: the name of the text that answers it; None where none does.
        quote: what answers it there, word for word; None where nothing does.
    """

    id: str
    language: str
    question: str
    text: str | None = None
    quote: str | None = None

    @property
    def group(self) -> str:
        """ "en", "ja", "cross" or "none"."""
        return self.id.split("-")[0]

    @property
    def split(self) -> str:
        """ "tune" for odd numbers, "held" for even ones; nothing is fitted to what is held."""
        match = _NUMBER.search(self.id)
        return "tune" if match and int(match[0]) % 2 else "held"


def questions(folder: Path = SET_DIR) -> list[Question]:
    """All questions of a set."""
    lines = (folder / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    return [Question(**json.loads(line)) for line in lines]


def texts(folder: Path = SET_DIR) -> list[Path]:
    """The files of a set's texts."""
    return sorted((folder / "texts").glob("*.txt"))


def even(text: str) -> str:
    """A text whose line breaks do not matter: quotes do not know where lines end."""
    return " ".join(text.split())


def holds(passage: str, quote: str) -> bool:
    """Whether a passage holds a quote, or the larger part of it where passages were cut inside of it."""
    passage, quote = even(passage), even(quote)
    if quote in passage:
        return True
    larger = range(len(quote) // 2 + 1, len(quote))
    return any(passage.endswith(quote[:n]) or passage.startswith(quote[-n:]) for n in larger)


def reciprocal_rank(passages: Sequence[str], quote: str) -> float:
    """1 divided by the place of the first passage that holds the quote; 0 where none does."""
    return next((1 / rank for rank, passage in enumerate(passages, 1) if holds(passage, quote)), 0.0)
