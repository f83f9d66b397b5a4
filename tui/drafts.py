"""What was typed and not sent, for each conversation, and what a new one is to be about: it survives quitting."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from edgeai.files import write_text
from tui.document_refs import DocumentRef, refs_from_json

logger = logging.getLogger(__name__)

NEW = "new"
"""The key of the conversation that does not exist yet."""
_DOCUMENTS = "documents"  # no conversation is called so; an older edgeai passes over what is no text


class Drafts:
    """Drafts by conversation, in one small JSON file; in memory only where there is no path.

    Losing them to a full disk would be a pity, but no reason to disturb: what is on the screen is still there.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        stored = _read(path) if path is not None else {}
        self._texts = {key: text for key, text in stored.items() if isinstance(text, str)}
        self._documents = refs_from_json(stored.get(_DOCUMENTS))
        self._changed = False

    def get(self, key: str) -> str:
        """The draft of a conversation; empty where there is none."""
        return self._texts.get(key, "")

    def set(self, key: str, text: str) -> None:
        """Remember a draft; empty text forgets it."""
        if text != self._texts.get(key, ""):
            self._changed = True
            if text:
                self._texts[key] = text
            else:
                self._texts.pop(key, None)

    @property
    def documents(self) -> tuple[DocumentRef, ...]:
        """What was added to the conversation that does not exist yet."""
        return self._documents

    @documents.setter
    def documents(self, refs: tuple[DocumentRef, ...]) -> None:
        self._changed = self._changed or refs != self._documents
        self._documents = refs

    def save(self) -> None:
        """Write what has changed; from any thread, one at a time."""
        if not self._changed or self._path is None:
            return
        self._changed = False
        stored: dict[str, Any] = dict(self._texts)
        if self._documents:
            stored[_DOCUMENTS] = [ref.to_json() for ref in self._documents]
        try:
            write_text(self._path, json.dumps(stored, ensure_ascii=False))
        except OSError as exc:
            logger.warning("drafts were not saved: %s", exc)


def _read(path: Path) -> dict[str, Any]:
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return stored if isinstance(stored, dict) else {}
