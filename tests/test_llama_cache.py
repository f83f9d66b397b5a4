"""What stands in the KV cache and is reused answers as a fresh evaluation in the same pieces does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from benchmarks.bare import Bare
from edgeai.backends.base import Finished, GenerateRequest, PrefillProgress
from edgeai.backends.llama import LlamaBackend
from edgeai.options import KV_TYPES, LoadOptions, SamplingOptions
from tests.tiny import KINDS, RECURRENT, SLIDING, Kind, tiny_model

N_BATCH = 64
GREEDY = SamplingOptions(temperature=0, max_tokens=12)


class Recorder:
    """A backend that notes in which pieces its cache was filled."""

    def __init__(self, path: Path, **options: bool) -> None:
        load = LoadOptions(n_batch=N_BATCH, n_ubatch=N_BATCH, n_threads=1, **options)  # type: ignore[arg-type]
        self.backend = LlamaBackend(path, load, n_ctx=512, max_threads=1)
        self.pieces: list[list[int]] = []
        self.n_cached = 0
        evaluate = self.backend._cache.evaluate

        def noted(tokens: Sequence[int]) -> bool:
            self.pieces.append(list(tokens))
            return evaluate(tokens)

        self.backend._cache.evaluate = noted  # type: ignore[method-assign]

    def answer(self, prompt: Sequence[int], checkpoint_at: tuple[int, ...] = ()) -> list[int]:
        """Generate; afterwards `pieces` holds those of the whole prompt, kept ones cut to what was kept."""
        before = self.pieces
        self.pieces = []
        request = GenerateRequest(prompt, GREEDY, checkpoint_at=checkpoint_at)
        events = list(self.backend.generate(request))
        assert isinstance(events[0], PrefillProgress)
        self.n_cached = events[0].n_cached
        kept, room = [], self.n_cached
        for piece in before:
            if room > 0:
                kept.append(piece[:room])
                room -= len(piece)
        n_answer = len(self.pieces) - [sum(map(len, self.pieces[:i])) for i in range(len(self.pieces) + 1)].index(
            len(prompt) - self.n_cached
        )
        self.prompt_pieces = kept + self.pieces[: len(self.pieces) - n_answer]
        self.pieces = kept + self.pieces
        finished = events[-1]
        assert isinstance(finished, Finished)
        return list(finished.tokens)


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> dict[Kind, Path]:
    folder = tmp_path_factory.mktemp("tiny")
    return {kind: tiny_model(folder / f"{kind}.gguf", kind) for kind in KINDS}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def recorder(paths: dict[Kind, Path], kind: Kind) -> Iterator[Recorder]:
    recorder = Recorder(paths[kind])
    yield recorder
    recorder.backend.close()


@pytest.fixture
def bare(paths: dict[Kind, Path], kind: Kind) -> Iterator[Bare]:
    bare = Bare(paths[kind], n_ctx=512, n_batch=N_BATCH, n_ubatch=N_BATCH)
    yield bare
    bare.close()


PROMPT = [7 + (i * 37) % 200 for i in range(400)]  # a sliding window's cells are reused after 256 tokens


def test_a_growing_conversation_evaluates_only_its_new_tokens(recorder: Recorder, bare: Bare) -> None:
    first = recorder.answer(PROMPT)
    assert first == bare.greedy(recorder.prompt_pieces, 12)
    longer = [*PROMPT, *first, 11, 12, 13, 14]
    second = recorder.answer(longer)
    assert recorder.n_cached == len(PROMPT) + 11, "all but the answer's last token, which was never evaluated"
    assert second == bare.greedy(recorder.prompt_pieces, 12)


def test_regenerating_evaluates_one_token(recorder: Recorder, bare: Bare) -> None:
    first = recorder.answer(PROMPT)
    again = recorder.answer(PROMPT)
    assert recorder.n_cached == len(PROMPT) - 1
    assert again == bare.greedy(recorder.prompt_pieces, 12)
    assert again == first


@pytest.mark.parametrize("n_same", [3, 40, 150, 300, 395])
def test_an_edited_prompt_answers_as_a_fresh_one(recorder: Recorder, bare: Bare, kind: Kind, n_same: int) -> None:
    recorder.answer(PROMPT)
    edited = [*PROMPT[:n_same], *(9 + i for i in range(30))]
    answer = recorder.answer(edited)
    assert answer == bare.greedy(recorder.prompt_pieces, 12)
    if kind not in (*SLIDING, *RECURRENT):
        assert recorder.n_cached == n_same
    else:
        assert recorder.n_cached <= n_same


def test_a_boundary_that_comes_again_is_reused(recorder: Recorder, bare: Bare, kind: Kind) -> None:
    """The system prompt's end, in a conversation that was started anew."""
    recorder.answer(PROMPT, checkpoint_at=(100,))
    anew = [*PROMPT[:100], *(9 + i for i in range(30))]
    answer = recorder.answer(anew, checkpoint_at=(100,))
    assert recorder.n_cached == 100
    assert answer == bare.greedy(recorder.prompt_pieces, 12)


def test_the_last_prompt_of_each_turn_is_a_boundary(recorder: Recorder, bare: Bare, kind: Kind) -> None:
    """Editing the second turn of three goes back to the first turn's prompt, or further forward."""
    first = recorder.answer(PROMPT)
    second_prompt = [*PROMPT, *first, *range(11, 40)]
    second = recorder.answer(second_prompt)
    recorder.answer([*second_prompt, *second, *range(51, 70)])
    edited = [*PROMPT, *first, *range(80, 110)]
    answer = recorder.answer(edited)
    assert recorder.n_cached >= len(PROMPT) - 1
    assert answer == bare.greedy(recorder.prompt_pieces, 12)


def test_a_sliding_window_kept_whole_can_be_cut_anywhere(paths: dict[Kind, Path]) -> None:
    for kind in SLIDING:
        recorder = Recorder(paths[kind], swa_full=True)
        recorder.answer(PROMPT)
        recorder.answer([*PROMPT[:40], *range(9, 40)])
        assert recorder.n_cached == 40
        recorder.backend.close()


def test_cancelling_leaves_the_cache_true(recorder: Recorder, bare: Bare) -> None:
    events = recorder.backend.generate(GenerateRequest(PROMPT, SamplingOptions(temperature=0)))
    for event in events:
        if isinstance(event, PrefillProgress) and event.n_done >= N_BATCH:
            recorder.backend.cancel()
    assert isinstance(event, Finished)
    assert event.reason == "cancelled"
    assert recorder.backend.n_evaluated == N_BATCH
    recorder.pieces = [PROMPT[:N_BATCH]]
    assert recorder.answer(PROMPT) == bare.greedy(recorder.prompt_pieces, 12)


def test_checkpoints_are_bounded(recorder: Recorder) -> None:
    for turn in range(1, 12):
        recorder.answer(PROMPT[: turn * 30], checkpoint_at=(5,))
    assert len(recorder.backend._cache._checkpoints) <= 8


@pytest.mark.parametrize("n_ctx", [1, 8, 200])
def test_a_window_shorter_than_a_piece_is_evaluated_in_shorter_pieces(paths: dict[Kind, Path], n_ctx: int) -> None:
    backend = LlamaBackend(paths["llama"], LoadOptions(n_threads=1), n_ctx=n_ctx, max_threads=1)
    events = list(backend.generate(GenerateRequest(PROMPT[:220], GREEDY)))
    backend.close()
    assert isinstance(events[-1], Finished), "llama.cpp aborts the process over a piece larger than its batch"


@pytest.mark.parametrize("kv_type", KV_TYPES)
def test_every_kv_type_can_be_had(paths: dict[Kind, Path], kv_type: str) -> None:
    options = LoadOptions(n_threads=1, type_k=kv_type, type_v=kv_type)
    backend = LlamaBackend(paths["llama"], options, n_ctx=256, max_threads=1)
    events = list(backend.generate(GenerateRequest(PROMPT[:20], GREEDY)))
    backend.close()
    assert isinstance(events[-1], Finished)
