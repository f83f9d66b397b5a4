"""Whether what was found can answer a question."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeai.documents.library_types import Hit
from edgeai.documents.passages import Passage
from edgeai.documents.relevance import is_relevant, word_share


def hit(text: str, cosine: float | None = None) -> Hit:
    return Hit(Passage(Path("/manual.txt"), "manual.txt", 0, text), 1.0, {"words": 1}, cosine, 1)


def test_nothing_found_answers_nothing() -> None:
    assert not is_relevant("How do I reset the pump?", [])


@pytest.mark.parametrize(
    ("question", "text"),
    [
        ("How do I reset the pump?", "To reset the pump, hold the red button."),
        ("電源の入れ方は？", "電源を入れるには、赤いボタンを押します。"),
    ],
)
def test_a_passage_with_the_questions_words_answers(question: str, text: str) -> None:
    assert is_relevant(question, [hit("Something else."), hit(text)])


@pytest.mark.parametrize(
    ("question", "text"),
    [
        ("Who won the football cup?", "To reset the pump, hold the red button. It is the one that you see."),
        ("富士山の高さは何メートルですか？", "電源を入れるには、赤いボタンを押します。それはここにあります。"),
    ],
)
def test_stop_words_alone_answer_nothing(question: str, text: str) -> None:
    assert not is_relevant(question, [hit(text)])


def test_a_question_without_content_words_is_not_refused() -> None:
    assert word_share("What is this?", [hit("The pump.")]) == 1.0
    assert is_relevant("What is this?", [hit("The pump.")])
