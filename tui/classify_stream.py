"""Rows through a classifier: texts in, results out in the rows' order; rows without a text have an error."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING

from edgeai.errors import OptionError
from edgeai.records.types import Row
from tui.classify_rows import Added, Inputs, Result, failed

if TYPE_CHECKING:
    from tui.classify_task import Classify

_MOST_WITHOUT = 10_000


def classified(
    inputs: Inputs, classify: Classify, added: Added, is_done: Callable[[int], bool] = lambda _: False
) -> Generator[tuple[int, Row, Result]]:
    """Each row with its number and result.

    Args:
        inputs: the rows.
        classify: what classifies texts.
        added: what results look like.
        is_done: rows, by number, that are left out.
    """
    waiting: deque[tuple[int, Row, str]] = deque()

    def texts() -> Iterator[str]:
        n_without = 0
        for index, row in inputs.rows():
            if not is_done(index):
                text, why = inputs.text_of(row)
                waiting.append((index, row, why))
                n_without = n_without + 1 if why else 0
                if n_without > _MOST_WITHOUT:
                    raise OptionError(f"line {row.line:,}: {n_without:,} rows one after another without text: {why}")
                if not why:
                    yield text

    for found in classify(texts()):
        yield from _without_text(waiting)
        index, row, _ = waiting.popleft()
        yield index, row, added.result(found)
    yield from _without_text(waiting)


def _without_text(waiting: deque[tuple[int, Row, str]]) -> Iterator[tuple[int, Row, Result]]:
    while waiting and waiting[0][2]:
        index, row, why = waiting.popleft()
        yield index, row, failed(why)
