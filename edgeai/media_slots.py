"""How a chat template takes what is no text: as parts of a message's content, and what it writes for a picture.

Templates of models that see want a content of parts (`[{"type": "image"}, {"type": "text", "text": …}]`) and write a
text of their own where a picture stands, such as `<start_of_image>`. Some take strings as well, some lose them. Which
kind a template is, its renderings of small messages tell.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from edgeai.common_prefix import n_common
from edgeai.errors import ChatTemplateError
from edgeai.media import Medium, markers

_PROBE = "\ufdd1"
_IMAGE = {"type": "image"}
_MAX_SLOT_CHARS = 64  # as much of it is kept out of users' texts at their edges (ControlTokens)

Render = Callable[[Any], str]
"""The prompt of a conversation of one user's message with this content."""


@dataclass(frozen=True, slots=True)
class MediaSlots:
    """What a template makes of contents.

    Attributes:
        needs_parts: contents that are strings are lost.
        picture: what stands for a picture; "" where it has no place for any, and markers stand in the text.
    """

    needs_parts: bool = False
    picture: str = ""

    @classmethod
    def of(cls, source: str, render: Render) -> MediaSlots:
        """Those of a template.

        Args:
            source: its Jinja.
            render: renders it.
        """
        if "type" not in source:  # it does not tell parts from each other
            return cls()
        plain, typed = _rendered(render, _PROBE), _rendered(render, [_text(_PROBE)])
        needs_parts = _PROBE not in plain and _PROBE in typed
        seen = _rendered(render, [_IMAGE, _text(_PROBE)]) if _PROBE in typed else ""
        slot = _inserted(seen, typed) if _PROBE in seen else ""
        return cls(needs_parts, slot if len(slot) <= _MAX_SLOT_CHARS else "")

    def content(self, text: str, media: Sequence[Medium]) -> Any:
        """A message's content as the template takes it. `text` is guarded; media come before it."""
        pictures = [medium for medium in media if not medium.is_sound] if self.picture else []
        text = markers([medium for medium in media if medium not in pictures]) + text
        if not pictures and not self.needs_parts:
            return text
        return [*([_IMAGE] * len(pictures)), _text(text)]

    def filled(self, parts: Sequence[str], media: Sequence[Medium], margin: str) -> tuple[str, ...]:
        """Parts of a rendered prompt with markers in the places of pictures.

        Args:
            parts: in which no message's text makes up what stands for a picture.
            media: of all messages, in their order.
            margin: text before and after each picture.
        Raises:
            ChatTemplateError: it has not one place for each.
        """
        pictures = [medium for medium in media if not medium.is_sound] if self.picture else []
        if not pictures:
            return tuple(parts)
        if sum(part.count(self.picture) for part in parts) != len(pictures):
            raise ChatTemplateError(
                f"the chat template has not one place for each of {len(pictures)} pictures; pass another as "
                'chat_template=…, or chat_template="plain"'
            )
        left, filled = iter(pictures), []
        for part in parts:
            first, *others = part.split(self.picture)
            filled.append(first + "".join(f"{margin}{markers([next(left)])}{margin}{other}" for other in others))
        return tuple(filled)


def _text(text: str) -> dict[str, str]:
    return {"type": "text", "text": text}


def _rendered(render: Render, content: Any) -> str:
    try:
        return render(content)
    except ChatTemplateError:
        return ""


def _inserted(longer: str, shorter: str) -> str:
    """What stands between the beginning and the end that both have."""
    n_begin = n_common(longer, shorter)
    rest, other = longer[n_begin:], shorter[n_begin:]
    return rest[: len(rest) - n_common(rest[::-1], other[::-1])]
