from __future__ import annotations

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


def test_one_point_is_a_plot() -> None:
    assert any("● Q8_0" in line for line in text_plot([BEST]))


def test_it_stays_in_its_width() -> None:
    lines = text_plot([BEST, BEATEN, made_up("F32", megabytes=900, kld=0)], width=50, height=8)
    assert max(map(len, lines)) <= 50
    assert len(lines) == 8 + 4


def test_nothing_measured_is_nothing_drawn() -> None:
    assert text_plot([made_up("Q8_0", megabytes=5, kld=None)]) == []
