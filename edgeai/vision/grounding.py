"""Where something is in a picture, as models that see say it: boxes written in one of the forms of grounding.toml."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any, Literal

from edgeai.errors import OptionError
from edgeai.toml_text import read_toml

MAX_BOXES = 64
"""In one answer: a model that goes on for ever ends here."""

_PLACES = ("left", "top", "right", "bottom")
_FIELD = re.compile(r"\{(label|left|top|right|bottom)(?::0(\d))?\}")


@dataclass(frozen=True, slots=True)
class Detection:
    """Something that was found.

    Attributes:
        label: what was looked for.
        box: left, top, right and bottom, in pixels of the picture as it stands upright.
        score: how sure the model is, 0..1; None where it does not say.
    """

    label: str
    box: tuple[float, float, float, float]
    score: float | None = None


@dataclass(frozen=True, slots=True)
class GroundingStyle:
    """How one kind of model is asked for boxes, and writes them.

    Attributes:
        prompt: what it is asked, with {labels} in it.
        item: one box, with {left}, {top}, {right} and {bottom} in it ({left:04} with zeros before it), perhaps {label}.
        scale: the number that stands for the right and the lower edge; "pixels" of the picture as it sees it.
        frame: what the edges are of: the picture, or the square that it is padded to, in whose middle it stands.
        begin: before the boxes.
        separator: between them.
        end: behind them.
        none: the answer where there is nothing; "" for models that always find something.
        between_labels: in the prompt.
        each_label: it is asked for one label at a time.
        architectures: llama.cpp's names of the models that write so.

    Raises:
        OptionError: `item` lacks a place, or `prompt` the labels.
    """

    prompt: str
    item: str
    scale: int | Literal["pixels"]
    frame: Literal["picture", "square"] = "picture"
    begin: str = ""
    separator: str = " "
    end: str = ""
    none: str = ""
    between_labels: str = ", "
    each_label: bool = False
    architectures: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        found = sorted(field[1] for field in _FIELD.finditer(self.item) if field[1] != "label")
        if found != sorted(_PLACES) or "{labels}" not in self.prompt:
            raise OptionError(
                f"a style with the prompt {self.prompt!r:.80} and the item {self.item!r:.80}: expected {{labels}} in "
                "the prompt, and {left}, {top}, {right} and {bottom} in the item, each once"
            )

    def questions(self, labels: Sequence[str]) -> list[tuple[str, Sequence[str]]]:
        """What the model is asked, and the labels that each answer is about."""
        groups = [[label] for label in labels] if self.each_label else [list(labels)]
        return [(self.prompt.replace("{labels}", self.between_labels.join(group)), group) for group in groups]

    def pattern(self, labels: Sequence[str]) -> str:
        """A regular expression of all answers that tell of these labels."""
        item = self._item_pattern(labels, named=False)
        some = (
            f"{_literal(self.begin)}{item}({_literal(self.separator)}{item}){{0,{MAX_BOXES - 1}}}{_literal(self.end)}"
        )
        return f"({some}|{_literal(self.none)})" if self.none else some

    def boxes(self, answer: str, labels: Sequence[str]) -> Iterator[tuple[str, tuple[int, int, int, int]]]:
        """The boxes of an answer as it writes them: label; left, top, right, bottom."""
        for match in re.finditer(self._item_pattern(labels, named=True), answer):
            found = match.groupdict()
            left, top, right, bottom = (int(found[place]) for place in _PLACES)
            yield found.get("label") or labels[0], (left, top, right, bottom)

    def in_picture(
        self, box: tuple[int, int, int, int], size: tuple[int, int], seen: tuple[int, int]
    ) -> tuple[float, float, float, float] | None:
        """A box in pixels of a picture; None where nothing of it is inside.

        Args:
            box: as the model writes it.
            size: of the picture, width and height.
            seen: the size at which the model saw it (edgeai.vision.prepare).
        """
        edges = []
        for index, written in enumerate(box):
            side, seen_side = size[index % 2], seen[index % 2]
            extent = max(seen) if self.frame == "square" else seen_side
            place = written if self.scale == "pixels" else written * extent / self.scale
            place = (place - (extent - seen_side) / 2) * side / seen_side
            edges.append(min(max(place, 0.0), float(side)))
        left, top, right, bottom = edges
        return (left, top, right, bottom) if left < right and top < bottom else None

    def _item_pattern(self, labels: Sequence[str], *, named: bool) -> str:
        parts, at = [], 0
        for field in _FIELD.finditer(self.item):
            parts.append(_literal(self.item[at : field.start()]))
            name, n_digits = field.groups()
            inside = "|".join(map(_literal, labels)) if name == "label" else rf"[0-9]{{{n_digits or '1,5'}}}"
            parts.append(f"(?P<{name}>{inside})" if named else f"({inside})")
            at = field.end()
        return "".join([*parts, _literal(self.item[at:])])


def _literal(text: str) -> str:
    """A pattern of the text itself, for Python's regular expressions and for llguidance's, which refuse needless
    backslashes."""
    return re.sub(r"[\\.+*?()|\[\]{}^$]", r"\\\g<0>", text)


@functools.cache
def styles() -> dict[str, GroundingStyle]:
    """All that are known, by name."""
    with resources.as_file(resources.files("edgeai.vision").joinpath("grounding.toml")) as path:
        return {name: _style(table) for name, table in read_toml(path).items()}


def style_of(style: str | GroundingStyle, architecture: str) -> GroundingStyle:
    """The style by its name, or of a model.

    Args:
        style: a name, a style of your own, or "auto" for that of the model.
        architecture: llama.cpp's name of the model.
    Raises:
        OptionError: it is not known.
    """
    if isinstance(style, GroundingStyle):
        return style
    if style != "auto":
        if style not in styles():
            raise OptionError(f"style = {style!r}: expected one of {', '.join(styles())}, or auto")
        return styles()[style]
    found = next((known for known in styles().values() if architecture in known.architectures), None)
    if found is None:
        raise OptionError(
            f"a model of architecture {architecture!r:.40} is not known to say where things are: give style, one of "
            f"{', '.join(styles())}, or take another model"
        )
    return found


def _style(table: dict[str, Any]) -> GroundingStyle:
    return GroundingStyle(**{**table, "architectures": tuple(table.get("architectures", ()))})
