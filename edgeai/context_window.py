"""What of a conversation goes into the context window: all of it, or an error, or, when asked, its newest turns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from edgeai.backends.base import Backend, ModelInfo
from edgeai.common_prefix import n_common
from edgeai.documents.ground import Ground
from edgeai.documents.prompt_text import unmarked, with_documents, with_passages
from edgeai.documents.types import Document
from edgeai.errors import ChatTemplateError, UnsupportedModalityError
from edgeai.media import Medium, markers, unique
from edgeai.messages import Message
from edgeai.options import Overflow
from edgeai.prompt import ChatTemplate
from edgeai.transcript import SEAM, Transcript
from edgeai.vision.prepare import prepared

ANSWER_RESERVE = 256
"""Tokens that trimming leaves free for an answer, at most a quarter of n_ctx."""

_NO_GROUND = Ground()
_PICTURE_MARGINS = {"gemma3": "\n\n"}
"""Text around pictures, by architecture. Source: Gemma3Processor of Hugging Face's transformers; libmtmd puts none."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt that fits.

    Attributes:
        tokens: its ids.
        dropped: the messages that were left out.
        n_system: its tokens up to the end of the system message, which come again in the next conversation.
        keep_at: lengths of prefixes whose state is worth a file: the end of each document, and of the last media.
        media: those in it.
    """

    tokens: Sequence[int]
    dropped: tuple[Message, ...] = ()
    n_system: int = 0
    keep_at: tuple[int, ...] = ()
    media: tuple[Medium, ...] = ()


class ContextWindow:
    """Renders conversations with a chat template and fits them into n_ctx."""

    def __init__(self, backend: Backend, template: ChatTemplate, default_system: str = "") -> None:
        """`default_system` is said to the model in conversations that have no system message."""
        self._default_system = default_system
        self._info = backend.info
        self._template = template
        self._backend = backend
        self._media_tokens: dict[str, list[int]] = {}  # of those in the conversation
        self._as_seen: dict[str, Medium] = {}  # the same, as the model is to take them in
        self._transcript = Transcript(
            lambda text: backend.tokenize(text, parse_special=True), lambda sha256: self._media_tokens.get(sha256, [])
        )
        self._first: Message | None = None
        self._n_dropped = 0
        self._system: Message | None = None
        self._system_tokens: list[int] = []
        self._ends: dict[tuple[str, tuple[tuple[str, str], ...]], Sequence[int]] = {}

    @property
    def n_ctx(self) -> int:
        """The window, tokens."""
        return self._info.n_ctx

    @property
    def stop(self) -> tuple[str, ...]:
        """Texts at which an answer ends, for templates without control tokens."""
        return self._template.stop

    def build(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[Mapping[str, Any]] | None = None,
        overflow: Overflow = "error",
        max_tokens: int | None = None,
        ground: Ground = _NO_GROUND,
    ) -> Prompt:
        """The prompt of a conversation.

        Args:
            messages: the conversation; at least one message.
            ground: documents that stand before it, whole, and passages that stand before its last question.
            tools: schemas of functions, for the template.
            overflow: "trim" drops the oldest whole turns (a user's message and all up to the next one's) until the
                rest leaves room for an answer. The system message and the last turn stay. Once dropped, a turn stays
                out, so that the window does not slide, and lose its evaluated tokens, with every turn.
            max_tokens: tokens that the answer may take.

        Raises:
            ContextOverflowError: it does not fit.
            ChatTemplateError: the template refuses the conversation, or leaves its media out.
            UnsupportedModalityError: the model cannot take its media in.
        """
        if self._default_system and messages and messages[0].role != "system":
            messages = [Message("system", self._default_system), *messages]
        if ground.has_sources:
            messages = [_unmarked(message) for message in messages]
        system, own = _system_and_rest(messages)
        if ground.documents or ground.runs:
            own = with_passages(own, ground.runs)
            messages = [Message("system", with_documents(system, ground.documents)), *own]
        self._take_in(messages)
        text, kept, dropped = self._fitted(messages, tools, self.n_ctx - self.reserve(max_tokens), overflow)
        tokens = self._transcript.tokens(text, self.n_ctx)
        ends = self._document_ends(system, ground, tokens)
        media = unique(self._as_seen[medium.sha256] for medium in _media_of(kept, text))
        return Prompt(tokens, dropped, self._n_system(messages, tokens), (*ends, *_media_ends(tokens, media)), media)

    def reserve(self, max_tokens: int | None) -> int:
        """Tokens to leave free for an answer of at most `max_tokens`."""
        return min(max_tokens or ANSWER_RESERVE, self.n_ctx // 4)

    def add_answer(self, text: str, tokens: tuple[int, ...]) -> None:
        """Remember the tokens of the answer to the last prompt, so that the next one is built on them."""
        self._transcript.add_answer(text, tokens)

    def _take_in(self, messages: Sequence[Message]) -> None:
        """Ask what stands for the media of a conversation, once for each."""
        media, known = unique(medium for message in messages for medium in message.media), self._media_tokens
        if any(medium.is_sound for medium in media) and not self._info.hears:
            raise UnsupportedModalityError(
                f"{self._info.name}: it hears no sounds: give them to chat(audio=…), which transcribes them, or open "
                "the model with its projector (mmproj_path)"
            )
        if not (self._info.sees or all(medium.is_sound for medium in media)):
            raise UnsupportedModalityError(
                f"{self._info.name}: it sees no pictures: give them to chat(images=…), which reads what is written in "
                "them, or open the model with its projector (mmproj_path)"
            )
        self._as_seen = {
            medium.sha256: self._as_seen.get(medium.sha256)
            or prepared(medium, self._info.architecture, self._info.n_picture_tokens)
            for medium in media
        }
        self._media_tokens = {
            sha256: known.get(sha256) or self._backend.media_tokens(medium) for sha256, medium in self._as_seen.items()
        }

    def _fitted(
        self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]] | None, room: int, overflow: Overflow
    ) -> tuple[str, Sequence[Message], tuple[Message, ...]]:
        """The text of the messages that stay, those, and the messages that go."""
        text = self._render(messages, tools)
        if overflow != "trim" or self._transcript.count(text) <= room:
            return text, messages, ()
        kept, dropped = self._trim(messages, tools, room)
        return self._render(kept, tools), kept, dropped

    def _trim(
        self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]] | None, room: int
    ) -> tuple[list[Message], tuple[Message, ...]]:
        """The messages that stay and those that go."""
        turns = [index for index, message in enumerate(messages) if message.role == "user"]
        if len(turns) < 2:
            return list(messages), ()
        first = messages[turns[0]]
        system = [message for message in messages[: turns[0]] if message.role == "system"]

        def size(n_dropped: int) -> int:
            return self._transcript.count(self._render([*system, *messages[turns[n_dropped] :]], tools))

        n_dropped = min(self._n_dropped, len(turns) - 1) if first == self._first else 0
        if size(n_dropped) > room:
            high = len(turns) - 1
            while n_dropped < high:  # the fewest turns that leave a quarter free, so that this is not needed every turn
                middle = (n_dropped + high) // 2
                n_dropped, high = (n_dropped, middle) if size(middle) <= room * 3 // 4 else (middle + 1, high)
        if size(n_dropped) <= room:  # else it does not fit at all, and something else will be tried
            self._first, self._n_dropped = first, n_dropped
        kept = [*system, *messages[turns[n_dropped] :]]
        return kept, tuple(message for message in messages[: turns[n_dropped]] if message not in system)

    def _render(self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]] | None) -> str:
        return rendered(self._template, self._info, messages, tools=tools)

    def _n_system(self, messages: Sequence[Message], tokens: Sequence[int]) -> int:
        """Tokens that any other conversation with this system message begins with; 0 without one."""
        if not messages or messages[0].role != "system":
            return 0
        if messages[0] != self._system:
            self._system = messages[0]
            other = self._render([messages[0], Message("user", "\ufdd1")], None)
            self._system_tokens = self._transcript.tokenize(other)
        return n_common(tokens, self._system_tokens)

    def _document_ends(self, system: str, ground: Ground, tokens: Sequence[int]) -> tuple[int, ...]:
        """Tokens up to the end of each document: with which the prompt begins whatever follows it."""
        documents = ground.documents
        known, self._ends = self._ends, {}  # those of other documents are not asked for again
        for index in range(len(documents)):
            key = (system, tuple((document.path.name, document.sha256) for document in documents[: index + 1]))
            self._ends[key] = known.get(key) or self._end(system, documents[: index + 1])
        return tuple(n_common(tokens, end) for end in self._ends.values())

    def _end(self, system: str, documents: tuple[Document, ...]) -> Sequence[int]:
        """The tokens that are the same whether another document or the conversation follows these."""
        text, user = with_documents(system, documents), Message("user", "\ufdd1")
        last, not_last = (
            self._transcript.tokenize(self._render([Message("system", each), user], None))
            for each in (text, f"{text}\n\n\ufdd1")
        )
        return last[: n_common(last, not_last)]


def template_of(info: ModelInfo, source: str | None, model_name: str) -> ChatTemplate:
    """The template of a model.

    Args:
        info: the model.
        source: Jinja that the user has given instead of the model's own; "plain" for the simple one.
        model_name: for the error.
    Raises:
        ChatTemplateError: the model has none, and none was given.
    """
    source = source or info.chat_template
    tokens: dict[str, Any] = {
        "bos_token": info.bos_token,
        "eos_token": info.eos_token,
        "special_tokens": info.special_tokens,
        "picture_margin": _PICTURE_MARGINS.get(info.architecture, ""),
    }
    if source == "plain":
        return ChatTemplate.plain(**tokens)
    if source is None:
        raise ChatTemplateError(
            f'{model_name} has no chat template: pass one as chat_template=…, or chat_template="plain" for a simple '
            "one, or use complete()"
        )
    return ChatTemplate(source, **tokens)


def rendered(
    template: ChatTemplate,
    info: ModelInfo,
    messages: Sequence[Message],
    *,
    tools: Sequence[Mapping[str, Any]] | None = None,
    add_generation_prompt: bool = True,
) -> str:
    """A conversation as text, which `Transcript.tokenize` makes tokens of."""
    text = SEAM.join(template.render(messages, tools=tools, add_generation_prompt=add_generation_prompt))
    if info.add_bos and info.bos_token and not text.startswith(info.bos_token):
        text = info.bos_token + text
    return text


def _unmarked(message: Message) -> Message:
    return replace(message, content=unmarked(message.content)) if message.role == "assistant" else message


def _media_of(messages: Sequence[Message], text: str) -> tuple[Medium, ...]:
    """The media of messages, which must all be in the text that was made of them."""
    media = unique(medium for message in messages for medium in message.media)
    if any(markers([medium]) not in text for medium in media):
        raise ChatTemplateError(
            'the chat template leaves media out; pass another as chat_template=…, or chat_template="plain"'
        )
    return media


def _media_ends(tokens: Sequence[int], media: Sequence[Medium]) -> tuple[int, ...]:
    """Tokens up to the end of the last medium."""
    if not media:
        return ()
    return (next((n for n in range(len(tokens), 0, -1) if tokens[n - 1] < 0), 0),)


def _system_and_rest(messages: Sequence[Message]) -> tuple[str, Sequence[Message]]:
    if messages and messages[0].role == "system":
        return messages[0].content, messages[1:]
    return "", messages
