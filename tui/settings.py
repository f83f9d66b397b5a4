"""What a person can set for one conversation: its system prompt, how tokens are chosen, and what it is about."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from edgeai import OptionError, SamplingOptions
from tui.document_refs import DocumentRef, refs_from_json


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
        documents: what the conversation is about, in the order in which the model reads them.

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
    documents: tuple[DocumentRef, ...] = ()

    def __post_init__(self) -> None:
        if self.system is not None and not isinstance(self.system, str):
            raise OptionError(f"system = {self.system!r}: expected text")
        SamplingOptions(**self.sampling())

    def sampling(self) -> dict[str, Any]:
        """The sampling keywords for `Session.chat`: only what was set."""
        return {name: value for name in SAMPLING_NAMES if (value := getattr(self, name)) is not None}

    def to_json(self) -> str:
        """One JSON object of what was set."""
        values: dict[str, Any] = {name: getattr(self, name) for name in ("system", *SAMPLING_NAMES)}
        values["documents"] = [ref.to_json() for ref in self.documents] or None
        return json.dumps({name: value for name, value in values.items() if value is not None}, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str | None) -> ConversationSettings:
        """Settings from stored JSON; what is unknown or makes no sense is left out, so that a conversation opens."""
        try:
            stored = json.loads(text or "{}")
        except (ValueError, RecursionError):
            return cls()
        if not isinstance(stored, Mapping):
            return cls()
        kept: dict[str, Any] = {"documents": refs_from_json(stored.get("documents"))}
        for name in ("system", *SAMPLING_NAMES):
            one: dict[str, Any] = {name: stored.get(name)}
            try:
                cls(**one)
            except OptionError:
                continue
            kept |= one
        return cls(**kept)


SAMPLING_NAMES = tuple(item.name for item in fields(ConversationSettings) if item.name not in ("system", "documents"))
