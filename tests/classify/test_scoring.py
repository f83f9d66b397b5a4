"""Scores of continuations, against a plain context that knows nothing of batches, tries and shared prefixes."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from edgeai import GenerationError, Session
from edgeai.backends import llama_scorer
from edgeai.backends.base import Scored, ScoreItem, ScoreRequest
from tests.classify.naive import NaiveScorer
from tests.families import FAMILIES, family_model
from tests.tiny import KINDS, Kind, tiny_model, vocabulary

TOLERANCE: dict[str, float] = {"gemma3": 1e-2}
"""Else 1e-3. ggml looks Gemma's GELU up in a table of half precision: what differs in the last bit is rounded apart."""
N_PLAIN = len(vocabulary()) - 3


def scores(session: Session, prefix: Sequence[int], items: Sequence[ScoreItem]) -> list[Scored]:
    found: dict[int, Scored] = {}
    session.scoring.score(prefix, items, found)
    return [found[index] for index in range(len(items))]


def made_up(seed: int, n_prefix: int = 70, n_items: int = 12) -> tuple[list[int], list[ScoreItem]]:
    """Items of all lengths, with continuations that begin alike, are one token, or begin each other."""
    rng = random.Random(seed)

    def some(n: int) -> list[int]:
        return [rng.randrange(N_PLAIN) for _ in range(n)]

    items = []
    for _ in range(n_items):
        stem = some(2)
        continuations = [[*stem, 5], [*stem, 6], stem, [*stem, 5, 7, 9], some(1), some(4), [stem[0], 8]]
        rng.shuffle(continuations)
        items.append(ScoreItem(some(rng.choice((1, 2, 5, 17, 40))), continuations))
    return some(n_prefix), items


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    found: Kind = request.param
    return found


@pytest.fixture(scope="module")
def model(kind: Kind, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("tiny") / f"{kind}.gguf", kind)


@pytest.fixture(scope="module")
def session(model: Path) -> Iterator[Session]:
    with Session(model, n_threads=1, type_k="f32", type_v="f32") as session:
        yield session


@pytest.fixture
def inside(kind: Kind, tmp_path: Path) -> Iterator[Session]:
    """In this process, with caches of half precision, where rounding errors grow, and windows as wide as a filler."""
    with Session(tiny_model(tmp_path / "m.gguf", kind, n_swa=80), n_threads=1, isolation="none") as session:
        yield session


def assert_same(kind: Kind, found: Sequence[Scored], wanted: Sequence[tuple[list[float], list[bool]]]) -> None:
    for scored, (log_probs, greedy) in zip(found, wanted, strict=True):
        assert scored.log_probs == pytest.approx(log_probs, abs=TOLERANCE.get(kind, 1e-3))
        assert list(scored.greedy) == greedy


def assert_equal(found: Sequence[Scored], wanted: Sequence[Scored]) -> None:
    """To the last bit of a float, but for the one product that makes logits, which has other kernels for one row."""
    for one, other in zip(found, wanted, strict=True):
        assert one.log_probs == pytest.approx(other.log_probs, rel=1e-6)
        assert one.greedy == other.greedy


def test_scores_are_those_of_one_by_one_evaluation(session: Session, model: Path, kind: Kind) -> None:
    naive = NaiveScorer(model)
    for seed in range(2):
        prefix, items = made_up(seed)
        assert_same(kind, scores(session, prefix, items), [naive.score(prefix, item) for item in items])
    naive.close()


def test_what_greedy_decoding_writes_is_called_greedy(session: Session, model: Path, kind: Kind) -> None:
    prefix, items = made_up(3, n_items=1)
    naive = NaiveScorer(model)
    written = naive._bare.greedy([[*prefix, *items[0].tokens]], 4)
    naive.close()
    item = ScoreItem(items[0].tokens, [written, [*written[:-1], (written[-1] + 1) % N_PLAIN]])
    assert scores(session, prefix, [item])[0].greedy == (True, False)


def test_tokens_that_are_given_count_nothing(session: Session, model: Path, kind: Kind) -> None:
    prefix, (item, *_) = made_up(4, n_items=1)
    n_given = [max(0, len(continuation) - 2) for continuation in item.continuations]
    item = ScoreItem(item.tokens, item.continuations, n_given)
    naive = NaiveScorer(model)
    assert_same(kind, scores(session, prefix, [item]), [naive.score(prefix, item)])
    naive.close()


def test_neither_order_nor_neighbours_nor_batches_change_a_bit(
    inside: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefix, items = made_up(5, n_items=24)
    wanted = scores(inside, prefix, items)
    order = random.Random(1).sample(range(24), 24)
    assert_equal(scores(inside, prefix, [items[index] for index in order]), [wanted[index] for index in order])
    assert_equal([scores(inside, prefix, [item])[0] for item in items[:6]], wanted[:6])
    other_prefix, _ = made_up(6, n_prefix=33)
    scores(inside, other_prefix, items[:2])
    inside._backend._scorer.close()  # type: ignore[attr-defined]
    inside._backend._scorer = None  # type: ignore[attr-defined]
    monkeypatch.setattr(llama_scorer, "N_BATCH", 64)
    assert_equal(scores(inside, prefix, items), wanted)


def test_items_longer_than_a_batch_and_hundreds_of_continuations(session: Session, model: Path, kind: Kind) -> None:
    rng = random.Random(7)
    long = ScoreItem([rng.randrange(N_PLAIN) for _ in range(300)], [[1], [2, 3]])
    many = ScoreItem([1, 2, 3], [[number // 16, number % 16, 7, number % 5] for number in range(256)])
    prefix, items = made_up(8, n_prefix=100, n_items=2)
    found = scores(session, prefix, [long, many, *items])
    naive = NaiveScorer(model)
    assert_same(kind, [found[0], *found[2:]], [naive.score(prefix, item) for item in (long, *items)])
    some = ScoreItem(many.tokens, many.continuations[::50])
    log_probs, greedy = naive.score(prefix, some)
    assert_same(kind, [Scored(1, found[1].log_probs[::50], found[1].greedy[::50])], [(log_probs, greedy)])
    naive.close()


def test_an_item_that_fills_the_window_is_scored_and_a_longer_one_is_not(
    session: Session, model: Path, kind: Kind
) -> None:
    prefix, (item, *_) = made_up(9, n_prefix=400, n_items=1)
    tokens = [3] * (512 - 400 - 5)
    full = ScoreItem(tokens, item.continuations)
    naive = NaiveScorer(model, n_ctx=1024)
    assert_same(kind, scores(session, prefix, [full]), [naive.score(prefix, full)])
    naive.close()
    with pytest.raises(GenerationError, match="n_ctx = 512"):
        scores(session, prefix, [ScoreItem([*tokens, 3], item.continuations)])


def test_without_a_prefix_and_without_tokens_of_its_own(session: Session, model: Path, kind: Kind) -> None:
    naive = NaiveScorer(model)
    for prefix, item in (([], ScoreItem([4, 5], [[1], [2, 3]])), ([4, 5], ScoreItem([], [[1], [2, 3]]))):
        assert_same(kind, scores(session, prefix, [item]), [naive.score(prefix, item)])
    naive.close()


@pytest.mark.parametrize(
    "item",
    [ScoreItem([1], []), ScoreItem([1], [[]]), ScoreItem([N_PLAIN + 3], [[1]]), ScoreItem([1], [[1]], [1])],
)
def test_what_cannot_be_scored_is_an_error_and_the_next_is_scored(session: Session, item: ScoreItem) -> None:
    with pytest.raises(GenerationError):
        scores(session, [1, 2], [item])
    assert scores(session, [1, 2], [ScoreItem([1], [[1]])])[0].log_probs[0] < 0


def test_the_conversation_is_left_alone(session: Session) -> None:
    session.reset()
    first = session.chat("Hello", temperature=0, max_tokens=5).text
    prefix, items = made_up(10, n_items=3)
    scores(session, prefix, items)
    again = session.chat("More", temperature=0, max_tokens=5)
    assert again.usage.cached_tokens > 10
    session.reset()
    assert session.chat("Hello", temperature=0, max_tokens=5).text == first


def test_a_scoring_that_nobody_reads_on_leaves_the_next_right(session: Session) -> None:
    prefix, items = made_up(11, n_items=30)
    wanted = scores(session, prefix, items[:3])
    events = session._backend.score(ScoreRequest(prefix, items))  # type: ignore[attr-defined]
    for _ in range(4):
        next(events)
    events.close()
    assert [one.log_probs for one in scores(session, prefix, items[:3])] == [one.log_probs for one in wanted]


def test_cancelling_ends_it_at_once_and_the_next_is_right(session: Session) -> None:
    prefix, items = made_up(12, n_items=40)
    wanted = scores(session, prefix, items[:3])
    found: dict[int, Scored] = {}
    with pytest.raises(GenerationError, match="cancelled"):
        session.scoring.score(prefix, items * 40, found, session._backend.cancel)
    assert 0 < len(found) < 1600
    assert_equal(scores(session, prefix, items[:3]), wanted)


@pytest.mark.parametrize("options", [{"type_k": "q8_0", "type_v": "q8_0"}, {"n_ubatch": 60}])
def test_quantized_caches_and_odd_batches_change_no_bit_either(tmp_path: Path, options: dict[str, Any]) -> None:
    prefix, items = made_up(13, n_items=16)
    with Session(tiny_model(tmp_path / "m.gguf"), n_threads=1, isolation="none", **options) as session:
        wanted = scores(session, prefix, items)
        assert_equal(scores(session, prefix, items[::-1]), wanted[::-1])
        assert_equal([scores(session, prefix, [item])[0] for item in items[:4]], wanted[:4])


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_is_scored(family: str, tmp_path: Path) -> None:
    path = family_model(tmp_path / "m.gguf", family)
    item = ScoreItem([1, 2], [[3], [4, 5], [4, 6, 7]])
    with Session(path, n_threads=1, chat_template="plain") as session:
        (found,) = scores(session, [1] * 40, [item])
    each = -math.log(len(vocabulary()))  # its weights are zero: all tokens are alike
    assert found.log_probs == pytest.approx([each, 2 * each, 3 * each])
