"""Exports: Markdown in which no message reaches into the next, JSON that is read back as it was."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgeai.errors import HistoryError
from edgeai.history import Conversation, History, StoredMessage
from edgeai.history_export import from_json, to_json, to_markdown

CONVERSATION = Conversation("abc", "A title", "m", "{}", "2026-11-24T06:43:54.267+00:00", "", 2, 2)


@pytest.fixture
def history(tmp_path: Path) -> Iterator[History]:
    with History(tmp_path / "history.db") as history:
        yield history


def markdown(*texts: str, **changes: Any) -> str:
    messages = [
        StoredMessage(index, "abc", None, "assistant" if index % 2 else "user", text, "complete", "")
        for index, text in enumerate(texts)
    ]
    return to_markdown(replace(CONVERSATION, **changes), messages)


def test_markdown_reads_as_a_conversation() -> None:
    assert markdown("Hello", "Hi **you**") == (
        "# A title\n\nm · 2026-11-24 06:43\n\n## You\n\nHello\n\n## Assistant\n\nHi **you**\n"
    )


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("```python\nx = 1", "```python\nx = 1\n```"),
        ("````\n```\ntext", "````\n```\ntext\n````"),
        ("~~~\n```", "~~~\n```\n~~~"),
        ("```\nclosed\n```", "```\nclosed\n```"),
        ("``` not a fence ` \nx", "``` not a fence ` \nx"),
        ("<script>alert(1)</script>", r"\<script>alert(1)\</script>"),
        ("a <!-- comment", r"a \<!-- comment"),
        ("a < b, `<b>`, ``<i>``, 1 <2", "a < b, `<b>`, ``<i>``, 1 <2"),
        ("`open <b>", r"`open \<b>"),
        ("```\n<b>\n```\n<b>", "```\n<b>\n```\n\\<b>"),
        ("see <https://example.org>", "see <https://example.org>"),
        ("\x1b[31mred\x9b\u202e", "[31mred"),
    ],
)
def test_no_message_reaches_out_of_itself(text: str, safe: str) -> None:
    assert markdown(text, "next").split("## You\n\n")[1] == safe + "\n\n## Assistant\n\nnext\n"


def test_a_title_is_one_harmless_line() -> None:
    assert markdown(title="a\n# b <b>\x07").startswith("# a # b \\<b>\n\n")


def test_what_did_not_end_well_says_so() -> None:
    stopped = StoredMessage(1, "abc", None, "assistant", "The", "cancelled", "")
    assert "## Assistant (stopped)\n\nThe" in to_markdown(CONVERSATION, [stopped])


def shape(history: History, conversation: Conversation) -> list[Any]:
    """All of a conversation that does not depend on the numbers of its messages."""
    messages = history.all_messages(conversation.id)
    order = {message.id: index for index, message in enumerate(messages)}
    tree = [replace(m, id=order[m.id], parent_id=order.get(m.parent_id or 0), conversation_id="") for m in messages]
    about = replace(conversation, id="", updated="", head=order.get(conversation.head or 0))
    return [about, [message.content for message in history.path(conversation.id)], *tree]


def test_json_comes_back_with_all_its_branches(history: History, tmp_path: Path) -> None:
    conversation = history.create(model="m", settings='{"system": "簡潔に", "temperature": 0.2}')
    question, answer = history.begin_turn(conversation.id, None, "日本 \x1b[31m \u202e \x00 \x9b 👩‍👩‍👧")
    history.finish_turn(answer, "first", stats={"usage": {"prompt_tokens": 3}})
    history.finish_turn(history.begin_answer(question), "second", "cancelled")
    history.set_head(conversation.id, answer)
    conversation = history.get(conversation.id)
    text = to_json(conversation, history.all_messages(conversation.id))
    assert "日本" in text
    assert not any(character in text for character in "\x1b\x9b\u202e\x00")
    with History(tmp_path / "other.db") as other:
        other.create(title="already here")
        copy = from_json(other, text)
        assert shape(other, copy) == shape(history, conversation)
        assert [hit.conversation_id for hit in other.search("first")] == [copy.id]


def test_an_answer_still_being_made_comes_back_as_interrupted(history: History) -> None:
    conversation = history.create()
    history.begin_turn(conversation.id, None, "q")
    copy = from_json(history, to_json(history.get(conversation.id), history.all_messages(conversation.id)))
    assert history.path(copy.id)[-1].status == "interrupted"


GOOD = json.loads(
    to_json(CONVERSATION, [StoredMessage(2, "abc", None, "user", "q", "complete", "2026-11-24T06:43:54.267+00:00")])
)
MESSAGE = GOOD["messages"][0]


CHANGES: list[dict[str, Any]] = [
    {"format": "other"},
    {"version": 2},
    {"title": 3},
    {"settings": "text"},
    {"created": "yesterday"},
    {"head": 9},
    {"head": [2]},
    {"messages": None},
    {"messages": [{}]},
    {"messages": [MESSAGE, MESSAGE]},
    {"messages": [{**MESSAGE, "parent_id": 7}]},
    {"messages": [{**MESSAGE, "parent_id": 2}]},
    {"messages": [{**MESSAGE, "id": True}]},
    {"messages": [{**MESSAGE, "role": "root"}]},
    {"messages": [{**MESSAGE, "status": []}]},
    {"messages": [{**MESSAGE, "content": None}]},
    {"messages": [{**MESSAGE, "stats": 5}]},
]
BAD = ["", "[]", "null", "{}", "[" * 100_000, *(json.dumps({**GOOD, **change}) for change in CHANGES)]


@pytest.mark.parametrize("index", range(len(BAD)))
def test_what_is_no_export_is_refused_whole(history: History, index: int) -> None:
    with pytest.raises(HistoryError, match="export it again"):
        from_json(history, BAD[index])
    assert history.conversations() == []


def test_the_refused_examples_differ_from_a_good_one(history: History) -> None:
    assert from_json(history, json.dumps(GOOD)).n_messages == 1
