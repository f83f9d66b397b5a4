"""Chat templates: from messages to the text that a model was trained to continue."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING, Any

from edgeai.control_tokens import ControlTokens
from edgeai.errors import ChatTemplateError
from edgeai.media_slots import MediaSlots
from edgeai.messages import Message

if TYPE_CHECKING:
    from edgeai.templating.compiled import CompiledTemplate

PLAIN_SOURCE = """\
{%- for message in messages %}
{%- if message.role == 'system' %}{{ message.content | trim }}

{% else %}{{ message.role | capitalize }}: {{ message.content | trim }}
{% endif %}
{%- endfor %}
{%- if add_generation_prompt %}Assistant:{% endif %}"""
PLAIN_STOP = ("\nUser:", "\nSystem:", "\nTool:", "\nAssistant:")
_PROBE_NAME = "edgeai_probe"
_PROBE = {
    "type": "function",
    "function": {"name": _PROBE_NAME, "description": "", "parameters": {"type": "object", "properties": {}}},
}


class ChatTemplate:
    """A Jinja chat template, as models bring them in their metadata.

    The template is untrusted: it runs in a sandbox, sees plain data only, and has two seconds and little memory. It is
    compiled when it is used first.

    Attributes:
        stop: texts at which an answer ends, for templates without control tokens.
    """

    def __init__(
        self,
        source: str,
        *,
        bos_token: str = "",
        eos_token: str = "",
        special_tokens: Sequence[str] = (),
        stop: Sequence[str] = (),
        picture_margin: str = "",
    ) -> None:
        """Take a template's source.

        Args:
            source: Jinja.
            bos_token: text of the begin-of-sequence token.
            eos_token: text of the end-of-sequence token.
            special_tokens: texts of all control tokens; no message can produce one.
            stop: texts at which an answer ends.
            picture_margin: text before and after each picture, in the place that the template has for it.
        """
        self.stop = tuple(stop)
        self._picture_margin = picture_margin
        self._source = source
        self._bos_token = bos_token
        self._eos_token = eos_token
        self._special_tokens = tuple(special_tokens)

    @classmethod
    def plain(cls, **options: Any) -> ChatTemplate:
        """A simple format for models without a template; base models follow it as well.

            You are kind.

            User: Hello
            Assistant: Hi!
            User: How are you?
            Assistant:

        Answers end where the model begins another turn. Nothing keeps a user from writing such a turn into a message.
        """
        return cls(PLAIN_SOURCE, stop=PLAIN_STOP, **options)

    def render(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[Mapping[str, Any]] | None = None,
        add_generation_prompt: bool = True,
    ) -> tuple[str, ...]:
        """The prompt of a conversation.

        A template that refuses a system message (old Gemma and Mistral) gets its text in front of the first user's.

        Args:
            messages: the conversation.
            tools: schemas of functions the model may call, in OpenAI's shape.
            add_generation_prompt: end with the beginning of the assistant's turn.

        Returns:
            The prompt in parts, nearly always one. It is cut where a message holds the text of a control token;
            tokenize each part by itself, with control tokens read. A marker stands for each medium, before the text
            of its message.

        Raises:
            ChatTemplateError: the template is broken or hostile, or refuses such a conversation.
        """
        from edgeai.templating.operations import TemplateRefusedError

        try:
            return self._render(messages, tools, add_generation_prompt)
        except TemplateRefusedError:
            merged = _without_system(messages)
            if merged is None:
                raise
            try:
                return self._render(merged, tools, add_generation_prompt)
            except ChatTemplateError:
                pass
            raise

    @functools.cached_property
    def supports_tools(self) -> bool:
        """Whether the template tells the model about tools.

        Raises:
            ChatTemplateError: the template is broken.
        """
        if not self._compiled.uses_tools:
            return False
        try:
            return _PROBE_NAME in self.render([Message("user", "Hello")], tools=[_PROBE])[0]
        except ChatTemplateError:
            return False

    @functools.cached_property
    def _compiled(self) -> CompiledTemplate:
        from edgeai.templating.compiled import CompiledTemplate

        return CompiledTemplate(self._source)

    @functools.cached_property
    def _control_tokens(self) -> ControlTokens:
        return ControlTokens((*self._special_tokens, self._bos_token, self._eos_token, self._slots.picture))

    @functools.cached_property
    def _slots(self) -> MediaSlots:
        def render(content: Any) -> str:
            return self._compiled.render(
                self._variables([{"role": "user", "content": content}]), n_chars=1, n_messages=1
            )

        return MediaSlots.of(self._source, render)

    def _variables(
        self, messages: list[dict[str, Any]], tools: Any = None, add_generation_prompt: bool = True
    ) -> dict[str, Any]:
        return {
            "messages": messages,
            "tools": tools,
            "documents": None,
            "add_generation_prompt": add_generation_prompt,
            "bos_token": self._bos_token,
            "eos_token": self._eos_token,
        }

    def _render(
        self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]] | None, add_generation_prompt: bool
    ) -> tuple[str, ...]:
        guard = self._control_tokens.guard
        dicts = _as_dicts(messages, guard, self._slots)
        n_chars = sum(len(message.content) for message in messages) + (len(str(tools)) if tools else 0)
        variables = self._variables(dicts, guard(list(tools)) if tools else None, add_generation_prompt)
        rendered = self._compiled.render(variables, n_chars=n_chars, n_messages=len(messages))
        if not rendered.strip():  # the model would go on from nothing, and the question be lost
            raise ChatTemplateError(
                "the chat template makes nothing of this conversation; pass another as chat_template=…, or "
                'chat_template="plain"'
            )
        media = [medium for message in messages for medium in message.media]
        return self._slots.filled(self._control_tokens.parts(rendered), media, self._picture_margin)


def _as_dicts(messages: Sequence[Message], guard: Callable[[Any], Any], slots: MediaSlots) -> list[dict[str, Any]]:
    """Messages as templates expect them, their words guarded.

    Calls are numbered, since Mistral's templates want ids of nine letters.
    """
    numbers, answered, result = count(1), count(1), []
    for message in messages:
        content = slots.content(guard(message.content), message.media)
        data: dict[str, Any] = {"role": message.role, "content": content}
        if message.tool_calls:
            data["tool_calls"] = [
                {
                    "id": _call_id(next(numbers)),
                    "type": "function",
                    "function": {"name": guard(call.name), "arguments": guard(call.arguments)},
                }
                for call in message.tool_calls
            ]
        if message.role == "tool":
            data["name"] = guard(message.tool_name or "")
            data["tool_call_id"] = _call_id(next(answered))
        result.append(data)
    return result


def _call_id(number: int) -> str:
    return f"call{number:05d}"


def _without_system(messages: Sequence[Message]) -> list[Message] | None:
    """The same conversation with its system message at the head of the first user's; None where that cannot be."""
    if len(messages) < 2 or messages[0].role != "system":
        return None
    first = next((message for message in messages if message.role == "user"), None)
    if first is None:
        return None
    merged = replace(first, content=f"{messages[0].content.strip()}\n\n{first.content}")
    return [merged if message is first else message for message in messages[1:]]
