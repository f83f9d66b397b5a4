"""Tries of continuations and their packing, without any engine."""

from __future__ import annotations

import random

from edgeai.backends.base import ScoreItem
from edgeai.backends.score_plan import Job, Limits, jobs_of, packed

WIDE = Limits(1000, 1000, 1000, 10_000, 10_000)


def job(item: ScoreItem) -> Job:
    (found,) = jobs_of(0, item, WIDE)
    return found


def reads_of(found: Job, item: ScoreItem) -> dict[int, list[int]]:
    """What each continuation's tokens are read from: every node's reads, with the tokens on the way checked."""
    read: dict[int, list[int]] = {}
    for place, node in enumerate(found.nodes):
        for number, token in node.reads:
            continuation = item.continuations[number]
            depth = node.offset - found.n_tokens + 1
            on_the_way = [
                other.token
                for other in found.nodes[: place + 1]
                if other.offset >= found.n_tokens and set(node.seqs) <= set(other.seqs)
            ]
            assert on_the_way == list(continuation[:depth])
            assert continuation[depth] == token
            read.setdefault(number, []).append(token)
    return read


def test_continuations_that_begin_alike_share_their_nodes() -> None:
    item = ScoreItem([1, 2], [[5, 6, 7], [5, 6, 8], [5, 9], [4]])
    found = job(item)
    assert [(node.token, node.offset) for node in found.nodes] == [(1, 0), (2, 1), (5, 2), (6, 3)]
    assert found.n_seqs == 1
    assert reads_of(found, item) == {0: [5, 6, 7], 1: [5, 6, 8], 2: [5, 9], 3: [4]}


def test_branches_are_sequences_of_their_own_and_a_stem_belongs_to_all_of_them() -> None:
    item = ScoreItem([1], [[5, 6, 7], [5, 8, 7], [9, 1]])
    found = job(item)
    assert found.n_seqs == 3
    assert [node.seqs for node in found.nodes] == [[0, 1, 2], [0, 1], [0], [1], [2]]
    assert reads_of(found, item) == {0: [5, 6, 7], 1: [5, 8, 7], 2: [9, 1]}


def test_any_trie_reads_every_token_once() -> None:
    rng = random.Random(2)
    for _ in range(200):
        continuations = [[rng.randrange(3) for _ in range(rng.randint(1, 5))] for _ in range(rng.randint(1, 9))]
        item = ScoreItem([7] * rng.randint(1, 3), continuations)
        found = job(item)
        assert reads_of(found, item) == {number: list(tokens) for number, tokens in enumerate(continuations)}
        inner = {tuple(tokens[:size]) for tokens in continuations for size in range(1, len(tokens))}
        assert len(found.nodes) == found.n_tokens + len(inner)


def test_too_many_branches_become_several_jobs_with_all_continuations() -> None:
    item = ScoreItem([1], [[number, 1] for number in range(100)])
    jobs = list(jobs_of(3, item, Limits(64, 9, 1000, 1000, 1000)))
    assert all(one.n_seqs <= 9 and one.index == 3 for one in jobs)
    assert sorted({number for one in jobs for node in one.nodes for number, _ in node.reads}) == list(range(100))
    assert len(jobs) <= 13


def test_batches_are_full_and_hold_every_job_once() -> None:
    rng = random.Random(3)
    items = [ScoreItem([1] * rng.randint(1, 60), [[1]]) for _ in range(300)]
    limits = Limits(256, 60, 64, 512, 512)
    jobs = [one for index, item in enumerate(items) for one in jobs_of(index, item, limits)]
    batches = list(packed(jobs, limits))
    assert sorted(one.index for batch in batches for one in batch) == list(range(300))
    sizes = [sum(len(one.nodes) for one in batch) for batch in batches]
    assert max(sizes) <= 256
    assert sum(sizes) > 0.9 * 256 * len(sizes)
    assert all(sum(-(-len(one.nodes) // 16) * 16 for one in batch) <= 512 for batch in batches)


def test_a_job_longer_than_a_batch_comes_alone() -> None:
    jobs = [next(jobs_of(index, ScoreItem([1] * size, [[1]]), WIDE)) for index, size in enumerate((5, 300, 6))]
    batches = list(packed(jobs, Limits(256, 60, 64, 512, 512)))
    assert [[one.index for one in batch] for batch in batches] == [[1], [2, 0]]
