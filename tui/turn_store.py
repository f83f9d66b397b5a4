"""Storing one turn as it goes."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from edgeai import EdgeAIError
from edgeai.history import History
from edgeai.history_types import PictureRef, Status
from edgeai.speech.unspoken import NOT_SPOKEN, unspoken
from tui.chat import Chat
from tui.chat_pictures import ChatPicture
from tui.sources import to_stats
from tui.turn import Result

logger = logging.getLogger(__name__)

_STATUSES: dict[str, Status] = {"cancelled": "cancelled", "error": "error"}


class TurnStore:
    """Where one turn goes; its methods are called in the engine's thread.

    Args:
        history: the store.
        chat: the conversation; a new one is made with its settings where it is not stored yet.
        user_text: the user's message; empty where a stored one is answered again.
        parent_id: the message before it, or the stored one that is answered again.
        pictures: that go with the user's message.

    Attributes:
        settings: the conversation's, as they are stored with a new one.
        user_id, answer_id: the messages' ids, once they are stored.
    """

    def __init__(
        self,
        history: History,
        chat: Chat,
        user_text: str,
        parent_id: int | None,
        pictures: Sequence[ChatPicture] = (),
    ) -> None:
        self._history = history
        self.conversation_id = chat.id
        self.settings = chat.settings.to_json()
        self._stored_model = chat.model
        self._user_text = user_text
        self._parent_id = parent_id
        self._pictures = pictures
        self._model = ""
        self.user_id: int | None = None
        self.answer_id: int | None = None

    def begin(self, model_name: str) -> None:
        """Store the question, and that an answer is being made."""
        self._model = model_name
        if self.conversation_id is None:
            self.conversation_id = self._history.create(model=model_name, settings=self.settings).id
        elif self._stored_model != model_name:
            self._history.update(self.conversation_id, model=model_name)
        if self._user_text:
            ids = self._history.begin_turn(self.conversation_id, self._parent_id, self._user_text, self._refs())
            self.user_id, self.answer_id = ids
        else:
            assert self._parent_id is not None
            self.answer_id = self._history.begin_answer(self._parent_id)

    def _refs(self) -> list[PictureRef]:
        return [item.ref for item in self._pictures if item.ref is not None]

    def save(self, text: str) -> None:
        """Store what there is, as far as that goes: the end stores everything."""
        assert self.answer_id is not None
        try:
            self._history.save_partial(self.answer_id, text)
        except EdgeAIError as exc:
            logger.warning("the answer so far was not stored: %s", exc)

    def finish(self, result: Result) -> None:
        """Store the whole answer."""
        assert self.answer_id is not None
        stats: dict[str, Any] = {
            "model": self._model,
            "finish_reason": result.finish_reason,
            "dropped": result.dropped,
            "usage": asdict(result.usage),
            "timings": asdict(result.timings),
        }
        if result.citations:
            stats["citations"] = to_stats(result.citations)
        status = _STATUSES.get(result.finish_reason, "complete")
        self._history.finish_turn(self.answer_id, result.text, status, stats)

    def interrupted(self, said: str) -> None:
        """Store that only so much of the answer was heard before somebody stopped it; nothing of its text is lost."""
        if self.answer_id is None:
            return
        stored = self._history.message(self.answer_id)
        if stored.status == "cancelled" or unspoken(stored.content, said):
            stats = {**stored.stats, "heard": (said + NOT_SPOKEN).strip()}
            self._history.finish_turn(stored.id, stored.content, stored.status, stats)
