"""Stand-ins for what surrounds a command: a session on a fake model, and what is piped in."""

from __future__ import annotations

import io
import sys
from typing import Any

import pytest

from edgeai.session import Session
from tests.fakes import FakeBackend
from tui import session_options


class FakeModels:
    """Opens sessions on one fake backend, in place of `session_options.open_session`.

    Attributes:
        opened: the model and options of each session.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, backend: FakeBackend) -> None:
        self.backend = backend
        self.opened: list[tuple[str | None, dict[str, Any]]] = []
        monkeypatch.setattr(session_options, "open_session", self._open)

    def _open(self, model: str | None, **options: Any) -> Session:
        self.opened.append((model, options))
        kept = {name: value for name, value in options.items() if name in ("system", "overflow")}
        return Session(backend=self.backend, **kept)

    @property
    def prompts(self) -> list[str]:
        """The prompts, as text."""
        return [self.backend.detokenize(request.tokens) for request in self.backend.requests]


def pipe_in(monkeypatch: pytest.MonkeyPatch, data: bytes, *, is_terminal: bool = False) -> None:
    """Put bytes where stdin is."""
    stdin = io.TextIOWrapper(io.BytesIO(data), encoding="utf-8")
    monkeypatch.setattr(stdin, "isatty", lambda: is_terminal, raising=False)
    monkeypatch.setattr(sys, "stdin", stdin)
