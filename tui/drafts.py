"""What was typed and not sent, for each conversation: it survives switching, quitting and a crash."""

from __future__ import annotations

import json
import logging
from pathlib import Path

from edgeai.files import write_text

logger = logging.getLogger(__name__)

NEW = "new"
"""The key of the conversation that does not exist yet."""


class Drafts:
    """Drafts by conversation, in one small JSON file; in memory only where there is no path.

    Losing them to a full disk would be a pity, but no reason to disturb: what is on the screen is still there.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._texts = _read(path) if path is not None else {}
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

    def save(self) -> None:
        """Write what has changed; from any thread, one at a time."""
        if not self._changed or self._path is None:
            return
        self._changed = False
        try:
            write_text(self._path, json.dumps(dict(self._texts), ensure_ascii=False))
        except OSError as exc:
            logger.warning("drafts were not saved: %s", exc)


def _read(path: Path) -> dict[str, str]:
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(stored, dict):
        return {}
    return {key: text for key, text in stored.items() if isinstance(text, str)}
