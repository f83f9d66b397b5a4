"""How far each pair of a head turns with each position, as tables of cosines and sines.

GroupQueryAttention turns number i of a head's first half with number i of its second half. A model that pairs
neighbours, or that leaves a part of each head as it is, has the rows of its queries and keys put into another order
(`head_order`), which changes no product of the two; a pair that does not turn has the cosine 1.

Sources: transformers' modeling_rope_utils.py; llama.cpp's ggml_rope_yarn_corr_dims.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantize.base import F32

F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Rope:
    """Turns by position.

    Attributes:
        frequencies: of each turning pair: how far it turns from one position to the next, radians.
        n_pairs: of a head.
        n_ctx: positions.
        size: what turning pairs are multiplied with.
        short: frequencies for texts of at most `n_short` positions, where there are such.
        n_short: as many positions.
    """

    frequencies: tuple[float, ...]
    n_pairs: int
    n_ctx: int
    size: float = 1.0
    short: tuple[float, ...] = ()
    n_short: int = 0

    @property
    def n_rows(self) -> int:
        """Rows of a table: first those of the short frequencies, then those of the others."""
        return self.n_short + self.n_ctx

    def table(self, what: str, start: int, stop: int) -> F32:
        """Rows of a table. float32 [stop - start, n_pairs]

        Args:
            what: "cos" or "sin".
            start: the first row.
            stop: the one after the last.
        """
        of_short = self._rows(what, self.short, start, min(stop, self.n_short))
        of_long = self._rows(what, self.frequencies, max(start - self.n_short, 0), stop - self.n_short)
        return np.concatenate([of_short, of_long])

    def _rows(self, what: str, frequencies: tuple[float, ...], start: int, stop: int) -> F32:
        rows = np.full((max(stop - start, 0), self.n_pairs), what == "cos", np.float32)
        turns = np.arange(start, max(stop, start), dtype=np.float64)[:, None] * np.array(frequencies)
        rows[:, : len(frequencies)] = self.size * (np.cos(turns) if what == "cos" else np.sin(turns))
        return rows


def head_order(head_dim: int, n_rot: int, *, neighbours: bool) -> tuple[int, ...] | None:
    """Which row of a head comes to each place, so that what turns together is half a head apart; None for no change.

    Args:
        head_dim: rows of a head.
        n_rot: how many turn, the first ones.
        neighbours: those that turn together are neighbours, instead of half of `n_rot` apart.
    """
    turning, rest = range(n_rot), range(n_rot, head_dim)
    pairs = (turning[0::2], turning[1::2]) if neighbours else (turning[: n_rot // 2], turning[n_rot // 2 :])
    order = (*pairs[0], *rest[: len(rest) // 2], *pairs[1], *rest[len(rest) // 2 :])
    return None if order == tuple(range(head_dim)) else order


def plain(base: float, n_rot: int, factors: Any = 1.0) -> tuple[float, ...]:
    """The usual frequencies, each divided by a factor."""
    return tuple(map(float, base ** (-np.arange(0, n_rot, 2) / n_rot) / np.asarray(factors, np.float64)))


def yarn(
    base: float, n_rot: int, factor: float, n_original: int, fast: float, slow: float, share: float
) -> tuple[float, ...]:
    """YaRN's frequencies: pairs that turn less than `slow` times in the original context turn `factor` times slower,
    those that turn more than `fast` times as before, and those between on a ramp.

    Args:
        base: of the usual frequencies.
        n_rot: turning numbers of a head.
        factor: how much longer the context is.
        n_original: positions of the original context.
        fast: see above.
        slow: see above.
        share: how much of the difference between both is made.
    Source: Peng et al. 2023, section 3.2.
    """
    ends = [n_rot * math.log(n_original / (times * 2 * math.pi)) / (2 * math.log(base)) for times in (fast, slow)]
    first, last = max(math.floor(ends[0]), 0), min(math.ceil(ends[1]), n_rot - 1)
    ramp = np.clip((np.arange(n_rot // 2) - first) / max(last - first, 1e-3), 0, 1)
    kept = (1 - ramp) * share
    usual = np.array(plain(base, n_rot))
    return tuple(map(float, usual / factor * (1 - kept) + usual * kept))
