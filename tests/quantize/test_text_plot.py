from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from rich.cells import cell_len

from quantize.text_plot import text_plot
from tests.quantize.reports import made_up

BEST = made_up("Q8_0", megabytes=140, kld=0.001, decode_tokens_per_s=100)
BEATEN = made_up("Q4_1", megabytes=150, kld=0.1, decode_tokens_per_s=50)


def _place(lines: list[str], text: str) -> tuple[int, int]:
    return next((row, line.index(text)) for row, line in enumerate(lines) if text in line)


def test_points_stand_where_they_belong() -> None:
    lines = text_plot([BEST, BEATEN])
    best, beaten = _place(lines, "Q8_0 ●"), _place(lines, "○ Q4_1")
    assert best[0] > beaten[0]  # a lower divergence is lower
    assert best[1] > beaten[1]  # a faster one is further right
    assert lines[-1].endswith("decode, tokens/s →")


def test_without_speed_it_is_drawn_against_size() -> None:
    lines = text_plot([BEST, made_up("Q4_0", megabytes=90, decode_tokens_per_s=None)])
    assert lines[-1].endswith("size, MB")
    assert _place(lines, "Q4_0")[1] < _place(lines, "Q8_0")[1]


def test_neighbours_do_not_write_over_each_other() -> None:
    reports = [made_up(f"TYPE_{index}", megabytes=100 + index) for index in range(3)]
    text = "\n".join(text_plot(reports))
    assert all(f"TYPE_{index}" in text for index in range(3))


def test_speeds_that_are_close_can_be_read() -> None:
    near = replace(
        BEST, path=Path("b.gguf"), file_type="Q5_0", speed=made_up("", megabytes=1, decode_tokens_per_s=101).speed
    )
    low, high = text_plot([BEST, near])[-2].split()
    assert float(low) < float(high)


def test_one_point_is_a_plot() -> None:
    assert any("● Q8_0" in line for line in text_plot([BEST]))


def test_it_stays_in_its_width() -> None:
    lines = text_plot([BEST, BEATEN, made_up("F32", megabytes=900, kld=0)], width=50, height=8)
    assert max(map(len, lines)) <= 50
    assert len(lines) == 8 + 4


def test_nothing_measured_is_nothing_drawn() -> None:
    assert text_plot([made_up("Q8_0", megabytes=5, kld=None)]) == []


def test_names_of_files_stand_where_they_are_too_long_or_wide() -> None:
    paths = ("one-" + "x" * 90 + "-end.gguf", "日本語のモデル.gguf")
    reports = [
        replace(report, path=Path(path), file_type="Q8_0") for report, path in zip((BEST, BEATEN), paths, strict=True)
    ]
    lines = text_plot(reports, width=60)
    text = "\n".join(lines)
    assert "one-xxx" in text
    assert "x-end" in text
    assert "○ 日本語のモデル" in text
    assert max(map(cell_len, lines)) <= 60


def test_a_wide_name_moves_nothing_to_its_right() -> None:
    left, right = (made_up("Q8_0", megabytes=9, kld=0.1, decode_tokens_per_s=rate) for rate in (50, 100))
    plain, wide = (
        text_plot([replace(left, path=Path(f"{name}.gguf")), replace(right, path=Path("right.gguf"))])
        for name in ("left", "日本")
    )
    ends = {cell_len(line) for lines in (plain, wide) for line in lines if "right ●" in line}
    assert len(ends) == 1
