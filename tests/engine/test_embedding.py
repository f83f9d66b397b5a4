"""The engine of embeddings: batches, its process's end at any moment, impostors in its place, memory."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeai.engine import embed_limits, embedding
from edgeai.engine.embedding import EmbeddingEngine
from edgeai.engine.link import Link
from edgeai.errors import (
    EngineCrashedError,
    GenerationError,
    ModelFormatError,
    ModelTooLargeError,
    SessionClosedError,
)
from tests.documents.embedding_models import TEXTS, embedding_model, expected
from tests.engine.children import is_gone, wait_for

IMPOSTOR = """
import sys
sys.path[:] = sys.argv[2:]
from edgeai.engine.embed_wire import *
from edgeai.engine.wire import *
from edgeai.sandbox import Report
pipe = Pipe(Union[Open, Embed], sys.stdin.buffer, sys.stdout.buffer)
def opened(): pipe.receive(); pipe.send(Opened(2, Report())); pipe.receive()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return embedding_model(tmp_path / "bert.gguf", "bert")


@pytest.fixture
def engine(path: Path) -> Iterator[EmbeddingEngine]:
    opened = EmbeddingEngine(path, n_threads=1)
    yield opened
    opened.close()


def worst_cosine(engine: EmbeddingEngine) -> float:
    """Between its vectors of the oracle's texts and the oracle's."""
    vectors = np.frombuffer(engine.embed(TEXTS), np.float32).reshape(len(TEXTS), -1)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return float((unit * expected("bert")).sum(axis=1).min())


@pytest.mark.parametrize("n_batch", [1, 20, 512])
def test_batches_of_any_size_give_the_same(path: Path, n_batch: int) -> None:
    engine = EmbeddingEngine(path, n_batch=n_batch)
    assert worst_cosine(engine) > 0.9995
    engine.close()
    engine.close()
    assert is_gone(engine.pid)
    with pytest.raises(SessionClosedError, match=r"bert\.gguf: the embedding model is closed"):
        engine.embed(["a"])


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is no such sandbox")
def test_it_works_in_the_sandbox(engine: EmbeddingEngine) -> None:
    assert engine.sandbox.n_system_calls > 0
    assert engine.plan.policy.readable == (str(engine.path.resolve()),)


def test_a_killed_process_is_replaced(engine: EmbeddingEngine) -> None:
    pid = engine.pid
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: is_gone(pid))
    assert worst_cosine(engine) > 0.9995
    assert engine.pid != pid


def test_a_process_killed_at_work_is_an_error_and_the_next_call_goes_on(
    engine: EmbeddingEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    receive = Link.receive

    def killed(link: Link[Any], limit_s: float, doing: str) -> Any:
        os.kill(link.process.pid, signal.SIGKILL)
        monkeypatch.undo()
        return receive(link, limit_s, doing)

    os.kill(engine.pid, signal.SIGSTOP)  # so that it has answered nothing when it is killed
    monkeypatch.setattr(Link, "receive", killed)
    with pytest.raises(EngineCrashedError, match=r"SIGKILL.*while it was embedding 10 texts with .*bert\.gguf"):
        engine.embed(TEXTS)
    assert worst_cosine(engine) > 0.9995


def test_what_an_interrupted_call_left_answers_no_other(
    engine: EmbeddingEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    receive = Link.receive

    def interrupted(link: Link[Any], limit_s: float, doing: str) -> Any:
        receive(link, limit_s, doing)
        monkeypatch.undo()
        raise KeyboardInterrupt

    monkeypatch.setattr(Link, "receive", interrupted)
    with pytest.raises(KeyboardInterrupt):
        engine.embed(TEXTS * 20)
    assert worst_cosine(engine) > 0.9995


def test_no_other_file_takes_its_place(engine: EmbeddingEngine, tmp_path: Path) -> None:
    os.kill(engine.pid, signal.SIGKILL)
    wait_for(lambda: is_gone(engine.pid))
    shutil.copy(embedding_model(tmp_path / "other.gguf", "qwen3"), engine.path)
    with pytest.raises(GenerationError, match=r"bert\.gguf has changed since it was loaded: open it again"):
        engine.embed(["a"])


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("pipe.receive(); pipe.send(Opened(0, Report()))", "Opened that no model gives"),
        ("pipe.receive(); pipe.send(Embedded(b'', 1, 1))", "Embedded that no model gives"),
        ("pipe.receive(); [pipe.send(Loading(0.5)) for _ in range(2000)]", "1,000 messages about loading"),
        ("opened(); pipe.send(Embedded(bytes(8), 3, 1))", "8 bytes for 3 of 2 texts"),
        ("opened(); pipe.send(Embedded(bytes(8), 0, 1))", "8 bytes for 0 of 2 texts"),
        ("opened(); pipe.send(Embedded(bytes(9), 1, 1))", "9 bytes for 1 of 2 texts"),
        ("opened(); pipe.send(Embedded(bytes(8), 1, 10**6))", "1,000,000 tokens"),
        ("opened(); pipe.send(Loading(0.5))", "Loading came instead of vectors"),
        ("opened(); sys.stdout.buffer.write(b'\\x04\\0\\0\\0abcd'); sys.stdout.buffer.flush()", "sent what cannot be"),
    ],
)
def test_an_engine_that_was_taken_over_is_ended(
    path: Path, monkeypatch: pytest.MonkeyPatch, code: str, words: str
) -> None:
    monkeypatch.setattr(embedding, "_START", IMPOSTOR + code + "\npipe.receive()")
    with pytest.raises(EngineCrashedError, match=words):
        EmbeddingEngine(path).embed(["a", "b"])


def test_an_engine_that_hangs_is_ended(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding, "_START", IMPOSTOR + "opened()\nwhile True: pass")
    engine = EmbeddingEngine(path, watchdog_s=0.5)
    with pytest.raises(EngineCrashedError, match=r"made no progress for 0\.5 s and was ended while it was embedding"):
        engine.embed(["a"])
    assert is_gone(engine.pid)


def test_its_errors_are_of_its_own_kinds(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding, "_START", IMPOSTOR + "opened(); pipe.send(Failed('HistoryError', 'a\\nb'))")
    engine = EmbeddingEngine(path)
    with pytest.raises(GenerationError, match="a b"):
        engine.embed(["a"])
    engine.close()


def test_a_model_that_crashes_twice_while_it_is_loaded_is_not_tried_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedding, "_START", "import os; os.abort()")
    for _ in range(2):
        with pytest.raises(EngineCrashedError, match="while it was loading the model"):
            EmbeddingEngine(path)
    with pytest.raises(ModelFormatError, match="loading it ended the engine 2 times"):
        EmbeddingEngine(path)


def test_what_does_not_fit_is_refused_before_it_is_loaded(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embed_limits, "available_memory_bytes", lambda: 50 * 2**20)
    with pytest.raises(ModelTooLargeError, match=r"needs \d+ MiB of memory .* and 50 MiB is free"):
        EmbeddingEngine(path)


def test_long_lists_go_in_several_requests(engine: EmbeddingEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[int] = []
    send = Link.send

    def counted(link: Link[Any], request: Any, doing: str) -> None:
        sent.append(sum(map(len, request.texts)))
        send(link, request, doing)

    monkeypatch.setattr(Link, "send", counted)
    monkeypatch.setattr(embedding, "_MOST_BYTES", 1000)
    assert worst_cosine(engine) > 0.9995
    assert len(engine.embed(["x" * 10**7])) == 4 * engine.dimension
    assert len(sent) > 1
    assert max(sent) <= 32 * engine.n_ctx
