"""What edgeai answers with the tiny vision-language model, quantized by us, beside what transformers answers with it.

python -m tests.vision.answers

prints the table for the held-out questions of the form that edgeai writes: how many texts are transformers' own, how
many are right, and how well boxes fit.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

from edgeai import Message, Session
from edgeai.media import Medium
from quantize import Options, quantize
from tests.vision.tiny_vlm.pictures import draw, letterbox
from tests.vision.tiny_vlm.reference import MODEL_DIR, Asked, held_out, reference

TYPES = {"F16": ("F16", "F16"), "Q8_0": ("Q8_0", "Q8_0"), "Q4_0": ("Q4_0", "Q8_0")}
"""Of the text model and of the projector."""
GREEDY: dict[str, Any] = {"temperature": 0.0, "max_tokens": 24}


@contextmanager
def opened(name: str, folder: Path, **options: Any) -> Iterator[Session]:
    """The model, quantized to TYPES[name] into a folder, and opened as users open it."""
    ftype, projector = TYPES[name]
    artifact = quantize(MODEL_DIR, folder / name / "tiny.gguf", Options(ftype=ftype, projector=projector))
    with Session(artifact.path, n_threads=1, n_ctx=256, **options) as session:
        yield session


def shown(picture: int, *, boxed: bool = True) -> Medium:
    """A held-out picture, with black bars where it is no square, or as it is."""
    image = draw(held_out(picture))
    image = letterbox(image) if boxed else image
    return Medium.picture(image.convert("RGB").tobytes(), *image.size)


def answered(session: Session, asked: Iterable[Asked]) -> list[Asked]:
    """The questions with this session's answers in the place of transformers'.

    The forms that put blank lines around a picture are those that edgeai writes for Gemma 3.
    """
    found = []
    for picture, group in groupby(asked, key=lambda one: one.picture):
        media = () if picture is None else (shown(picture),)
        for one in group:
            response = session.chat(messages=[Message("user", one.question.text, media=media)], **GREEDY)
            found.append(replace(one, reference=response.text))
    return found


@dataclass(frozen=True)
class Agreement:
    """How answers compare with transformers'.

    Attributes:
        same: share of the same texts, boxes left out.
        same_boxes: share of the same texts of boxes.
        right: share that is right, boxes left out.
        right_reference: the same of transformers'.
        overlap: mean intersection over union of boxes.
        overlap_reference: the same of transformers'.
    """

    same: float
    same_boxes: float
    right: float
    right_reference: float
    overlap: float
    overlap_reference: float


def agreement(ours: Sequence[Asked], theirs: Sequence[Asked]) -> Agreement:
    """Compare answers to the same questions."""
    pairs = list(zip(ours, theirs, strict=True))
    boxes = [pair for pair in pairs if pair[1].question.kind == "box"]
    texts = [pair for pair in pairs if pair[1].question.kind != "box"]

    def mean(pairs: list[tuple[Asked, Asked]], value: Callable[[Asked, Asked], float]) -> float:
        return statistics.fmean(value(*pair) for pair in pairs)

    return Agreement(
        mean(texts, lambda own, other: own.reference == other.reference),
        mean(boxes, lambda own, other: own.reference == other.reference),
        mean(texts, lambda own, _: own.score(own.reference)),
        mean(texts, lambda _, other: other.score(other.reference)),
        mean(boxes, lambda own, _: own.score(own.reference)),
        mean(boxes, lambda _, other: other.score(other.reference)),
    )


def main() -> None:
    theirs = [one for one in reference() if one.form in ("after_blank", "none")]
    print(
        f"{len(theirs)} questions; text, projector: same text, same box, right (transformers), overlap (transformers)"
    )
    with tempfile.TemporaryDirectory() as folder:
        for name, types in TYPES.items():
            with opened(name, Path(folder)) as session:
                found = agreement(answered(session, theirs), theirs)
            print(
                f"{', '.join(types):12} {found.same:.2%}  {found.same_boxes:.2%}  {found.right:.2%} "
                f"({found.right_reference:.2%})  {found.overlap:.3f} ({found.overlap_reference:.3f})",
                flush=True,
            )


if __name__ == "__main__":
    main()
