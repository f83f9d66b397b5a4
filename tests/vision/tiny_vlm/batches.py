"""Rows of tokens to train on: one picture and as many questions about it as fit, none of which sees another."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .pictures import COLOURS, GRID, PATCH, SHAPES, SIDE, Scene, draw, letterbox, pick
from .questions import LANGUAGES, Named, Question, questions, without_picture

N_CELLS = GRID * GRID
N_TOKENS = 160
N_ANSWERS = 48
HEAD = "<bos><start_of_turn>user\n"
PICTURE = "<start_of_image>" + "<image_soft_token>" * N_CELLS + "<end_of_image>"
REPLY = "<end_of_turn>\n<start_of_turn>model\n"
TURN = "\n<start_of_turn>user\n"

WEIGHTS = {
    1: {
        "count": 1.0,
        "colour": 1.0,
        "shape": 1.0,
        "where": 1.0,
        "describe": 1.0,
        "colour_of": 0.7,
        "shape_of": 0.7,
        "box": 2.0,
    },
    2: {"count": 0.7, "describe": 2.0, "colour_of": 2.0, "shape_of": 1.2, "side": 1.0, "box": 1.6},
}
"""How often each kind of question is asked of a picture of one and of two shapes, for each one that there is."""

Arrays = dict[str, NDArray[Any]]


class Words:
    """A tokenizer with what the batches need of it, remembered."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self.image = tokenizer.convert_tokens_to_ids("<image_soft_token>")
        self.end = tokenizer.convert_tokens_to_ids("<end_of_turn>")
        self.number = tokenizer.convert_tokens_to_ids("0")
        self.encode = lru_cache(maxsize=100_000)(self._encode)
        self.answer = lru_cache(maxsize=100_000)(self._answer)

    def _encode(self, text: str) -> tuple[int, ...]:
        return tuple(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def _answer(self, seen: Named) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The tokens of an answer and of which shape each speaks; the end of the turn is the last."""
        owners = [owner for piece, owner in seen for _ in piece]
        encoded = self._tokenizer(
            "".join(piece for piece, _ in seen), add_special_tokens=False, return_offsets_mapping=True
        )
        spoken = [owners[max(end - 1, 0)] for _, end in encoded["offset_mapping"]]
        return (*encoded["input_ids"], self.end), (*spoken, -1)


@dataclass(frozen=True)
class Mix:
    """How often the questions stand before the picture, and how much more of those ask for a side."""

    first: float
    side: float = 1.0


@dataclass
class Row:
    """One line of a batch while it grows."""

    scene: Scene
    first: bool
    """Whether the questions stand before the picture."""
    tokens: list[int] = field(default_factory=list)
    segments: list[int] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    parents: dict[int, int] = field(default_factory=dict)
    answers: list[tuple[int, int, int, int]] = field(default_factory=list)
    """Position, label, the shape spoken of and the one that it is compared with (-1 for none)."""
    asked: list[tuple[Question, int, int]] = field(default_factory=list)
    """Each question with its first answer and the one behind its last."""

    def add(self, words: Words, before: str, turns: list[tuple[str, Question]], parent: int = -1) -> bool:
        """Add a segment: text, then questions with their answers; False where it does not fit."""
        tokens, asked = list(words.encode(before)), []
        answers: list[tuple[int, int, int, int]] = []
        at, n_answers = len(self.tokens), len(self.answers)
        for text, question in turns:
            tokens += words.encode(text)
            labels, owners = words.answer(question.seen)
            first = n_answers + len(answers)
            others = [1 - owner if question.kind == "side" and owner >= 0 else -1 for owner in owners]
            answers += [(at + len(tokens) - 1 + i, label, owners[i], others[i]) for i, label in enumerate(labels)]
            asked.append((question, first, first + len(labels)))
            tokens += labels
        if at + len(tokens) > N_TOKENS or n_answers + len(answers) > N_ANSWERS:
            return False
        segment = len(self.parents)
        start = sum(other == parent for other in self.segments) if parent >= 0 else 0
        self.parents[segment] = parent
        self.tokens += tokens
        self.segments += [segment] * len(tokens)
        self.positions += range(start, start + len(tokens))
        self.answers += answers
        self.asked += asked
        return True


def random_row(chance: random.Random, words: Words, scene: Scene, mix: Mix) -> Row:
    """A picture with questions behind it or before it; blank lines around it in a third of the rows."""
    gap = "\n\n" if chance.random() < 0.35 else ""
    first = chance.random() < mix.first
    row = Row(scene, first)
    asked = (pick_question(chance, scene, mix.side if first else 1.0) for _ in iter(int, 1))
    if not first:
        row.add(words, HEAD + gap + PICTURE + gap, [])
    if chance.random() < 0.25:
        alone = without_picture(chance)
        row.add(words, HEAD, [(alone.text + REPLY, alone)])
    fits = True
    while fits and first:
        question = next(asked)
        fits = row.add(words, HEAD, [(text_first(question, gap), question)])
    while fits:
        fits = row.add(words, "", _turns(chance, asked), parent=0)
    return row


def text_first(question: Question, gap: str) -> str:
    """What follows the head of a turn where the question stands before the picture."""
    return question.text + gap + PICTURE + gap + REPLY


def pick_question(chance: random.Random, scene: Scene, side: float) -> Question:
    """One question about a scene, hard ones more often, which side a shape is on `side` times as often."""
    choice = questions(scene, pick(chance, LANGUAGES))
    weights = [
        WEIGHTS[len(scene.shapes)][question.kind] * (side if question.kind == "side" else 1) for question in choice
    ]
    left = chance.random() * sum(weights)
    for question, weight in zip(choice, weights, strict=True):
        left -= weight
        if left < 0:
            return question
    return choice[-1]


def collate(rows: list[Row], words: Words) -> Arrays:
    """The arrays of a batch.

    Returns:
        pixels [n, side, side, 3], tokens, positions and cells (-1 where no picture is) [n, n_tokens], mask
        [n, n_tokens, n_tokens] (who sees whom), answers, labels (-1 where none is) [n, n_answers], named
        and other [n, n_answers, n_tokens] (the cells of the shape that is spoken of, and of the one it is compared
        with), and what `look` makes.
    """
    n = len(rows)
    tokens = np.zeros((n, N_TOKENS), np.int64)
    positions = np.zeros((n, N_TOKENS), np.int64)
    segments = np.full((n, N_TOKENS), -1, np.int64)
    parents = np.full((n, N_TOKENS), -2, np.int64)
    answers = np.zeros((n, N_ANSWERS), np.int64)
    labels = np.full((n, N_ANSWERS), -1, np.int64)
    named, other = (np.zeros((n, N_ANSWERS, N_TOKENS), bool) for _ in range(2))
    seen = [cell_labels(row.scene) for row in rows]
    for at, row in enumerate(rows):
        size = len(row.tokens)
        tokens[at, :size], positions[at, :size], segments[at, :size] = row.tokens, row.positions, row.segments
        parents[at, :size] = [row.parents[segment] if row.parents[segment] >= 0 else -2 for segment in row.segments]
        image = tokens[at] == words.image
        for index, (place, label, *owners) in enumerate(row.answers):
            answers[at, index], labels[at, index] = place, label
            mine = (segments[at] == segments[at, place]) | (segments[at] == parents[at, place])
            for looked_at, owner in zip((named, other), owners, strict=True):
                if owner >= 0:
                    looked_at[at, index, image & mine] = seen[at]["covers"][owner]
    image = tokens == words.image
    same = segments[:, :, None] == segments[:, None, :]
    mask = (same | (parents[:, :, None] == segments[:, None, :])) & np.tri(N_TOKENS, dtype=bool)
    mask |= same & image[:, :, None] & image[:, None, :]
    cells = np.where(image, (np.cumsum(image, axis=1) - 1) % N_CELLS, -1)
    arrays = {"tokens": tokens, "positions": positions, "cells": cells, "mask": mask}
    return (
        arrays
        | {"answers": answers, "labels": labels, "named": named, "other": other}
        | look([row.scene for row in rows])
    )


def look(scenes: list[Scene]) -> Arrays:
    """The pictures of some scenes, pixels [n, side, side, 3], and what `cell_labels` makes of them."""
    seen = [cell_labels(scene) for scene in scenes]
    arrays = {key: np.stack([one[key] for one in seen]) for key in seen[0] if key != "covers"}
    return arrays | {"pixels": np.stack([np.asarray(letterbox(draw(scene))) for scene in scenes])}


def cell_labels(scene: Scene) -> Arrays:
    """What each of the picture's cells shows.

    Returns:
        covers [n_shapes, n_cells], kind and colour (-1 where nothing is), centre [n_cells], box [n_cells, 4], 0 to 1.
    """
    edges = np.arange(GRID) * PATCH
    covers = np.zeros((len(scene.shapes), N_CELLS), bool)
    best = np.zeros(N_CELLS)
    kind, colour, centre = (np.full(N_CELLS, fill, np.int64) for fill in (-1, -1, 0))
    box = np.zeros((N_CELLS, 4), np.float32)
    for index, shape in enumerate(scene.shapes):
        x0, y0, x1, y1 = shape.box
        wide = np.clip(np.minimum(edges + PATCH, x1) - np.maximum(edges, x0), 0, PATCH)
        high = np.clip(np.minimum(edges + PATCH, y1) - np.maximum(edges, y0), 0, PATCH)
        share = (high[:, None] * wide[None, :]).reshape(-1) / PATCH**2
        middle = shape.y // PATCH * GRID + shape.x // PATCH
        covers[index] = share > 0.25
        covers[index, middle] = True
        mine = covers[index] & (share > best)
        best = np.maximum(best, share * covers[index])
        kind[mine], colour[mine] = SHAPES.index(shape.kind), tuple(COLOURS).index(shape.colour)
        box[mine] = np.array(shape.box) / SIDE
        centre[middle] = 1
    return {"covers": covers, "kind": kind, "colour": colour, "centre": centre, "box": box}


def _turns(chance: random.Random, asked: Iterator[Question]) -> list[tuple[str, Question]]:
    first = next(asked)
    turns = [(first.text + REPLY, first)]
    if chance.random() < 0.1:
        second = next(asked)
        turns.append((TURN + second.text + REPLY, second))
    return turns
