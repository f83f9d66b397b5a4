"""A remark on slides: what it is about, what it quotes, and whether it was measured or is the model's."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Remark:
    """A remark.

    Attributes:
        kind: of rules.toml.
        text: what is said, one line, hostile where it is the model's.
        slides: their numbers.
        quotes: words of these slides, hostile; one for each, or one, or none.
        is_measured: it was measured; else the model says it.
    """

    kind: str
    text: str
    slides: tuple[int, ...]
    quotes: tuple[str, ...] = ()
    is_measured: bool = True
