"""Which tokens must be evaluated to score continuations, and which items go into one batch.

The continuations of an item are a trie: what begins alike is evaluated once. Its last tokens are never evaluated, only
read from the logits of the token before. Every path down to a deepest evaluated token is a sequence of its own, so that
branches do not see each other; a token belongs to the sequences of all the paths that go through it.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from edgeai.backends.base import ScoreItem
from edgeai.backends.score_cells import aligned


@dataclass(slots=True)
class Node:
    """A token to evaluate.

    Attributes:
        token: its id.
        offset: of its position, from the first one after the prefix.
        seqs: the paths that go through it, from 0.
        reads: what is read from its logits: pairs of the number of a continuation and its next token.
    """

    token: int
    offset: int
    seqs: list[int] = field(default_factory=list)
    reads: list[tuple[int, int]] = field(default_factory=list)


@dataclass(slots=True)
class Job:
    """An item with all its continuations, or with some of them where all are too many for one batch.

    Attributes:
        index: of the item.
        n_tokens: of its nodes, those of the item itself; the last of them is the trie's root.
        nodes: depth first: a path's nodes stand in the order of their positions.
        n_seqs: paths.
    """

    index: int
    n_tokens: int
    nodes: list[Node]
    n_seqs: int

    @property
    def n_outputs(self) -> int:
        """Nodes whose logits are read."""
        return sum(1 for node in self.nodes if node.reads)

    def path(self, seq: int) -> list[Node]:
        """The nodes of one path after the item's own."""
        return [node for node in self.nodes[self.n_tokens :] if seq in node.seqs]


@dataclass(frozen=True, slots=True)
class Limits:
    """What one batch holds at most.

    Attributes:
        n_tokens: tokens.
        n_seqs: sequences.
        n_outputs: tokens whose logits are read.
        n_cells: cells of the KV cache, for several jobs with the gaps between them.
        n_cells_alone: the same for one job, which may be evaluated in several batches.
    """

    n_tokens: int
    n_seqs: int
    n_outputs: int
    n_cells: int
    n_cells_alone: int


def jobs_of(index: int, item: ScoreItem, limits: Limits) -> Iterator[Job]:
    """An item as one job; as several, each of which evaluates the item anew, where its continuations are too many."""
    order = sorted(range(len(item.continuations)), key=lambda number: tuple(item.continuations[number]))
    while order:
        n_fit = len(order)
        job = _job(index, item, order)
        while n_fit > 1 and not _fits(job, limits):
            n_fit = max(1, min(n_fit - 1, n_fit * limits.n_seqs // job.n_seqs))
            job = _job(index, item, order[:n_fit])
        yield job
        del order[:n_fit]


def _fits(job: Job, limits: Limits) -> bool:
    fits_cells = len(job.nodes) <= limits.n_cells_alone
    return fits_cells and job.n_seqs <= limits.n_seqs and job.n_outputs <= limits.n_outputs


def _job(index: int, item: ScoreItem, numbers: Sequence[int]) -> Job:
    """The trie of some continuations, which stand in the order of their tokens: so it is built depth first."""
    nodes = [Node(token, offset) for offset, token in enumerate(item.tokens)]
    root, path, n_seqs = len(nodes) - 1, list[int](), 0
    for number in numbers:
        continuation = item.continuations[number]
        n_same = 0
        while n_same < min(len(path), len(continuation) - 1) and nodes[path[n_same]].token == continuation[n_same]:
            n_same += 1
        if not n_seqs or n_same < min(len(path), len(continuation) - 1):  # it leaves the path before
            del path[n_same:]
            for place in (*range(root + 1), *path):
                nodes[place].seqs.append(n_seqs)
            n_seqs += 1
        for token in continuation[n_same:-1]:
            path.append(len(nodes))
            nodes.append(Node(token, root + len(path), [n_seqs - 1]))
        n_given = item.n_given[number] if item.n_given else 0
        for at in range(n_given, len(continuation)):
            nodes[path[at - 1] if at else root].reads.append((number, continuation[at]))
    return Job(index, root + 1, nodes, n_seqs)


def packed(jobs: Sequence[Job], limits: Limits) -> Iterator[list[Job]]:
    """Jobs in batches: the longest first, and each batch filled up with the longest that still fit.

    A job that is longer than a batch comes alone.
    """
    waiting = sorted(jobs, key=lambda job: (len(job.nodes), job.index))
    sizes = [len(job.nodes) for job in waiting]
    while waiting:
        batch = [waiting.pop()]
        n_tokens, n_seqs, n_outputs = sizes.pop(), batch[0].n_seqs, batch[0].n_outputs
        n_cells = aligned(n_tokens)
        while (at := bisect.bisect_right(sizes, limits.n_tokens - n_tokens) - 1) >= 0:
            job = waiting[at]
            n_seqs, n_outputs = n_seqs + job.n_seqs, n_outputs + job.n_outputs
            n_cells += aligned(sizes[at])
            if n_seqs > limits.n_seqs or n_outputs > limits.n_outputs or n_cells > limits.n_cells:
                break
            batch.append(waiting.pop(at))
            n_tokens += sizes.pop(at)
        yield batch
