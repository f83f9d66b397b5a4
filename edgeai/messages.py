"""Messages: what a conversation is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from edgeai.errors import OptionError
from edgeai.media import Medium

Role = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A model's wish to call a function.

    Attributes:
        name: the tool's name.
        arguments: its keyword arguments, as parsed from JSON.
        error: why it cannot be run (no such tool, wrong arguments); "" for a good call.
    """

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation.

    Attributes:
        role: who speaks.
        content: the text.
        tool_calls: the calls an assistant's message asks for.
        tool_name: for role "tool", the tool whose result this is.
        media: what a user shows or plays, before the text; the model must be able to take it in.

    Raises:
        OptionError: an unknown role, content that is not a string, or media that are none or not a user's.
    """

    role: Role
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    tool_name: str | None = None
    media: tuple[Medium, ...] = ()

    def __post_init__(self) -> None:
        if self.role not in get_args(Role):
            raise OptionError(f"message role {self.role!r} is unknown: use one of {', '.join(get_args(Role))}")
        if not isinstance(self.content, str):
            raise OptionError(f"message content must be str, not {type(self.content).__name__}")
        if self.media:
            object.__setattr__(self, "media", tuple(self.media))
            if self.role != "user":
                raise OptionError(f"a message of role {self.role!r} has media: expected them in a user's")
            if wrong := [medium for medium in self.media if not isinstance(medium, Medium)]:
                raise OptionError(f"message media hold a {type(wrong[0]).__name__}: expected edgeai.media.Medium")


MessageLike = Message | Mapping[str, Any]


def to_message(value: MessageLike) -> Message:
    """A Message from a Message or from the common `{"role": …, "content": …}` mapping.

    Raises:
        OptionError: the mapping lacks a role or content, or has others of its own.
    """
    if isinstance(value, Message):
        return value
    try:
        return Message(**value)
    except TypeError as exc:
        raise OptionError(f"{value!r} is not a message: expected role and content") from exc
