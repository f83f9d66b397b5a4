"""Scores on ONNX folders, against plain ONNX Runtime that evaluates each text whole, from nothing."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto

from edgeai import GenerationError, Session
from edgeai.backends.base import Scored, ScoreItem, ScoreRequest
from edgeai.evaluation.run import Run
from edgeai.evaluation.tasks import make_plan
from edgeai.model_files import model_digest
from tests.classify.test_scoring import N_PLAIN, made_up, scores
from tests.evaluation import files
from tests.tiny import HEAD_DIM, N_HEAD_KV, N_LAYER, tiny_model
from tests.tiny_onnx import oracle_logits, tiny_graph, tiny_onnx, write_folder

N_BATCH = 32


class Naive:
    """A graph that gives all logits, in a session of its own."""

    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(tiny_graph(last_only=False).SerializeToString(), options)
        nothing = np.zeros((1, N_HEAD_KV, 0, HEAD_DIM), np.float32)
        self._past = {
            f"past_key_values.{layer}.{kind}": nothing for layer in range(N_LAYER) for kind in ("key", "value")
        }

    def score(self, prefix: Sequence[int], item: ScoreItem) -> tuple[list[float], list[bool]]:
        log_probs, greedy = list[float](), list[bool]()
        for number, continuation in enumerate(item.continuations):
            tokens = np.array([[*prefix, *item.tokens, *continuation]], np.int64)
            inputs = {"input_ids": tokens, "attention_mask": np.ones_like(tokens), **self._past}
            logits = self._session.run(["logits"], inputs)[0][0].astype(np.float64)
            shares = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
            first = tokens.shape[1] - len(continuation) + (item.n_given[number] if item.n_given else 0)
            places = range(first, tokens.shape[1])
            log_probs.append(float(sum(shares[at - 1, tokens[0, at]] for at in places)))
            greedy.append(all(int(logits[at - 1].argmax()) == tokens[0, at] for at in places))
        return log_probs, greedy


@pytest.fixture(scope="module")
def naive() -> Naive:
    return Naive()


@pytest.fixture(scope="module", params=["ours", "last", "all"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A graph like ours, which gives more than the last logits when asked; one that cannot; one that gives all."""
    graph = tiny_graph(last_only=request.param != "all")
    if request.param == "last":
        for node in graph.graph.node:
            node.name = node.name.replace("last_position", "cut")
    return write_folder(tmp_path_factory.mktemp("tiny") / "tiny", graph)


@pytest.fixture(scope="module")
def session(folder: Path) -> Iterator[Session]:
    with Session(folder, n_threads=1, n_batch=N_BATCH, isolation="none") as session:
        yield session


def assert_same(naive: Naive, found: Sequence[Scored], prefix: Sequence[int], items: Sequence[ScoreItem]) -> None:
    for scored, item in zip(found, items, strict=True):
        log_probs, greedy = naive.score(prefix, item)
        assert scored.log_probs == pytest.approx(log_probs, abs=1e-4 * max(map(len, item.continuations)))
        assert list(scored.greedy) == greedy


def test_the_stand_in_is_the_oracle(naive: Naive) -> None:
    logits = oracle_logits([5, 9, 40])
    (log_prob,), _ = naive.score([5, 9], ScoreItem([40], [[7]]))
    assert log_prob == pytest.approx(logits[7] - np.log(np.exp(logits).sum()), abs=1e-4)


@pytest.mark.parametrize("seed", range(2))
def test_scores_are_those_of_whole_texts(session: Session, naive: Naive, seed: int) -> None:
    prefix, items = made_up(seed)
    assert_same(naive, scores(session, prefix, items), prefix, items)


def test_neither_order_nor_neighbours_change_a_bit(session: Session) -> None:
    prefix, items = made_up(5)
    wanted = scores(session, prefix, items)
    order = random.Random(1).sample(range(len(items)), len(items))
    assert scores(session, prefix, [items[at] for at in order]) == [
        Scored(number, wanted[at].log_probs, wanted[at].greedy) for number, at in enumerate(order)
    ]
    scores(session, made_up(6, n_prefix=45)[0], items[:2])
    scores(session, [*prefix[:40], *prefix[:9]], items[:2])
    assert scores(session, prefix, items[:1]) == wanted[:1]


@pytest.mark.parametrize("n_batch", [1, 512])
def test_pieces_of_any_size_come_to_the_same(folder: Path, naive: Naive, n_batch: int) -> None:
    prefix, items = made_up(7, n_items=4)
    with Session(folder, n_threads=1, n_batch=n_batch, isolation="none") as session:
        assert_same(naive, scores(session, prefix, items), prefix, items)


def test_what_is_given_what_is_greedy_and_items_without_tokens(session: Session, naive: Naive) -> None:
    prefix, (item, *_) = made_up(4, n_items=1)
    given = ScoreItem(item.tokens, item.continuations, [max(0, len(each) - 2) for each in item.continuations])
    tokens = [*prefix, *item.tokens]
    written = [int(oracle_logits(tokens).argmax())]
    written.append(int(oracle_logits([*tokens, *written]).argmax()))
    greedy = ScoreItem(item.tokens, [written, [written[0], (written[1] + 1) % N_PLAIN]])
    bare = ScoreItem([], [[1], [2, 3]])
    items = [given, greedy, bare]
    found = scores(session, prefix, items)
    assert_same(naive, found, prefix, items)
    assert found[1].greedy == (True, False)
    assert_same(naive, scores(session, [], items[:1]), [], items[:1])


def test_long_items_full_windows_and_items_that_do_not_fit(session: Session, naive: Naive) -> None:
    prefix, (item, *_) = made_up(9, n_prefix=400, n_items=1)
    tokens = [3] * (512 - 400 - 5)
    full = ScoreItem(tokens, item.continuations)
    many = ScoreItem([1, 2, 3], [[number // 16, number % 16, 7, number % 5] for number in range(60)])
    assert_same(naive, scores(session, prefix, [full, many]), prefix, [full, many])
    for wrong in (ScoreItem([*tokens, 3], item.continuations), ScoreItem([1], []), ScoreItem([N_PLAIN + 3], [[1]])):
        with pytest.raises(GenerationError):
            scores(session, prefix, [wrong])
    assert scores(session, prefix, [item])[0].log_probs[0] < 0


def test_the_conversation_is_left_alone(session: Session) -> None:
    prefix, items = made_up(10, n_items=3)
    told = []
    for is_scored in (False, True):
        session.reset()
        for text in ("Hello", "More"):
            if is_scored:
                scores(session, prefix, items)
            response = session.chat(text, temperature=0, max_tokens=5)
            told.append((response.text, response.usage.prompt_tokens))
    assert told[:2] == told[2:]
    assert response.usage.cached_tokens > 10


def test_half_floats_are_scored(tmp_path: Path, naive: Naive) -> None:
    prefix, items = made_up(11, n_items=2)
    folder = tiny_onnx(tmp_path / "tiny", kind=TensorProto.FLOAT16)
    with Session(folder, n_threads=1, isolation="none") as session:
        for scored, item in zip(scores(session, prefix, items), items, strict=True):
            assert scored.log_probs == pytest.approx(naive.score(prefix, item)[0], abs=0.5)


def test_a_scoring_that_ends_early_leaves_the_next_right(folder: Path, naive: Naive) -> None:
    """In a process of its own, cancelled between items and given up by its caller, in the prefix and among items."""
    prefix, items = made_up(12, n_items=3)
    with Session(folder, n_threads=1, n_batch=N_BATCH) as session:
        backend: Any = session._backend
        for n_events in (2, 9):
            events = backend.score(ScoreRequest(prefix, items))
            for _ in range(n_events):
                next(events)
            events.close()
            assert_same(naive, scores(session, prefix, items), prefix, items)
        found: dict[int, Scored] = {}
        with pytest.raises(GenerationError, match="cancelled"):
            session.scoring.score(prefix, items * 100, found, backend.cancel)
        assert 0 < len(found) < 300
        assert_same(naive, scores(session, prefix, items), prefix, items)


def test_texts_are_classified_as_on_the_gguf_file(session: Session, tmp_path: Path) -> None:
    texts, labels = ["One two three.", "日本語", "x" * 40], ["positive", "negative", "neither of both"]
    found = session.classify(texts, labels, instructions="Sort these.")
    with Session(tiny_model(tmp_path / "tiny.gguf"), n_threads=1, type_k="f32", type_v="f32") as other:
        wanted = other.classify(texts, labels, instructions="Sort these.")
    for one, theirs in zip(found, wanted, strict=True):
        assert one.label == theirs.label
        assert one.log_probs == pytest.approx(theirs.log_probs, abs=2e-3)


def test_questions_are_answered_as_on_the_gguf_file(session: Session, tmp_path: Path) -> None:
    plan, runs = make_plan("mmlu", files.mmlu(tmp_path / "data"), few_shot=1), []
    with Session(tiny_model(tmp_path / "tiny.gguf"), n_threads=1, type_k="f32", type_v="f32") as other:
        for each in (session, other):
            with Run(each, plan, {}) as run:
                runs.append(run.go(lambda _: None))
    for ours, theirs in zip(*(run.subjects for run in runs), strict=True):
        assert len(ours.outcomes) == len(theirs.outcomes) > 0
        for one, other_one in zip(ours.outcomes, theirs.outcomes, strict=True):
            assert one.log_probs == pytest.approx(other_one.log_probs, abs=2e-3)
    assert runs[0].library.startswith("onnxruntime ")
    assert runs[0].sha256 != runs[1].sha256


def test_a_run_tells_changed_weights_beside_a_graph(tmp_path: Path) -> None:
    folder = tiny_onnx(tmp_path / "tiny")
    before = model_digest(folder / "model.onnx")
    with (folder / "model.onnx.data").open("r+b") as file:
        file.write(b"\1\2")
    assert model_digest(folder / "model.onnx") not in ("", before)
