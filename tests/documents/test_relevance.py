"""Whether what was found can answer a question."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeai.documents.library_types import Hit
from edgeai.documents.passages import Passage
from edgeai.documents.relevance import MIN_COSINE, N_BEST, is_relevant, word_share


def hit(text: str, rank: int | None = 1, cosine: float | None = None) -> Hit:
    ranks = {"vectors": 1} if rank is None else {"words": rank}
    return Hit(Passage(Path("/manual.txt"), "manual.txt", 0, text), 1.0, ranks, cosine, 1)


def test_nothing_found_answers_nothing() -> None:
    assert not is_relevant("How do I reset the pump?", [])
    assert not is_relevant("", [])


@pytest.mark.parametrize(
    ("question", "text"),
    [
        ("How do I reset the pump?", "To reset the pump, hold the red button."),
        ("Which pumps did he reset?", "To reset the pump, hold the red button."),
        ("電源の入れ方は？", "電源を入れるには、このような方法があります。"),
        ("ポンプを止めるには？", "止めるときは、ポンプの赤いボタンを押します。"),
        ("Что такое насос?", "насос, такое"),
    ],
)
def test_a_passage_with_the_questions_words_answers(question: str, text: str) -> None:
    assert is_relevant(question, [hit("Something else."), hit(text, 2)])


@pytest.mark.parametrize(
    ("question", "text"),
    [
        ("Who won the football cup?", "To reset the pump, hold the red button. It is the one that you see."),
        ("富士山の高さは何メートルですか？", "電源を入れるには、赤いボタンを押します。それはここにあります。"),
        ("どのくらい重いのですか", "どのくらい押すのですか、というのです。"),
    ],
)
def test_stop_words_and_grammar_answer_nothing(question: str, text: str) -> None:
    assert not is_relevant(question, [hit(text)])


def test_the_words_may_stand_in_several_passages() -> None:
    question = "How do I reset the pump after an alarm?"
    assert not is_relevant(question, [hit("The pump is blue.")])
    assert is_relevant(question, [hit("The pump is blue."), hit("Reset it."), hit("There is an alarm.")])


def test_only_the_best_passages_by_words_count_in_whatever_order_they_come() -> None:
    best = [hit("The pump is blue.", rank) for rank in range(1, N_BEST + 1)]
    assert not is_relevant("How do I reset the alarm?", [hit("Reset the alarm.", N_BEST + 1), *best])
    assert is_relevant("How do I reset the alarm?", [*best[1:], hit("Reset the alarm.", 1)])
    assert word_share("How do I reset the alarm?", [hit("Reset the alarm.", None)]) == 0


def test_a_near_passage_answers_in_other_words() -> None:
    question = "Who looks after broken machines?"
    assert is_relevant(question, [hit("Repairs are done by the caretaker.", None, MIN_COSINE)])
    assert not is_relevant(question, [hit("Repairs are done by the caretaker.", None, MIN_COSINE - 0.01)])


def test_a_question_without_content_words_is_not_refused() -> None:
    assert word_share("What is this?", [hit("The pump.")]) == 1.0
    assert is_relevant("What is this?", [hit("The pump.")])
