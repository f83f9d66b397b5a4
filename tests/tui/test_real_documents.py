"""The chat about a document, on the real model: evaluated once, there again after reopening."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest

from edgeai.history import History
from edgeai.session import Session
from tests.tui.chat_app import Chat
from tests.tui.documented import settled_documents
from tui.app import EdgeAIApp
from tui.settings import ConversationSettings

pytestmark = pytest.mark.weights

SENTENCES = (
    "The machine stands in the hall and is cleaned on the first Monday of each month.",
    "Hold the red key for five seconds to reset it; the lamp turns green.",
    "The filter is changed once a year, and the old one goes back to the maker.",
)


async def test_a_document_is_evaluated_once(real_model: Path, tmp_path: Path) -> None:
    sections = [f"## Part {number}\n\n{SENTENCES[number % 3]}" for number in range(1, 16)]
    (tmp_path / "manual.md").write_text("# Manual\n\n" + "\n\n".join(sections))
    settings = ConversationSettings(temperature=0.0, seed=1, max_tokens=24)
    opener = functools.partial(Session, keep_states=True)
    with History() as history:
        app = EdgeAIApp(opener, history, str(real_model), settings, folder=tmp_path)
        async with app.run_test(size=(100, 30)) as pilot:
            chat = Chat(app, pilot)
            await chat.until(lambda: chat.screen.status.n_ctx)
            await chat.send("/doc manual.md")
            await chat.until(lambda: chat.screen.read_documents)
            await settled_documents(chat)
            assert chat.screen.status.activity == "document ready"
            await chat.ask("How is the machine reset?")
            conversation_id = chat.screen.chat.id
        app = EdgeAIApp(opener, history, str(real_model), settings, folder=tmp_path, conversation_id=conversation_id)
        async with app.run_test(size=(100, 30)) as pilot:
            chat = Chat(app, pilot)
            await chat.until(lambda: chat.screen.status.n_ctx and chat.screen.read_documents)
            await settled_documents(chat)
            assert chat.screen.status.activity == "document ready (cached)"
            await chat.ask("When is the filter changed?")
        assert conversation_id is not None
        answers = [item for item in history.path(conversation_id) if item.role == "assistant"]
    n_tokens = chat.screen.chat.documents[0].n_tokens
    assert n_tokens > 200
    # The first question found it prepared, the second one, in another session, among the kept states.
    assert [answer.stats["usage"]["cached_tokens"] > n_tokens for answer in answers] == [True, True]
    assert all(answer.status == "complete" for answer in answers)
