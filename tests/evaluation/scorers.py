"""A stand-in for a model that is asked how likely texts are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from edgeai.backends.base import PrefillProgress, Scored, ScoreEvent, ScoreFinished, ScoreProgress, ScoreRequest
from edgeai.errors import GenerationError
from tests.fakes import FakeBackend

Rate = Callable[[str, str], float]
"""The log-probability of a text after another."""


class FakeScorer(FakeBackend):
    """One token is one character; how likely texts are says a function.

    Attributes:
        asked: all score requests, in order.
        fails_at: the number of the request that fails, from 0.
    """

    def __init__(self, rate: Rate = lambda before, text: -float(len(text)), *, n_ctx: int = 4096) -> None:
        super().__init__(n_ctx)
        self.rate = rate
        self.asked: list[ScoreRequest] = []
        self.fails_at: int | None = None

    def score(self, request: ScoreRequest) -> Iterator[ScoreEvent]:
        """In reverse order: whoever asks may not count on any."""
        self.asked.append(request)
        if len(self.asked) - 1 == self.fails_at:
            raise GenerationError("the power is gone")
        yield PrefillProgress(len(request.prefix), len(request.prefix), 0)
        for index in reversed(range(len(request.items))):
            item = request.items[index]
            assert item.tokens
            assert all(item.continuations)
            before = self.detokenize([*request.prefix, *item.tokens])
            texts = [self.detokenize(ids) for ids in item.continuations]
            yield Scored(index, tuple(self.rate(before, text) for text in texts), tuple(False for _ in texts))
        yield ScoreProgress(1, 1)
        yield ScoreFinished(False, 0, 1, 1, 512)


def knows(*right: str) -> Rate:
    """Finds these texts likely, and all others the less so the longer they are."""
    return lambda _before, text: -0.5 if text.strip() in right else -1.0 - len(text)


def model_file(folder: Path, name: str = "model.gguf") -> Path:
    """A file that stands for a model's."""
    path = folder / name
    path.write_bytes(name.encode())
    return path
