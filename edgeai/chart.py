"""What all charts have in common, whatever they show. They are drawn by matplotlib (extra `plot`)."""

from __future__ import annotations

import importlib.util
import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeai.errors import EdgeAIError
from edgeai.safe_text import one_line

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SUFFIXES = (".svg", ".png")
"""What a chart can be written as."""

_LONGEST_NAME = 40  # characters: a longer one leaves no room for what is drawn
_DPI = 150
_JAPANESE = ("Noto Sans CJK JP", "Hiragino Sans", "Yu Gothic", "Meiryo", "IPAexGothic", "TakaoPGothic")
"""Fonts of operating systems, the first of which that is there draws what matplotlib's own has no letters for."""
_STYLE: Any = {
    "svg.fonttype": "none",  # text stays text: small, searchable, in the reader's own fonts
    "svg.hashsalt": "edgeai",  # the same picture is the same file
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def check_chart(path: Path, error: type[EdgeAIError]) -> None:
    """Refuse what cannot be drawn, before anything is measured for it.

    Raises:
        error: the suffix is another, a folder is in its place, or matplotlib is missing.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise error(f"{path}: a picture is a {' or '.join(SUFFIXES)} file; choose one of these suffixes")
    if path.is_dir():
        raise error(f"{path}: is a folder, expected a file for the picture: choose another name")
    if not importlib.util.find_spec("matplotlib"):
        raise error("a picture needs matplotlib: pip install 'edgeai[plot]'")


@contextmanager
def chart_style() -> Iterator[None]:
    """Within it figures look like ours."""
    import matplotlib as mpl
    from matplotlib import font_manager

    known = {font.name for font in font_manager.fontManager.ttflist}
    families = ["DejaVu Sans", *(name for name in _JAPANESE if name in known)]
    with mpl.rc_context({**_STYLE, "font.family": families}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # of a name: whoever shows the SVG may have it
        yield


def chart_bytes(figure: Figure, path: Path) -> bytes:
    """A figure as the file that a path's suffix names, the same for the same figure."""
    kind, buffer = path.suffix[1:].lower(), io.BytesIO()
    figure.savefig(buffer, format=kind, dpi=_DPI, metadata={"Date": None} if kind == "svg" else {})
    return buffer.getvalue()


def chart_name(text: str) -> str:
    """A name as it stands beside what is drawn: one line, not too long, and no formula."""
    text = one_line(text).replace("$", r"\$")
    return text if len(text) <= _LONGEST_NAME else f"{text[: _LONGEST_NAME // 2]}…{text[-_LONGEST_NAME // 2 :]}"
