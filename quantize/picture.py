"""Quality against speed against size, as a picture."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeai.chart import chart_bytes, chart_name, chart_style, check_chart
from edgeai.errors import QuantizeError
from edgeai.files import write_bytes
from quantize.report import Report, drawn_klds, names, pareto

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PLACES = (
    (7, 6),
    (7, -8),
    (9, 0),
    (-7, 6),
    (-7, -8),
    (-9, 0),
    (7, 17),
    (7, -19),
    (-7, 17),
    (-7, -19),
    (7, 28),
    (7, -30),
)
"""Where a point's name may stand beside it, points; the first that is free."""


def check_picture(out_path: Path) -> None:
    """Refuse what cannot be drawn, before anything is measured for it.

    Raises:
        QuantizeError: see `edgeai.chart.check_chart`.
    """
    check_chart(out_path, QuantizeError)


def draw(reports: Sequence[Report], out_path: str | os.PathLike[str], *, title: str = "") -> Path:
    """Draw artifacts: divergence against size, and against speed where it was measured.

    Those that no other beats in all of it are filled.

    Args:
        reports: with `quality`; others are left out.
        out_path: a .svg or .png file, replaced if it exists.
        title: above the picture.
    Returns:
        out_path.
    Raises:
        QuantizeError: matplotlib is missing, the suffix is another, or nothing can be drawn.
    """
    out_path = Path(out_path)
    check_picture(out_path)
    measured = [report for report in reports if report.quality is not None]
    if not measured:
        raise QuantizeError("no report has a divergence to draw: measure with a reference first")
    _write(out_path, _drawn(measured, out_path, title))
    return out_path


def _drawn(measured: Sequence[Report], out_path: Path, title: str) -> bytes:
    """The picture, as the file that the path's suffix names."""
    from matplotlib.figure import Figure

    panels = _panels(measured)
    with chart_style():
        figure = Figure(figsize=(5.5 * len(panels), 4.2), layout="constrained")
        axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for axis, (label, x_of) in zip(axes, panels, strict=True):
            _draw_panel(axis, measured, label, x_of)
        axes[0].set_ylabel("KL divergence, nats (lower is better)")
        if title:
            figure.suptitle(title.replace("$", r"\$"))
        figure.draw_without_rendering()  # now it is known where everything stands
        for axis in axes:
            _part_names(axis)
        return chart_bytes(figure, out_path)


def _panels(reports: Sequence[Report]) -> list[tuple[str, Callable[[Report], float | None]]]:
    panels: list[tuple[str, Callable[[Report], float | None]]] = [
        ("size, MB (smaller is better)", lambda report: report.size_bytes / 1e6)
    ]
    if any(report.speed for report in reports):
        panels.append(
            (
                "decode, tokens/s on this machine (higher is better)",
                lambda report: report.speed.decode_tokens_per_s if report.speed else None,
            )
        )
    return panels


def _draw_panel(axis: Axes, reports: Sequence[Report], label: str, x_of: Callable[[Report], float | None]) -> None:
    best = pareto(reports)
    drawn = zip(reports, drawn_klds(reports), names(reports), strict=True)
    points = [(x, y, report, name) for report, y, name in drawn if (x := x_of(report))]
    for x, y, report, name in sorted(points, key=lambda point: point[0]):
        face = "tab:blue" if report in best else "white"
        axis.plot(x, y, marker="o", markersize=8, markeredgecolor="tab:blue", markerfacecolor=face, linestyle="none")
        axis.annotate(chart_name(name), (x, y), xytext=_PLACES[0], textcoords="offset points", fontsize=9, va="center")
    axis.set_yscale("log")
    axis.set_xlabel(label)
    axis.margins(x=0.15, y=0.12)
    axis.grid(alpha=0.25)


def _part_names(axis: Axes) -> None:
    """Move names that lie on another name or on a point."""
    taken: list[Any] = [line.get_window_extent().padded(-2) for line in axis.lines]
    for name in [child for child in axis.texts if child.get_text()]:
        for x, y in _PLACES:
            name.set(position=(x, y), horizontalalignment="left" if x > 0 else "right")
            box = name.get_window_extent()
            if not box.count_overlaps(taken):
                break
        taken.append(box)


def _write(path: Path, data: bytes) -> None:
    try:
        write_bytes(path, data)
        path.chmod(0o644)  # it is to be shown, as the files beside it
    except OSError as exc:
        raise QuantizeError(f"{path}: the picture cannot be written: {exc.strerror}; choose another place") from exc
