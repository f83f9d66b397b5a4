"""Find things in a picture: a model that sees is asked for boxes, and can answer with nothing else."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgeai.errors import OptionError, UnsupportedModalityError
from edgeai.messages import Message
from edgeai.vision.grounding import Detection, GroundingStyle, style_of
from edgeai.vision.picture import load_picture
from edgeai.vision.prepare import seen_size

if TYPE_CHECKING:
    from edgeai.session import Session
    from edgeai.vision.picture import PictureLike

_MAX_LABELS, _MAX_LABEL_CHARS = 64, 200
_BAD = re.compile(r'["\\<>\x00-\x1f\x7f-\x9f]')


def detect(
    session: Session, image: PictureLike, labels: Sequence[str], style: str | GroundingStyle = "auto"
) -> list[Detection]:
    """What a model finds; see `Session.detect`.

    Raises:
        PictureError: the picture cannot be read.
        UnsupportedModalityError: the model sees no pictures.
        OptionError: labels that make no sense, or a model that is not known to say where things are.
    """
    labels = checked_labels(labels)
    if not session.info.sees:
        raise UnsupportedModalityError(
            f"{session.model_name}: it sees no pictures: take a model that sees (edgeai models), or a detector"
        )
    chosen = style_of(style, session.info.architecture)
    picture = load_picture(image)
    seen = seen_size(*picture.medium.size, session.info.architecture, session.info.n_picture_tokens)
    found = []
    for question, group in chosen.questions(labels):
        response = session.chat(
            messages=[Message("user", question, media=(picture.medium,))],
            response_format=re.compile(chosen.pattern(group)),
            temperature=0,
        )
        for label, written in chosen.boxes(response.text, group):
            box = chosen.in_picture(written, (picture.width, picture.height), seen)
            if box is not None:
                found.append(Detection(label, box))
    return found


def checked_labels(labels: Sequence[str]) -> list[str]:
    """Labels without repetitions.

    Raises:
        OptionError: none, too many, or such as no answer can hold.
    """
    if isinstance(labels, str) or not labels or len(labels) > _MAX_LABELS:
        raise OptionError(f"labels = {labels!r:.80}: expected a list of 1 to {_MAX_LABELS} things to look for")
    for label in labels:
        if not isinstance(label, str) or not label.strip() or len(label) > _MAX_LABEL_CHARS or _BAD.search(label):
            raise OptionError(
                f"{label!r:.80} is nothing to look for: expected a text of 1 to {_MAX_LABEL_CHARS} characters without "
                'quotation marks, backslashes, < and >, and line breaks, such as "red circle"'
            )
    return list(dict.fromkeys(label.strip() for label in labels))
