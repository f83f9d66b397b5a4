"""Sounds cross to the engine's process once, survive its end, and what was evaluated of them is kept on the disk."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeai import GenerationError, Message, Session
from edgeai.backends.base import GenerateRequest
from edgeai.engine.backend import ProcessBackend
from edgeai.engine.run import Run
from edgeai.engine.watchdog import Pace
from edgeai.engine.wire import Generate, Pipe, Take
from edgeai.kv_store.backend import StoringBackend
from edgeai.kv_store.room import kept_states, states_dir
from edgeai.media import SOUND_RATE_HZ, Medium
from tests.engine.children import engine, impostor, is_gone, wait_for
from tests.tiny import tiny_model
from tests.tiny_projector import tiny_projector

GREEDY: dict[str, Any] = {"temperature": 0, "max_tokens": 8}


def noise(seed: int, seconds: float = 1.0) -> Medium:
    samples = np.random.default_rng(seed).normal(0, 0.1, int(seconds * SOUND_RATE_HZ))
    return Medium.sound(samples.astype("<f4").tobytes())


def heard(content: str, *sounds: Medium) -> Message:
    return Message("user", content, media=sounds)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    tiny_projector(folder / "mmproj-tiny.gguf")
    return tiny_model(folder / "tiny.gguf", n_ctx_train=2048)


@pytest.fixture
def session(model: Path) -> Iterator[Session]:
    with Session(model, n_threads=1, n_ctx=1024) as session:
        yield session


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """All messages to engines."""
    found: list[Any] = []
    send = Pipe.send

    def noted(pipe: Pipe[Any], message: Any) -> None:
        found.append(message)
        send(pipe, message)

    monkeypatch.setattr(Pipe, "send", noted)
    return found


def test_it_hears_as_the_engine_inside_does(model: Path) -> None:
    turns = []
    for isolation in ("process", "none"):
        with Session(model, n_threads=1, n_ctx=1024, isolation=isolation) as session:
            assert session.info.hears
            session.messages = [heard("What is it?", noise(1), noise(2, 31))]
            first = session.chat(**GREEDY)
            second = session.chat("And why?", **GREEDY)
            turns.append([first.text, second.text, first.usage, second.usage, session.n_evaluated])
            assert second.usage.cached_tokens == first.usage.prompt_tokens + first.usage.completion_tokens - 1
    assert turns[0] == turns[1]


def test_a_sound_crosses_once(session: Session, sent: list[Any]) -> None:
    session.messages = [heard("What is it?", noise(1))]
    session.chat(**GREEDY).wait()
    session.chat("And why?", **GREEDY).wait()
    session.chat(messages=[heard("And this?", noise(1), noise(2))], **GREEDY).wait()
    assert [message.medium for message in sent if isinstance(message, Take)] == [noise(1), noise(2)]
    named = [medium for message in sent if isinstance(message, Generate) for medium in message.request.media]
    assert {medium.data for medium in named} == {b""}


def test_what_a_conversation_left_behind_is_forgotten_and_sent_again(session: Session, sent: list[Any]) -> None:
    for message in (heard("a", noise(1)), Message("user", "b"), heard("a", noise(1))):
        session.chat(messages=[message], **GREEDY).wait()
    assert [message.medium for message in sent if isinstance(message, Take)] == [noise(1), noise(1)]


def test_a_new_engine_hears_the_conversation_again(session: Session) -> None:
    session.messages = [heard("What is it?", noise(1))]
    first = session.chat(**GREEDY).text
    pid = engine(session).pid
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: is_gone(pid))
    second = session.chat("And why?", **GREEDY)
    assert second.usage.cached_tokens == 0
    text = second.text
    with Session(session.info.path, n_threads=1, n_ctx=1024) as other:
        other.messages = [heard("What is it?", noise(1))]
        assert [other.chat(**GREEDY).text, other.chat("And why?", **GREEDY).text] == [first, text]


def test_a_projector_that_changed_is_not_loaded_again(tmp_path: Path) -> None:
    model, projector = tiny_model(tmp_path / "a.gguf"), tiny_projector(tmp_path / "mmproj.gguf")
    with Session(model, n_threads=1) as session:
        os.kill(engine(session).pid, signal.SIGKILL)
        tiny_projector(projector, seed=1)
        with pytest.raises(GenerationError, match="has changed"):
            session.chat("Hello")


def test_an_engine_that_cannot_take_a_sound_in_says_so_and_goes_on(session: Session) -> None:
    window = session._chat_window(with_tools=False)
    window._media_tokens[noise(1).sha256] = [-5]
    engine(session)._taken.add(noise(1).sha256)  # which it has not
    with pytest.raises(GenerationError, match="has not got the medium"):
        session.chat(messages=[heard("x", noise(1))], **GREEDY).text  # noqa: B018
    window._media_tokens.clear()
    assert session.chat(messages=[heard("x", noise(2))], **GREEDY).text


def test_an_engine_that_answers_something_else_is_not_believed(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    impostor(monkeypatch, "loaded(); pipe.receive(); pipe.send(Taken([2**31]))")
    with Session(model, n_threads=1) as session, pytest.raises(GenerationError, match="sent what cannot be"):
        engine(session).media_tokens(noise(1))


def test_a_sound_may_take_its_time_to_be_encoded() -> None:
    bare, hearing = GenerateRequest([1, 2, 3]), GenerateRequest([1, -2, 3], media=(noise(1),))
    pace = Pace(0)
    assert Run(hearing, pace).limit_s == Run(bare, pace).limit_s + pace.encode_s
    assert pace.encode_s > 100
    assert Run(hearing, Pace(0, 2.0)).limit_s == 2.0, "what the user has set"


def answer_about(model: Path, isolation: str, question: str, *sounds: Medium, **options: Any) -> tuple[str, int, int]:
    """The answer, the tokens that were not evaluated, and how many chunks were encoded (-1: in another process)."""
    with Session(model, n_threads=1, n_ctx=1024, n_batch=64, isolation=isolation, **options) as session:
        response = session.chat(messages=[heard(question, *sounds)], **GREEDY)
        text, n_cached = response.text, response.usage.cached_tokens
        inside = session._backend._backend if isinstance(session._backend, StoringBackend) else session._backend
        n_encoded = -1 if isinstance(inside, ProcessBackend) else inside._media.n_encoded  # type: ignore[attr-defined]
        return text, n_cached, n_encoded


@pytest.mark.parametrize("isolation", ["none", "process"])
def test_what_was_heard_once_is_not_heard_again_by_the_next_process(isolation: str, model: Path) -> None:
    sounds = [noise(seed) for seed in range(6)]  # 300 tokens: enough to be kept
    first = answer_about(model, isolation, "What is it?", *sounds, keep_states=True)
    assert first[1] == 0
    assert sorted(kept.is_medium for kept in kept_states(states_dir())) == [False] + [True] * 6
    again, n_cached, n_encoded = answer_about(model, isolation, "What is it?", *sounds, keep_states=True)
    assert again == first[0]
    assert n_cached > 6 * 50
    assert n_encoded in (0, -1)
    other, n_cached, n_encoded = answer_about(model, isolation, "What is it?", *sounds[:5], noise(9), keep_states=True)
    assert 5 * 50 < n_cached < 6 * 50
    assert n_encoded in (1, -1)
    assert other == answer_about(model, isolation, "What is it?", *sounds[:5], noise(9))[0]
    turned, n_cached, n_encoded = answer_about(model, isolation, "What is it?", *sounds[::-1], keep_states=True)
    assert n_cached < 50
    assert n_encoded in (0, -1), "what is encoded is kept, in whatever order it comes"
    assert turned == answer_about(model, isolation, "What is it?", *sounds[::-1])[0]


def test_another_projector_is_another_key(tmp_path: Path) -> None:
    model = tiny_model(tmp_path / "a.gguf", n_ctx_train=2048)
    sounds = [noise(seed) for seed in range(6)]
    for seed in (0, 1):
        tiny_projector(tmp_path / "mmproj.gguf", seed=seed)
        assert answer_about(model, "none", "What is it?", *sounds, keep_states=True)[1] == 0
    assert sorted(kept.is_medium for kept in kept_states(states_dir())) == [False] * 2 + [True] * 12
