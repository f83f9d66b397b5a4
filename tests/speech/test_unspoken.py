"""What of an answer was not heard, and what the model is told of it."""

from __future__ import annotations

import pytest

from edgeai import Message
from edgeai.history import History, to_messages
from edgeai.speech.unspoken import unspoken


@pytest.mark.parametrize(
    ("whole", "said", "rest"),
    [
        ("It rains. It is cold.", "It rains.", "It is cold."),
        ("It rains.\n\nIt is cold.", "It rains. It is cold.", ""),
        ("It rains.", "", "It rains."),
        ("雨です。寒いです。", "雨です。", "寒いです。"),
        ("# Rain\n- It is *cold*.", "# Rain", "- It is *cold*."),
    ],
)
def test_what_follows_the_sentences_that_sounded_was_not_spoken(whole: str, said: str, rest: str) -> None:
    assert unspoken(whole, said) == rest


@pytest.mark.parametrize("heard", ["It rains. …", 7, None])
def test_the_model_is_told_what_was_heard(heard: object) -> None:
    with History() as history:
        id = history.create().id
        _, answer = history.begin_turn(id, None, "How is it?")
        history.finish_turn(answer, "It rains. It is cold.", "complete", {"heard": heard})
        told = "It rains. …" if isinstance(heard, str) else "It rains. It is cold."
        assert to_messages(history.path(id)) == [Message("user", "How is it?"), Message("assistant", told)]
        assert history.message(answer).content == "It rains. It is cold."
