"""The benchmark of pictures: its contenders evaluate the same, and its tables are right for made-up figures."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import pictures_again, pictures_captions, pictures_ocr, pictures_speed
from benchmarks.pictures_again import Pair
from benchmarks.pictures_captions import Timed, photographs
from benchmarks.pictures_model import seeing_model
from benchmarks.pictures_ocr import Pages
from edgeai.vision.picture import load_picture


@pytest.mark.weights
def test_a_session_and_libmtmds_own_loop_evaluate_the_same_prompt(real_model: Path, tmp_path: Path) -> None:
    files = seeing_model(tmp_path, real_model, n_layers=1, edge=512)
    assert seeing_model(tmp_path, real_model, n_layers=1, edge=512) == files
    shown = pictures_speed.picture(1, 96, 64)
    ((ours, _), (bare, _)) = (start(files, 1)(shown) for start in (pictures_speed.ours, pictures_speed.bare))
    assert ours == bare > 64 * 2, "one tile and the whole"


def test_speeds_are_compared_round_by_round() -> None:
    found = {pictures_speed.OURS: [(100, 1.0), (100, 2.0)], "bare": [(100, 1.0), (100, 1.0)]}
    lines = pictures_speed.lines(found, (640, 480))
    assert lines[0].startswith("a picture of 640 x 480 and a question, 100 tokens")
    assert lines[1].split()[-1] == "75.0"
    assert lines[2].split()[-1] == "0.750"
    with pytest.raises(AssertionError, match=r"prompts of \[100, 101\] tokens"):
        pictures_speed.lines({pictures_speed.OURS: [(100, 1.0)], "bare": [(101, 1.0)]}, (640, 480))


def test_a_second_question_is_so_many_times_sooner() -> None:
    line = pictures_again.lines({"after a restart": [Pair(20.0, 1.0), Pair(30.0, 2.0), Pair(40.0, 1.0)]})[1]
    assert line.split()[-3:] == ["30.00", "1.000", "20.0"]


def test_captions_are_compared_with_the_most_that_could_be_won() -> None:
    lines = pictures_captions.lines([Timed(overlapped_s=10.0, in_turn_s=12.0, reading_s=4.0)], 2)
    assert lines[1].split()[-1] == "2.00"
    assert lines[2].split()[-1] == "1.200"
    assert "1.200 times" in lines[3], "the first picture is read while nothing else is done"


def test_photographs_are_pictures_of_their_size(tmp_path: Path) -> None:
    (path,) = photographs(tmp_path, 1, (320, 160))
    assert load_picture(path).medium.size == (320, 160)


def test_errors_are_shares_of_characters() -> None:
    found = Pages({"edgeai": [10.0], "RapidOCR": [5.0]}, {"edgeai": ["abcd"], "RapidOCR": ["abxd"]}, ["abcd"])
    assert pictures_ocr.errors(found) == {"edgeai": 0.0, "RapidOCR": 0.25}
    assert pictures_ocr.lines(found)[2].split()[-1] == "2.000"
