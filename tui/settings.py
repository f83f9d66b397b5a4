"""What a person can set for one conversation: its system prompt and how tokens are chosen."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from edgeai import OptionError, SamplingOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationSettings:
    """The settings of one conversation; None leaves a value to the session's default.

    Attributes:
        system: the system prompt.
        temperature: 0 is greedy.
        top_p: keep the likeliest tokens that make up this share, 0..1.
        top_k: keep the k likeliest tokens; 0 keeps all.
        min_p: drop tokens less likely than this share of the likeliest, 0..1.
        repeat_penalty: over 1 makes recent tokens less likely; 1 is off.
        max_tokens: tokens of one answer at most.
        seed: the same seed gives the same text.

    Raises:
        OptionError: a sampling value that `edgeai.SamplingOptions` refuses.
    """

    system: str | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    repeat_penalty: float | None = None
    max_tokens: int | None = None
    seed: int | None = None

    def __post_init__(self) -> None:
        if self.system is not None and not isinstance(self.system, str):
            raise OptionError(f"system = {self.system!r}: expected text")
        SamplingOptions(**self.sampling())

    def sampling(self) -> dict[str, Any]:
        """The sampling keywords for `Session.chat`: only what was set."""
        return {name: value for name in SAMPLING_NAMES if (value := getattr(self, name)) is not None}

    def to_json(self) -> str:
        """One JSON object of what was set."""
        return json.dumps(
            {name: value for name, value in asdict(self).items() if value is not None}, ensure_ascii=False
        )

    @classmethod
    def from_json(cls, text: str | None) -> ConversationSettings:
        """Settings from stored JSON; what is unknown or makes no sense is left out, so that a conversation opens."""
        try:
            stored = json.loads(text or "{}")
        except (ValueError, RecursionError):
            return cls()
        if not isinstance(stored, Mapping):
            return cls()
        kept: dict[str, Any] = {}
        for name in ("system", *SAMPLING_NAMES):
            try:
                cls(**{name: stored.get(name)})
            except OptionError:
                continue
            kept[name] = stored.get(name)
        return cls(**kept)


SAMPLING_NAMES = tuple(item.name for item in fields(ConversationSettings) if item.name != "system")
