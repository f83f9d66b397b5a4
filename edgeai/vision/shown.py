"""A user's message with pictures: as pictures, for a model that sees; as what is written in them, for another."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from edgeai.documents.prompt_text import fenced_text
from edgeai.errors import OptionError, UnsupportedModalityError
from edgeai.vision.picture import LoadedPicture, PictureReader

if TYPE_CHECKING:
    from edgeai.media import Medium
    from edgeai.messages import Message
    from edgeai.vision.picture import PictureLike
    from edgeai.vision.picture_text import PictureText

_KANA = re.compile("[\u3041-\u30ff]")


def shown(
    images: Sequence[PictureLike], message: Message, *, sees: bool, read_text: Callable[[Medium], PictureText]
) -> tuple[Message, str]:
    """The message with pictures before what it has, and what its answer begins with.

    Args:
        images: picture files, their bytes, or Pillow's images.
        message: what is said or played with them.
        sees: whether the model takes pictures in.
        read_text: tells what is written in a picture, for a model that does not.
    Raises:
        PictureError: a picture cannot be read.
        UnsupportedModalityError: the model does not see, and nothing is written in a picture, or the extra that reads
            it is not installed.
        OptionError: it is no list.
    """
    if not isinstance(images, (list, tuple)):
        raise OptionError("images is one picture: expected a list of them, images=[picture]")
    with PictureReader() as reader:
        pictures = [reader.load(image) for image in images]
    if sees:
        media = tuple(picture.medium for picture in pictures)
        return replace(message, media=(*media, *message.media)), ""
    texts = [fenced_text(f"{picture.name} (text in a picture)", _text(picture, read_text)) for picture in pictures]
    said = replace(message, content="\n\n".join([*texts, message.content]))
    return said, _not_seen([picture.name for picture in pictures], message.content)


def _text(picture: LoadedPicture, read_text: Callable[[Medium], PictureText]) -> str:
    name = picture.name or "the picture"
    try:
        text = read_text(picture.medium).markdown
    except OptionError as exc:  # what reads is not installed
        raise UnsupportedModalityError(
            f"{name}: the model sees no pictures, and {exc}; or take a model that sees (edgeai models)"
        ) from exc
    if not text.strip():
        raise UnsupportedModalityError(
            f"{name}: the model sees no pictures, and nothing is written in this one that it could read; take "
            "a model that sees (edgeai models)"
        )
    return text


def _not_seen(names: Sequence[str], question: str) -> str:
    """In the language of the question."""
    if _KANA.search(question):
        return f"（{'、'.join(names)}の画像は見ていません。書かれている文字だけを読みました。）\n\n"
    return f"(I have not seen {', '.join(names)}, only read what is written in it.)\n\n"
