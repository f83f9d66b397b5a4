"""An engine's process that is started before a model is loaded: taken by the next load, or ended."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from edgeai import Session
from edgeai.engine.load import engine_ahead
from tests.engine.children import is_gone, wait_for
from tests.tiny import tiny_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("tiny") / "tiny.gguf")


def test_the_next_session_takes_it_and_the_one_after_has_its_own(model: Path) -> None:
    with engine_ahead():
        ahead = _child()
        with Session(model) as session, Session(model) as other:
            assert session.engine_pid == ahead
            assert other.engine_pid != ahead
            assert session.chat("Hello", max_tokens=2).usage.completion_tokens
    wait_for(lambda: is_gone(ahead))


def test_one_that_nobody_takes_is_ended() -> None:
    with engine_ahead():
        ahead = _child()
    wait_for(lambda: is_gone(ahead))


def test_one_that_has_died_is_not_taken(model: Path) -> None:
    with engine_ahead():
        ahead = _child()
        psutil.Process(ahead).kill()
        wait_for(lambda: is_gone(ahead))
        with Session(model) as session:
            assert session.engine_pid != ahead


def _child() -> int:
    """The one engine that was started; a process that has just been started has no command line yet."""
    wait_for(_children)
    (child,) = _children()
    return child


def _children() -> list[int]:
    code = "edgeai.engine.child"
    return [child.pid for child in psutil.Process().children() if any(code in word for word in child.cmdline())]
