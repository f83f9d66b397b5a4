"""Questions about a scene, in English and in Japanese, with the one right answer to each."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal

from .pictures import COLOURS, SHAPES, SIDE, Scene, Shape, pick, side_of

Language = Literal["en", "ja"]
LANGUAGES: tuple[Language, ...] = ("en", "ja")
NO_PICTURE = {"en": "there is no picture", "ja": "絵がありません"}

KANJI = {
    "circle": "丸",
    "square": "四角",
    "triangle": "三角",
    "cross": "十字",
    "red": "赤",
    "green": "緑",
    "blue": "青",
    "yellow": "黄色",
    "purple": "紫",
    "orange": "オレンジ",
    "left": "左",
    "right": "右",
    "top": "上",
    "bottom": "下",
    "middle": "真ん中",
}
NUMBERS = {"en": ("one", "two"), "ja": ("一つ", "二つ")}

Named = tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Question:
    """A question, its answer, and what a trainer has to know of it.

    Attributes:
        kind: count, colour, shape, where, describe, colour_of, shape_of, side, box or none (no picture).
        seen: pieces of the answer with the index of the shape that each speaks of (-1 where of none); joined they are
            the answer.
    """

    kind: str
    language: Language
    text: str
    seen: Named

    @property
    def answer(self) -> str:
        return "".join(piece for piece, _ in self.seen)


def questions(scene: Scene, language: Language) -> list[Question]:
    """Every question that may be asked about a scene."""
    asked = [_count(scene, language), _describe(scene, language)]
    if len(scene.shapes) == 1:
        asked += _about_the_only(scene.shapes[0], language)
    for index, shape in enumerate(scene.shapes):
        others = [other for other in scene.shapes if other is not shape]
        if all(other.kind != shape.kind for other in others):
            asked.append(_colour_of(shape, index, language))
        if all(other.colour != shape.colour for other in others):
            asked.append(_shape_of(shape, index, language))
        asked.append(_box(shape, index, language))
        asked += [_side(shape, other, index, language) for other in others]
    return asked


def without_picture(chance: random.Random) -> Question:
    """A question that is asked without a picture."""
    language = pick(chance, LANGUAGES)
    shapes = tuple(
        Shape(pick(chance, SHAPES), pick(chance, tuple(COLOURS)), (0, 0, 0), x, SIDE // 2, 10)
        for x in (20, 70)[: 1 + int(chance.random() * 2)]
    )
    asked = pick(chance, questions(Scene(SIDE, SIDE, (0, 0, 0), shapes), language))
    return Question("none", language, asked.text, ((NO_PICTURE[language], -1),))


def box_text(shape: Shape) -> str:
    """Left, top, right and bottom in hundredths of the letterboxed square."""
    return " ".join(str((200 * edge + SIDE) // (2 * SIDE)) for edge in shape.box)


def read_box(text: str) -> tuple[float, float, float, float] | None:
    """A box as an answer gives it, in hundredths; None where the text is no box."""
    words = text.split()
    if len(words) != 4 or not all(word.isascii() and word.isdigit() for word in words):
        return None
    left, top, right, bottom = (float(word) for word in words)
    return left, top, right, bottom


def overlap(answer: str, shape: Shape) -> float:
    """Intersection over union of the box in an answer and a shape's own, 0 where the answer is no box."""
    box = read_box(answer)
    if box is None or box[2] <= box[0] or box[3] <= box[1]:
        return 0.0
    true = [edge * 100 / SIDE for edge in shape.box]
    wide = min(box[2], true[2]) - max(box[0], true[0])
    high = min(box[3], true[3]) - max(box[1], true[1])
    both = max(0.0, wide) * max(0.0, high)
    areas = (box[2] - box[0]) * (box[3] - box[1]) + (true[2] - true[0]) * (true[3] - true[1])
    return both / (areas - both)


def name(shape: Shape, language: Language) -> str:
    """The colour and the shape: red circle, 赤い丸."""
    if language == "en":
        return f"{shape.colour} {shape.kind}"
    return adjective(shape.colour) + KANJI[shape.kind]


def adjective(colour: str) -> str:
    """A colour as it stands before a noun in Japanese."""
    return KANJI[colour] + ("い" if colour in ("red", "blue", "yellow") else "の")


def word(english: str, language: Language) -> str:
    return english if language == "en" else KANJI[english]


def _count(scene: Scene, language: Language) -> Question:
    text = {"en": "How many shapes are there?", "ja": "形はいくつありますか。"}[language]
    return Question("count", language, text, ((NUMBERS[language][len(scene.shapes) - 1], -1),))


def _describe(scene: Scene, language: Language) -> Question:
    text = {"en": "Describe the picture.", "ja": "絵を説明してください。"}[language]
    order = sorted(range(len(scene.shapes)), key=lambda index: scene.shapes[index].x)
    names = [(name(scene.shapes[index], language), index) for index in order]
    if len(names) == 1:
        place = side_of(scene.shapes[0]) or "middle"
        if language == "ja":
            return Question("describe", language, text, ((f"{KANJI[place]}に", 0), names[0]))
        tail = " in the middle" if place == "middle" else f" at the {place}"
        return Question("describe", language, text, (_with_article(names[0]), (tail, 0)))
    if language == "ja":
        return Question("describe", language, text, (names[0], ("と", -1), names[1]))
    return Question("describe", language, text, (_with_article(names[0]), (" and ", -1), _with_article(names[1])))


def _with_article(named: tuple[str, int]) -> tuple[str, int]:
    return ("an " if named[0].startswith("orange") else "a ") + named[0], named[1]


def _about_the_only(shape: Shape, language: Language) -> list[Question]:
    texts = {
        "en": ("What colour is the shape?", "Which shape is it?", "Where is the shape?"),
        "ja": ("形は何色ですか。", "どの形ですか。", "形はどこにありますか。"),
    }[language]
    answers = (shape.colour, shape.kind, side_of(shape) or "middle")
    kinds = ("colour", "shape", "where")
    return [
        Question(kind, language, text, ((word(answer, language), 0),))
        for kind, text, answer in zip(kinds, texts, answers, strict=True)
    ]


def _colour_of(shape: Shape, index: int, language: Language) -> Question:
    noun = word(shape.kind, language)
    text = {"en": f"What colour is the {noun}?", "ja": f"{noun}は何色ですか。"}[language]
    return Question("colour_of", language, text, ((word(shape.colour, language), index),))


def _shape_of(shape: Shape, index: int, language: Language) -> Question:
    text = {"en": f"Which shape is {shape.colour}?", "ja": f"{adjective(shape.colour)}形は何ですか。"}[language]
    return Question("shape_of", language, text, ((word(shape.kind, language), index),))


def _side(shape: Shape, other: Shape, index: int, language: Language) -> Question:
    text = {
        "en": f"Is the {name(shape, 'en')} left or right of the {name(other, 'en')}?",
        "ja": f"{name(shape, 'ja')}は{name(other, 'ja')}の左ですか、右ですか。",
    }[language]
    return Question("side", language, text, ((word("left" if shape.x < other.x else "right", language), index),))


def _box(shape: Shape, index: int, language: Language) -> Question:
    named = name(shape, language)
    text = {"en": f"Give the box of the {named}.", "ja": f"{named}の枠を答えてください。"}[language]
    return Question("box", language, text, ((box_text(shape), index),))
