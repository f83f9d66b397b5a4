"""States that are kept on the disk: they answer as a fresh evaluation does, or they are not used."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from edgeai.backends.base import Backend, Finished, GenerateRequest
from edgeai.engine.load import load
from edgeai.kv_store import room
from edgeai.kv_store.key import state_key
from edgeai.kv_store.room import clear_states, kept_states, states_dir
from edgeai.kv_store.store import StateStore
from edgeai.options import Isolation, LoadOptions, SamplingOptions
from tests.tiny import KINDS, Kind, tiny_model

GREEDY = SamplingOptions(temperature=0, max_tokens=12)
DOCUMENT = [(7 * index) % 150 + 3 for index in range(210)]  # no multiple of a piece
QUESTION, OTHER = list(range(20, 41)), list(range(60, 91))


def opened(path: Path, isolation: Isolation = "none", **options: Any) -> closing[Backend]:
    chosen = {"n_ctx": 512, "n_batch": 64, "n_ubatch": 64, "n_threads": 1, "keep_states": True, **options}
    return closing(load(path, LoadOptions(isolation=isolation, **chosen)).backend)


def answer(backend: Backend, tokens: Sequence[int], *keep_at: int) -> tuple[list[int], int]:
    """The tokens of the answer, and how many of the prompt were not evaluated."""
    *_, last = backend.generate(GenerateRequest(tokens, GREEDY, keep_at=keep_at))
    assert isinstance(last, Finished)
    return list(last.tokens), last.usage.cached_tokens


@pytest.mark.parametrize("isolation", ["none", "process"])
@pytest.mark.parametrize("kind", KINDS)
def test_another_process_answers_as_a_fresh_evaluation_does(kind: Kind, isolation: Isolation, tmp_path: Path) -> None:
    path, n = tiny_model(tmp_path / "a.gguf", kind), len(DOCUMENT)
    with opened(path, isolation) as first:
        fresh = answer(first, DOCUMENT + QUESTION, n)
    assert fresh[1] == 0
    with opened(path, isolation) as second:
        assert answer(second, DOCUMENT + QUESTION, n) == (fresh[0], n)
    with opened(path, isolation, keep_states=False) as bare:
        other = answer(bare, DOCUMENT + OTHER, n)
    with opened(path, isolation) as third:
        assert answer(third, DOCUMENT + OTHER, n) == (other[0], n)
    assert [kept.n_tokens for kept in kept_states(states_dir())] == [n]


def test_a_second_document_pays_for_itself_only(tmp_path: Path) -> None:
    path, n = tiny_model(tmp_path / "a.gguf"), len(DOCUMENT)
    both = DOCUMENT + OTHER * 4
    with opened(path) as backend:
        answer(backend, DOCUMENT + QUESTION, n)
    with opened(path) as backend:
        assert answer(backend, both + QUESTION, n, len(both))[1] == n
    with opened(path) as backend:
        assert answer(backend, both + OTHER, n, len(both))[1] == len(both)
    assert sorted(kept.n_tokens for kept in kept_states(states_dir())) == [n, len(both)]


def test_of_a_document_that_begins_alike_whole_pieces_are_used(tmp_path: Path) -> None:
    path, n = tiny_model(tmp_path / "a.gguf"), len(DOCUMENT)
    changed = [*DOCUMENT[:150], *OTHER, *QUESTION]
    with opened(path) as backend:
        answer(backend, DOCUMENT + QUESTION, n)
    with opened(path, keep_states=False) as bare:
        fresh, _ = answer(bare, changed)
    with opened(path) as backend:
        assert answer(backend, changed) == (fresh, 128)


def test_what_stands_in_the_cache_is_not_loaded_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, n = tiny_model(tmp_path / "a.gguf"), len(DOCUMENT)
    verified: list[str] = []
    monkeypatch.setattr(StateStore, "verify", lambda _store, name: verified.append(name))
    with opened(path) as backend:
        tokens, _ = answer(backend, DOCUMENT + QUESTION, n)
        _, n_cached = answer(backend, [*DOCUMENT, *QUESTION, *tokens, *OTHER], n)
    assert n_cached >= n + len(QUESTION)
    assert not verified


@pytest.mark.parametrize("isolation", ["none", "process"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_conversation_goes_on_where_it_was_left(kind: Kind, isolation: Isolation, tmp_path: Path) -> None:
    path = tiny_model(tmp_path / "a.gguf", kind)
    one, other = DOCUMENT + QUESTION * 3, [token + 1 for token in DOCUMENT] + OTHER * 3
    with opened(path, isolation) as backend:
        first, _ = answer(backend, one)
        answer(backend, other)  # leaves the first
        going_on = answer(backend, [*one, *first, *QUESTION])
    assert going_on[1] >= len(one) + len(first) - 1
    with opened(path, isolation) as backend:  # leaves were kept at the end too
        assert answer(backend, [*one, *first, *QUESTION])[0] == going_on[0]
    assert 2 <= len(kept_states(states_dir())) <= 3


def test_a_longer_conversation_takes_the_place_of_its_beginning(tmp_path: Path) -> None:
    path = tiny_model(tmp_path / "a.gguf", n_ctx_train=1024)
    tokens = DOCUMENT + QUESTION * 3
    lengths: list[int] = []
    for more in ([], OTHER, OTHER * 9):  # so few new tokens are not worth another file; so many are
        with opened(path, n_ctx=1024) as backend:
            new, n_cached = answer(backend, tokens := tokens + more)
            assert n_cached == (lengths[-1] if lengths else 0)
            tokens = tokens + new
        (kept,) = kept_states(states_dir())
        lengths.append(kept.n_tokens)
    assert lengths[0] == lengths[1] < lengths[2] == len(tokens) - 1


@pytest.mark.parametrize(
    "changed",
    [{"n_ctx": 256}, {"n_batch": 32}, {"n_ubatch": 32}, {"type_k": "q8_0"}, {"flash_attn": True}, {"swa_full": True}],
)
def test_other_settings_are_another_key(changed: dict[str, Any], tmp_path: Path) -> None:
    path, n = tiny_model(tmp_path / "a.gguf"), len(DOCUMENT)
    with opened(path) as backend:
        answer(backend, DOCUMENT + QUESTION, n)
    with opened(path, **changed) as backend:
        assert answer(backend, DOCUMENT + QUESTION)[1] == 0


def test_the_models_content_is_the_key_not_its_name(tmp_path: Path) -> None:
    path, n = tiny_model(tmp_path / "a.gguf"), len(DOCUMENT)
    with opened(path) as backend:
        answer(backend, DOCUMENT + QUESTION, n)
    moved = path.rename(tmp_path / "moved.gguf")
    with opened(moved) as backend:
        assert answer(backend, DOCUMENT + QUESTION)[1] == n
    other = tiny_model(path, seed=1)
    with opened(other) as backend:
        assert answer(backend, DOCUMENT + QUESTION)[1] == 0
    os.utime(tiny_model(moved, seed=2))
    with opened(moved) as backend:
        assert answer(backend, DOCUMENT + QUESTION)[1] == 0


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _link(path: Path) -> None:
    copy = path.with_name("copy")
    path.rename(copy)
    path.symlink_to(copy)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "a flipped bit": _flip,
    "cut short": lambda path: os.truncate(path, path.stat().st_size - 1),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"\0"),
    "empty": lambda path: path.write_bytes(b""),
    "gone": lambda path: path.unlink(),
    "a link": _link,
}


@pytest.mark.parametrize("how", DAMAGE)
def test_a_damaged_state_is_dropped_and_evaluated_afresh(how: str, tmp_path: Path) -> None:
    path, n = tiny_model(tmp_path / "a.gguf"), len(DOCUMENT)
    with opened(path) as backend:
        fresh, _ = answer(backend, DOCUMENT + QUESTION, n)
    (state,) = states_dir().rglob("*.state")
    DAMAGE[how](state)
    with opened(path) as backend:
        assert answer(backend, DOCUMENT + QUESTION) == (fresh, 0)
    assert not kept_states(states_dir())


@pytest.mark.parametrize("data", [b"", b"x", b"\x93\xc4", b"\x93\xc4\x00\xa0\x00", b"\xc1" * 99])
def test_what_tells_of_a_state_may_be_garbage(data: bytes, tmp_path: Path) -> None:
    path, n = tiny_model(tmp_path / "a.gguf"), len(DOCUMENT)
    with opened(path) as backend:
        answer(backend, DOCUMENT + QUESTION, n)
    (meta,) = states_dir().rglob("*.meta")
    meta.write_bytes(data)
    (states_dir() / "digests.json").write_bytes(data)
    with opened(path) as backend:
        assert answer(backend, DOCUMENT + QUESTION)[1] == 0


def test_only_the_owner_can_read_them(tmp_path: Path) -> None:
    path, n = tiny_model(tmp_path / "a.gguf"), len(DOCUMENT)
    with opened(path, "process") as backend:
        answer(backend, DOCUMENT + QUESTION, n)
    for item in states_dir().rglob("*"):
        assert stat.S_IMODE(item.stat().st_mode) == (0o700 if item.is_dir() else 0o600), item


def test_those_not_used_for_longest_make_room(tmp_path: Path) -> None:
    path = tiny_model(tmp_path / "a.gguf")
    prompts = [[token + shift for token in DOCUMENT] for shift in range(4)]
    with opened(path) as backend:
        answer(backend, prompts[0] + QUESTION, len(DOCUMENT))
    (first,) = kept_states(states_dir())
    key = state_key([path], LoadOptions(n_batch=64, n_ubatch=64), 512, states_dir())
    assert first.key == key
    store = StateStore(states_dir(), key, limit_bytes=int(2.5 * first.n_bytes))
    data = (store.engine_dir / first.name).read_bytes()
    os.utime(states_dir() / key / f"{first.name}.meta", (1, 1))
    for age, prompt in enumerate(prompts[1:], start=2):
        name = store.new_name()
        (store.engine_dir / name).write_bytes(data)
        assert store.add(name, prompt)
        os.utime(states_dir() / key / f"{name}.meta", (age, age))
    assert [store.has(prompt) for prompt in prompts] == [False, False, True, True]
    assert len(list(store.engine_dir.iterdir())) == 2
    small = StateStore(states_dir(), key, limit_bytes=first.n_bytes - 1)
    (small.engine_dir / "big").write_bytes(data)
    assert not small.add("big", prompts[0])
    assert not (small.engine_dir / "big").exists()
    assert clear_states(states_dir()) == 2 * first.n_bytes
    assert not list(states_dir().rglob("*.state"))


def test_left_overs_are_cleared_away_when_they_are_old(tmp_path: Path) -> None:
    store, other = StateStore(tmp_path, "key", 2**30), StateStore(tmp_path, "other", 2**30)
    (store.engine_dir / "kept.state").write_bytes(b"whole")
    assert store.add("kept.state", [1, 2])
    left = [folder / name for folder in (store.engine_dir, other.engine_dir) for name in ("old.state", "young.state")]
    left += [folder / f".staging-{name}" for folder in (tmp_path / "other", tmp_path) for name in ("old", "young")]
    for path in left:
        path.write_bytes(b"half")
    kept = {store.engine_dir / "kept.state", tmp_path / "key" / "kept.state.meta"}
    for path in {path for path in left if "old" in path.name} | kept:
        os.utime(path, (time.time() - 2 * room._STALE_S,) * 2)
    StateStore(tmp_path, "key", 2**30)
    files = {path for path in tmp_path.rglob("*") if path.is_file()}
    assert files == {path for path in left if "young" in path.name} | kept


@pytest.mark.parametrize("isolation", ["none", "process"])
def test_where_nothing_can_be_written_all_is_evaluated(isolation: Isolation, tmp_path: Path, home: Path) -> None:
    path = tiny_model(tmp_path / "a.gguf")
    (home / "cache").mkdir(parents=True)
    (home / "cache" / "states").write_text("a file where the folder should be")
    with opened(path, isolation) as backend:
        assert answer(backend, DOCUMENT + QUESTION, len(DOCUMENT))[1] == 0


def test_a_state_folder_that_goes_away_meanwhile_is_no_error(tmp_path: Path) -> None:
    path = tiny_model(tmp_path / "a.gguf")
    with opened(path, "process") as backend:
        clear_states(states_dir())
        tokens, _ = answer(backend, DOCUMENT + QUESTION, len(DOCUMENT))
    assert tokens
    assert not kept_states(states_dir())


KEEP = """
import sys
from pathlib import Path
from edgeai.backends.base import GenerateRequest
from edgeai.engine.load import load
from edgeai.options import LoadOptions, SamplingOptions
options = LoadOptions(n_ctx=512, n_batch=64, n_ubatch=64, n_threads=1, keep_states=True, isolation=sys.argv[2])
backend = load(Path(sys.argv[1]), options).backend
print("ready", flush=True)
tokens = [(7 * index) % 150 + 3 for index in range(210)]
for shift in range(10000):
    prompt = [token + shift % 90 for token in tokens[: 100 + shift % 90]]
    list(backend.generate(GenerateRequest(prompt, SamplingOptions(max_tokens=1), keep_at=(len(prompt) - 1,))))
"""


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize("isolation", ["none", "process"])
def test_a_kill_at_any_moment_leaves_nothing_that_could_be_loaded(isolation: Isolation, tmp_path: Path) -> None:
    path = tiny_model(tmp_path / "a.gguf")
    for round_ in range(6):
        child = subprocess.Popen(
            [sys.executable, "-c", KEEP, str(path), isolation], stdout=subprocess.PIPE, env={**os.environ}
        )
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        time.sleep(0.02 + 0.06 * round_)
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
    kept = kept_states(states_dir())
    assert kept
    for item in kept:  # whatever counts is whole
        assert StateStore(states_dir(), item.key, 2**40).verify(item.name)


def test_the_newest_state_is_verified_ahead(tmp_path: Path) -> None:
    store = StateStore(tmp_path, "key", 10**9)
    for index, name in enumerate(("old", "new")):
        (store.engine_dir / name).write_bytes(name.encode() * 1000)
        assert store.add(name, range(index + 64))
        os.utime(tmp_path / "key" / f"{name}.meta", (index, index))
    (store.engine_dir / "new").write_bytes(b"wen" * 1000)
    again = StateStore(tmp_path, "key", 10**9)
    again.verify_ahead()
    for thread in threading.enumerate():
        if thread.name == "edgeai-verify":
            thread.join()
    assert [path.stem for path in (tmp_path / "key").glob("*.meta")] == ["old"]
    assert again.verify("old")
    assert not again.verify("new")
