"""What a kept state is said to be of is what stands in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeai.backends.base import GenerateRequest, Piece
from edgeai.kv_store.backend import StoringBackend
from edgeai.kv_store.room import kept_states, states_dir
from edgeai.kv_store.store import StateStore
from tests.fakes import FakeBackend
from tests.test_kv_store import DOCUMENT, GREEDY, OTHER, QUESTION, answer, opened
from tests.tiny import KINDS, Kind, tiny_model


@pytest.mark.parametrize("kind", KINDS)
def test_an_answer_that_nobody_waited_for_leaves_no_state_of_another_name(kind: Kind, tmp_path: Path) -> None:
    path = tiny_model(tmp_path / "a.gguf", kind, n_ctx_train=2048)
    one, other = DOCUMENT * 2, [token + 1 for token in DOCUMENT] * 2
    with opened(path, n_ctx=2048) as backend:
        answer(backend, one)
        abandoned = backend.generate(GenerateRequest(one + OTHER * 12, GREEDY))
        while not isinstance(next(abandoned), Piece):
            pass
        del abandoned  # its caller goes away
        new, _ = answer(backend, other)
    assert [kept.n_tokens for kept in kept_states(states_dir())] == [len(other) + len(new) - 1]
    with opened(path, n_ctx=2048, keep_states=False) as bare:
        fresh, _ = answer(bare, one + QUESTION)
    with opened(path, n_ctx=2048) as backend:
        assert answer(backend, one + QUESTION)[0] == fresh


def test_a_state_of_another_length_than_was_seen_is_dropped(tmp_path: Path) -> None:
    class Longer(FakeBackend):
        """Saves more than can be known from here."""

        def save_state(self, name: str) -> int:
            (store.engine_dir / name).write_bytes(b"state")
            saved.append(name)
            return self.n_evaluated + 1

    saved: list[str] = []
    store = StateStore(tmp_path, "key", 2**30)
    backend = StoringBackend(Longer(), store, "a")
    answer(backend, DOCUMENT * 2)
    backend.close()
    assert len(saved) == 1
    assert kept_states(tmp_path) == []
    assert list(store.engine_dir.iterdir()) == []
