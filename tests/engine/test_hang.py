"""A real endless loop inside one operator of llama.cpp: what the official converter makes of PLaMo 2.

Its layer 0 has no attention heads, so the rotary width comes out as 0 and the rope kernel never ends. Our header check
refuses such files; here it looks away, so that the file reaches the engine.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from gguf import GGUFWriter

from edgeai import EngineCrashedError, ModelFormatError, Session, gguf_header
from tests.engine.children import engine, is_gone
from tests.tiny import N_HEAD, N_LAYER, is_recurrent_layer, tiny_model


@pytest.fixture
def endless(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    heads = [0 if is_recurrent_layer("plamo2", layer) else N_HEAD for layer in range(N_LAYER)]
    with monkeypatch.context() as patch:
        plain = GGUFWriter.add_head_count
        patch.setattr(GGUFWriter, "add_head_count", lambda writer, _count: plain(writer, heads))
        path = tiny_model(tmp_path / "endless.gguf", "plamo2")
    with pytest.raises(ModelFormatError, match="head_count"):
        Session(path)
    monkeypatch.setattr(gguf_header, "check_model", lambda header, reader: None)
    return path


def test_it_becomes_an_error(endless: Path) -> None:
    with Session(endless, n_threads=1, watchdog_s=1.0) as session:
        response = session.chat("Hello", max_tokens=3)
        with pytest.raises(EngineCrashedError, match=r"made no progress for 1 s and was ended while it was reading"):
            response.text  # noqa: B018
        assert is_gone(engine(session).pid)


def test_it_can_be_cancelled(endless: Path) -> None:
    with Session(endless, n_threads=1) as session:
        pid = engine(session).pid
        response = session.chat("Hello", max_tokens=3)
        time.sleep(0.3)
        response.cancel()
        assert response.wait(10)
        assert response.finish_reason == "cancelled"
        assert is_gone(pid)
        assert session.count_tokens("still of use") > 0
