"""Results as a picture: a panel a metric, a row a subject, a point a model with its interval.

It needs matplotlib (extra `plot`).
"""

from __future__ import annotations

import importlib.util
import io
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeai.errors import OptionError
from edgeai.evaluation.metrics import METRICS
from edgeai.evaluation.results import ALL, Results
from edgeai.files import write_bytes
from edgeai.safe_text import one_line

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SUFFIXES = (".svg", ".png")
"""What a picture can be written as."""

_COLORS = ("tab:blue", "tab:orange")
_LONGEST_NAME = 40  # characters: a longer one leaves no room for what is drawn
_MOST_ROWS = 200  # a PNG of more is larger than programs open
_JAPANESE = ("Noto Sans CJK JP", "Hiragino Sans", "Yu Gothic", "Meiryo", "IPAexGothic", "TakaoPGothic")
"""Fonts of operating systems, the first of which that is there draws what matplotlib's own has no letters for."""
_STYLE: Any = {
    "svg.fonttype": "none",  # text stays text: small, searchable, in the reader's own fonts
    "svg.hashsalt": "edgeai",  # the same picture is the same file
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def check_picture(path: Path) -> None:
    """Refuse what cannot be drawn, before anything is asked for it.

    Raises:
        OptionError: the suffix is another, a folder is in its place, or matplotlib is missing.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise OptionError(f"{path}: a picture is a {' or '.join(SUFFIXES)} file; choose one of these suffixes")
    if path.is_dir():
        raise OptionError(f"{path}: is a folder, expected a file for the picture: choose another name")
    if not importlib.util.find_spec("matplotlib"):
        raise OptionError("a picture needs matplotlib: pip install 'edgeai[plot]'")


def draw(results: Results, path: Path) -> None:
    """Draw the figures of each subject, the overall ones on top.

    Args:
        results: what to draw.
        path: a .svg or .png file, replaced if it exists.
    Raises:
        OptionError: see `check_picture`.
        OSError: the file cannot be written.
    """
    check_picture(path)
    data = _drawn(results, path.suffix[1:].lower())
    write_bytes(path, data)
    path.chmod(0o644)  # it is to be shown


def _drawn(results: Results, kind: str) -> bytes:
    import matplotlib as mpl
    from matplotlib.figure import Figure

    rows = {metric: _rows(results, metric) for metric in results.metrics}
    heights = [0.85 + 0.28 * len(each) for each in rows.values()]
    with mpl.rc_context({**_STYLE, "font.family": _families()}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # of a name: whoever shows the SVG may have it
        figure = Figure(figsize=(8, 0.75 + sum(heights)), layout="constrained")
        axes = figure.subplots(len(rows), squeeze=False, height_ratios=heights)[:, 0]
        for axis, (metric, indexes) in zip(axes, rows.items(), strict=True):
            _draw_metric(axis, results, metric, indexes)
        figure.suptitle(results.plan.about, x=0.01, ha="left")
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower right", frameon=False)
        buffer = io.BytesIO()
        figure.savefig(buffer, format=kind, dpi=120, metadata={"Date": None} if kind == "svg" else {})
    return buffer.getvalue()


def _families() -> list[str]:
    from matplotlib import font_manager

    known = {font.name for font in font_manager.fontManager.ttflist}
    return ["DejaVu Sans", *(name for name in _JAPANESE if name in known)]


def _rows(results: Results, metric: str) -> list[int]:
    """The rows with a metric, from below."""
    found = results.shown(metric)
    found.sort(key=lambda index: (results.rows[0][index].subject == ALL, -index))
    return found[-(_MOST_ROWS // len(results.metrics)) :]


def _draw_metric(axis: Axes, results: Results, metric: str, rows: list[int]) -> None:
    for number in range(len(results.runs)):
        _draw_model(axis, results, number, metric, rows)
    axis.set_yticks(range(len(rows)), [_name(results.rows[0][index].subject) for index in rows])
    axis.set_ylim(-0.6, len(rows) - 0.4)
    better = "lower" if METRICS[metric].is_cost else "higher"
    axis.set_xlabel(f"{metric}, 95 % intervals ({better} is better)")
    axis.grid(axis="x", alpha=0.25)


def _draw_model(axis: Axes, results: Results, number: int, metric: str, rows: list[int]) -> None:
    """One model's points, beside the other's."""
    found = [results.rows[number][index].metrics.get(metric) for index in rows]
    shift = 0.0 if len(results.runs) == 1 else 0.16 - 0.32 * number
    points = [(place + shift, each) for place, each in enumerate(found) if each is not None]
    axis.errorbar(
        [each.value for _, each in points],
        [place for place, _ in points],
        xerr=[
            [max(0.0, each.value - each.low) for _, each in points],
            [max(0.0, each.high - each.value) for _, each in points],
        ],
        fmt="o",
        markersize=5,
        capsize=2,
        color=_COLORS[number],
        label=_name(results.runs[number].name),
    )


def _name(text: str) -> str:
    text = one_line(text).replace("$", r"\$")
    return text if len(text) <= _LONGEST_NAME else f"{text[: _LONGEST_NAME // 2]}…{text[-_LONGEST_NAME // 2 :]}"
