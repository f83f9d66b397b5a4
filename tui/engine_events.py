"""What the engine's thread tells the window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from textual.message import Message as Event

from edgeai import EdgeAIError
from tui.chat_pictures import ChatPicture
from tui.turn import Result, Turn


@dataclass
class ModelLoading(Event):
    """A model is being loaded; `share` of it is (0..1)."""

    model: str | None
    share: float


@dataclass
class ModelReady(Event):
    """The model can answer; for every question the libraries of these names are searched, too."""

    model: str
    n_ctx: int
    load_ms: float
    libraries: Sequence[str] = ()


@dataclass
class ModelFailed(Event):
    """The model could not be loaded; `fallback` is the one that goes on answering, if there is one."""

    model: str | None
    error: EdgeAIError
    fallback: str | None = None


@dataclass
class WindowChanged(Event):
    """The context window was made larger for documents, or could not be."""

    n_ctx: int
    error: EdgeAIError | None = None


@dataclass
class DocumentsCounted(Event):
    """How many tokens documents have, by their SHA-256."""

    counts: Mapping[str, int]


@dataclass
class PictureCounted(Event):
    """The tokens of a picture are known, or why it has none."""

    picture: ChatPicture
    error: EdgeAIError | None = None


@dataclass
class TurnReading(Event):
    """The prompt of a turn is being evaluated; `n_cached` of its tokens had been before."""

    turn: Turn
    n_done: int
    n_total: int
    n_cached: int = 0


@dataclass
class TurnBegun(Event):
    """The turn is stored and its answer starts."""

    turn: Turn


@dataclass
class TurnEnded(Event):
    """The turn is over, and stored unless `result.error` says otherwise."""

    turn: Turn
    result: Result
