"""The held-out questions and what transformers answers to them (f32, greedy), from `reference.json`.

The pictures are drawn again from their seed. A picture is asked about in one of four forms: "after" (the question
behind the picture), "after_blank" (with the blank lines that transformers' processor puts around a picture), "before"
and "before_blank" (the question first); "none" is a question without a picture.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .pictures import Scene, random_scene
from .questions import LANGUAGES, Question, overlap, questions, without_picture

SEED = 90_000_000
N_PICTURES = {"after": 200, "after_blank": 60, "before": 70, "before_blank": 70}
"""Pictures asked about in each form, each picture in one form only; every question about it in both languages."""
N_ALONE = 60
MODEL_DIR = Path(__file__).parent / "model"
REFERENCE_PATH = Path(__file__).parent / "reference.json"


@dataclass(frozen=True)
class Asked:
    """A held-out question.

    Attributes:
        picture: number of the picture, for `held_out`; None where there is none.
        reference: what transformers answers, right or wrong; empty while there is no reference.
    """

    form: str
    picture: int | None
    question: Question
    reference: str = ""

    @property
    def n_shapes(self) -> int:
        return 0 if self.picture is None else len(held_out(self.picture).shapes)

    def score(self, answer: str) -> float:
        """1 for the right answer to the letter and 0 for another; for a box, intersection over union."""
        if self.question.kind != "box" or self.picture is None:
            return float(answer == self.question.answer)
        return overlap(answer, held_out(self.picture).shapes[self.question.seen[0][1]])


def held_out(picture: int) -> Scene:
    """The scene of a held-out picture: one and two shapes by turns, two of five pictures no square."""
    return random_scene(random.Random(SEED + picture), 1 + picture % 2, square=picture % 5 < 3)


def held_out_questions() -> Iterator[Asked]:
    """Every held-out question, always in the same order."""
    first = 0
    for form, n_pictures in N_PICTURES.items():
        for picture in range(first, first + n_pictures):
            for language in LANGUAGES:
                for question in questions(held_out(picture), language):
                    yield Asked(form, picture, question)
        first += n_pictures
    chance = random.Random(SEED)
    for _ in range(N_ALONE):
        yield Asked("none", None, without_picture(chance))


def write_reference(asked: list[Asked], path: Path = REFERENCE_PATH) -> None:
    """Keep questions with their answers: [form, picture, question, answer], a question as its number in a list."""
    texts = list(dict.fromkeys(one.question.text for one in asked))
    number = {text: at for at, text in enumerate(texts)}
    rows = [[one.form, one.picture, number[one.question.text], one.reference] for one in asked]
    lines = ",\n".join(json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in rows)
    head = json.dumps(texts, ensure_ascii=False)
    path.write_text(f'{{"seed": {SEED},\n"questions": {head},\n"asked": [\n{lines}\n]}}\n', encoding="utf-8")


def reference(path: Path = REFERENCE_PATH) -> list[Asked]:
    """The held-out questions with transformers' answers.

    Raises:
        ValueError: the file's questions are not those that the generator asks today.
    """
    kept = json.loads(path.read_text(encoding="utf-8"))
    asked = list(held_out_questions())
    if kept["seed"] != SEED or len(asked) != len(kept["asked"]):
        raise ValueError(f"{path}: made for other questions; run tests.vision.tiny_vlm.evaluate again")
    found = []
    for one, (form, picture, number, answer) in zip(asked, kept["asked"], strict=True):
        if (form, picture, kept["questions"][number]) != (one.form, one.picture, one.question.text):
            raise ValueError(f"{path}: asks {kept['questions'][number]!r}, the generator asks {one.question.text!r}")
        found.append(Asked(one.form, one.picture, one.question, answer))
    return found
