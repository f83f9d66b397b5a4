"""`edgeai cache`, run as a person runs it."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest

from edgeai.backends.base import GenerateRequest
from edgeai.engine.load import load
from edgeai.installed import add_model
from edgeai.kv_store.room import kept_states, limit_bytes, states_dir
from edgeai.options import LoadOptions, SamplingOptions
from tests.tiny import tiny_model
from tui.cli import main

Capture = pytest.CaptureFixture[str]


def keep(path: Path | str, first_token: int) -> None:
    """Evaluate 100 tokens and keep their state."""
    options = LoadOptions(n_ctx=256, n_threads=1, keep_states=True, isolation="none")
    with closing(load(path, options).backend) as backend:
        tokens = [first_token, *range(10, 110)]
        list(backend.generate(GenerateRequest(tokens, SamplingOptions(max_tokens=1), keep_at=(100,))))


def output(capsys: Capture, *args: str, code: int = 0) -> str:
    assert main(["cache", *args]) == code
    captured = capsys.readouterr()
    return captured.out if code == 0 else captured.err


def test_nothing_yet(capsys: Capture) -> None:
    assert "0 kept" in output(capsys, "list")
    assert json.loads(output(capsys, "list", "--json"))["states"] == []
    assert "0 B removed" in output(capsys, "clear")


def test_what_is_kept_is_listed_and_cleared(tmp_path: Path, capsys: Capture) -> None:
    path = tiny_model(tmp_path / "a.gguf")
    keep(path, 5)
    (state,) = json.loads(output(capsys, "list", "--json"))["states"]
    assert state["n_tokens"] == 100
    assert state["n_bytes"] == next(states_dir().rglob("*.state")).stat().st_size
    text = output(capsys, "list")
    assert "1 kept" in text
    assert state["model"] == "a"  # as its file is called
    assert f"{state['model']} " in text
    assert "removed" in output(capsys, "clear")
    assert not list(states_dir().rglob("*.state"))


def test_a_state_is_listed_by_the_name_that_users_type(tmp_path: Path, capsys: Capture) -> None:
    add_model(tiny_model(tmp_path / "a.gguf"), "my-model")
    keep("my-model", 5)
    assert "my-model " in output(capsys, "list")


def test_a_limit_holds_at_once_and_later(tmp_path: Path, capsys: Capture, caplog: pytest.LogCaptureFixture) -> None:
    path = tiny_model(tmp_path / "a.gguf")
    keep(path, 5)
    keep(path, 6)
    (one, two) = kept_states(states_dir())
    output(capsys, "limit", str(one.n_bytes + two.n_bytes // 2))
    assert [item.name for item in kept_states(states_dir())] == [one.name]
    keep(path, 7)
    assert len(kept_states(states_dir())) == 1
    assert "0 B at most" in output(capsys, "limit", "0")
    keep(path, 8)
    assert not kept_states(states_dir())
    assert not caplog.messages  # nobody is told of what nobody wants
    assert "2.0 GB at most" in output(capsys, "limit", "2GB")
    assert limit_bytes(states_dir()) == 2 * 10**9
    assert "2.0 GB at most" in output(capsys, "limit")


@pytest.mark.parametrize("size", ["much", "-1", "1e9", "GB"])
def test_what_is_no_size_is_refused(size: str, capsys: Capture) -> None:
    assert "such as 2GB" in output(capsys, "limit", "--", size, code=2)
