"""Results as a picture: a panel a metric, a row a subject, a point a model with its interval.

It needs matplotlib (extra `plot`).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgeai.chart import chart_bytes, chart_name, chart_style, check_chart
from edgeai.errors import OptionError
from edgeai.evaluation.metrics import METRICS
from edgeai.evaluation.results import ALL, Results
from edgeai.files import write_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLORS = ("tab:blue", "tab:orange")
_MOST_ROWS = 200  # a PNG of more is larger than programs open


def draw(results: Results, path: Path) -> None:
    """Draw the figures of each subject, the overall ones on top.

    Args:
        results: what to draw.
        path: a .svg or .png file, replaced if it exists.
    Raises:
        OptionError: see `edgeai.chart.check_chart`.
        OSError: the file cannot be written.
    """
    check_chart(path, OptionError)
    write_bytes(path, _drawn(results, path))
    path.chmod(0o644)  # it is to be shown


def _drawn(results: Results, path: Path) -> bytes:
    from matplotlib.figure import Figure

    rows = {metric: _rows(results, metric) for metric in results.metrics}
    heights = [0.85 + 0.28 * len(each) for each in rows.values()]
    with chart_style():
        figure = Figure(figsize=(8, 0.75 + sum(heights)), layout="constrained")
        axes = figure.subplots(len(rows), squeeze=False, height_ratios=heights)[:, 0]
        for axis, (metric, indexes) in zip(axes, rows.items(), strict=True):
            _draw_metric(axis, results, metric, indexes)
        figure.suptitle(results.plan.about, x=0.01, ha="left")
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower right", frameon=False)
        return chart_bytes(figure, path)


def _rows(results: Results, metric: str) -> list[int]:
    """The rows with a metric, from below."""
    found = results.shown(metric)
    found.sort(key=lambda index: (results.rows[0][index].subject == ALL, -index))
    return found[-(_MOST_ROWS // len(results.metrics)) :]


def _draw_metric(axis: Axes, results: Results, metric: str, rows: list[int]) -> None:
    for number in range(len(results.runs)):
        _draw_model(axis, results, number, metric, rows)
    axis.set_yticks(range(len(rows)), [chart_name(results.rows[0][index].subject) for index in rows])
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
        label=chart_name(results.runs[number].name),
    )
