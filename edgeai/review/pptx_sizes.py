"""How large the letters of a presentation are: its own size, or the one that a paragraph inherits.

Source: ECMA-376, Part 1, sections 19.3.1 (placeholders, layouts, masters) and 21.1.2 (text: `sz` in hundredths of a
point, `fontScale` in thousandths of a percent).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_DEFAULT = 18.0  # section 21.1.2.3.9: what text without any size has in presentations
_A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_P = "{http://schemas.openxmlformats.org/presentationml/2006/main}"
_STYLES = {1: "titleStyle", 3: "titleStyle", 2: "bodyStyle", 4: "bodyStyle", 7: "bodyStyle"}
"""By python-pptx's PP_PLACEHOLDER: title, centred title, body, subtitle, object."""


class Sizes:
    """Of the letters in one shape."""

    def __init__(self, shape: Any, show: Any) -> None:
        self._lists = list(_list_styles(shape, show))
        self._scale = _scale(shape)

    def of_paragraph(self, paragraph: Any) -> float:
        """Points of most of its letters; 0 where it has none."""
        n_chars: dict[float, int] = {}
        for run in paragraph.runs:
            if run.text.strip():
                size = (run.font.size.pt if run.font.size else self._inherited(paragraph.level)) * self._scale
                n_chars[size] = n_chars.get(size, 0) + len(run.text)
        if n_chars:
            return max(n_chars, key=lambda size: n_chars[size])
        return self._inherited(paragraph.level) * self._scale if paragraph.text.strip() else 0.0  # fields

    def _inherited(self, level: int) -> float:
        for styles in self._lists:
            found = styles.find(f"{_A}lvl{level + 1}pPr/{_A}defRPr")
            if found is not None and (size := found.get("sz", "")).isdigit():
                return min(int(size) / 100, 4000.0)
        return _DEFAULT


def _list_styles(shape: Any, show: Any) -> Iterator[Any]:
    """Where the size of a level may be told, the nearest first."""
    for body in _text_bodies(shape):
        found = body.find(f"{_A}lstStyle")
        if found is not None:
            yield found
    master = shape.part.slide_layout.slide_master._element if hasattr(shape.part, "slide_layout") else None
    if master is not None and shape.is_placeholder:
        name = _STYLES.get(shape.placeholder_format.type, "otherStyle")
        found = master.find(f"{_P}txStyles/{_P}{name}")
        if found is not None:
            yield found
    default = show.part._element.find(f"{_P}defaultTextStyle")
    if default is not None:
        yield default


def _text_bodies(shape: Any) -> Iterator[Any]:
    """The shape's own, its layout's and its master's."""
    if shape.is_placeholder and hasattr(shape.part, "slide_layout"):
        place = shape.placeholder_format
        layout = shape.part.slide_layout
        on_layout = [each for each in layout.placeholders if each.placeholder_format.idx == place.idx]
        kinds = {place.type} | ({1} if place.type == 3 else set()) | ({2} if place.type in (4, 7) else set())
        on_master = [each for each in layout.slide_master.placeholders if each.placeholder_format.type in kinds]
        bearers = [shape, *on_layout[:1], *on_master[:1]]
    else:
        bearers = [shape]
    for bearer in bearers:
        body = bearer._element.find(f"{_P}txBody")
        if body is not None:
            yield body


def _scale(shape: Any) -> float:
    """By which PowerPoint has made a text smaller so that it fits."""
    for body in _text_bodies(shape):
        found = body.find(f"{_A}bodyPr/{_A}normAutofit")
        if found is not None:
            value = found.get("fontScale", "100000").removesuffix("%")
            if value.isdigit():
                return min(max(int(value) / (100 if int(value) <= 100 else 100_000), 0.01), 1.0)
            return 1.0
    return 1.0
