"""Cutting, with made-up probabilities: a sample's value says how probable speech is in its frame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edgeai.errors import AudioError
from edgeai.speech.base import MAX_WINDOW_S
from edgeai.speech.cutting import FRAME_S, FRAME_SAMPLES, CutOptions, SpeechGate, Stretch, stretches
from edgeai.speech.packing import PACKED_S, PAUSE_S, packed
from edgeai.speech.types import SAMPLE_RATE_HZ, Segment, Word

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgeai.speech.types import Waveform

OPTIONS = CutOptions(hang_over_s=5 * FRAME_S, min_speech_s=2 * FRAME_S, pad_s=2 * FRAME_S, max_s=40 * FRAME_S)


def sound(*runs: tuple[int, float]) -> Waveform:
    """Frames of a probability."""
    return np.concatenate([np.full(n * FRAME_SAMPLES, value, np.float32) for n, value in runs])


def told(frames: Waveform) -> NDArray[np.float32]:
    return frames.reshape(-1, FRAME_SAMPLES)[:, 0]


def spans(blocks: Sequence[Waveform], options: CutOptions = OPTIONS) -> list[tuple[int, int]]:
    """First frame and the one behind the last of each stretch."""
    found = stretches(blocks, told, options)
    return [(round(each.start_s / FRAME_S), round(each.end_s / FRAME_S)) for each in found]


def test_speech_with_what_is_around_it() -> None:
    assert spans([sound((10, 0), (8, 0.9), (10, 0))]) == [(8, 20)]
    assert spans([sound((1, 0), (8, 0.9), (10, 0))]) == [(0, 11)]  # less before it than belongs to it
    assert spans([sound((10, 0), (8, 0.9))]) == [(8, 18)]
    assert spans([sound((10, 0), (8, 0.9), (1, 0))]) == [(8, 19)]


def test_a_pause_shorter_than_the_hang_over_parts_nothing() -> None:
    assert spans([sound((10, 0), (8, 0.9), (4, 0), (8, 0.9), (10, 0))]) == [(8, 32)]
    assert spans([sound((10, 0), (8, 0.9), (5, 0), (8, 0.9), (10, 0))]) == [(8, 20), (21, 33)]


def test_speech_goes_on_with_less_than_it_begins_with() -> None:
    assert spans([sound((10, 0), (8, 0.4), (10, 0))]) == []
    assert spans([sound((10, 0), (3, 0.9), (8, 0.4), (10, 0))]) == [(8, 23)]


def test_a_click_is_no_speech() -> None:
    assert spans([sound((10, 0), (1, 0.9), (10, 0), (1, 0.9), (10, 0))]) == []


def test_endless_speech_is_cut_where_it_is_quietest() -> None:
    speech = sound((100, 0.9))
    at = 30 * FRAME_SAMPLES  # five quieter frames, in which speech is still heard
    speech[at : at + 5 * FRAME_SAMPLES] = 0.6
    found = spans([speech])
    assert found[0] == (0, 33)
    assert [begin for begin, _ in found[1:]] == [end for _, end in found[:-1]]
    assert found[-1][1] == 100
    assert max(end - begin for begin, end in found) <= 40


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 60), st.sampled_from([0.0, 0.3, 0.4, 0.6, 0.9])), min_size=1, max_size=8),
    st.lists(st.integers(200, 9000), min_size=1, max_size=4),
    st.integers(0, FRAME_SAMPLES - 1),
)
@example([(1, 0.0), (58, 0.6), (3, 0.0)], [9000], 1)  # the cut leaves nothing but a pause
def test_how_it_comes_in_blocks_does_not_matter(runs: list[tuple[int, float]], sizes: list[int], n_odd: int) -> None:
    whole = np.concatenate([sound(*runs), np.full(n_odd, runs[-1][1], np.float32)])
    blocks, at, turn = list[np.ndarray[tuple[int], np.dtype[np.float32]]](), 0, 0
    while at < len(whole):
        blocks.append(whole[at : at + sizes[turn % len(sizes)]])
        at, turn = at + sizes[turn % len(sizes)], turn + 1
    found = list(stretches(blocks, told, OPTIONS))
    assert [(each.start_s, len(each.waveform)) for each in found] == [
        (each.start_s, len(each.waveform)) for each in stretches([whole], told, OPTIONS)
    ]
    end = 0
    for each in found:  # in order, apart, and what they say they are
        start = round(each.start_s * SAMPLE_RATE_HZ)
        assert end <= start
        end = start + len(each.waveform)
        assert end <= len(whole)
        assert np.array_equal(each.waveform, whole[start:end])
        assert len(each.waveform) <= OPTIONS.max_s * SAMPLE_RATE_HZ


def test_memory_does_not_grow_with_the_sound() -> None:
    block = sound((1000, 0.9))
    found = stretches((block for _ in range(30)), told)
    assert all(len(each.waveform) < MAX_WINDOW_S * SAMPLE_RATE_HZ for each in found)


def test_a_block_with_channels_is_refused() -> None:
    with pytest.raises(AudioError, match=r"\[4, 2\]"):
        list(stretches([np.zeros((4, 2), np.float32)], told))


def test_the_gate_tells_when_speech_began() -> None:
    gate = SpeechGate(OPTIONS)
    assert [gate.push(p) for p in (0, 0.9, 0.9, 0.9)] == [False, False, True, True]
    assert gate.n_since_start == 3
    assert [gate.push(0) for _ in range(5)] == [True] * 4 + [False]
    assert not gate.n_since_start


def stretch(start_s: float, length_s: float) -> Stretch:
    return Stretch(start_s, np.full(round(length_s * SAMPLE_RATE_HZ), 0.5, np.float32))


def test_neighbours_are_put_together_while_they_fit() -> None:
    lengths = [4.0, 4.0, 4.0, 4.0, 22.0, 1.0]
    starts = [0.0, 5.0, 10.0, 15.0, 20.0, 43.0]
    windows = list(packed(map(stretch, starts, lengths)))
    assert [len(window.stretches) for window in windows] == [3, 1, 1, 1]
    apart = packed([stretch(0.0, 4.0), stretch(9.0, 1.0), stretch(15.5, 1.0)])
    assert [len(window.stretches) for window in apart] == [2, 1]
    for window in windows:
        n = len(window.stretches)
        length_s = len(window.waveform) / SAMPLE_RATE_HZ
        assert length_s == pytest.approx(sum(s.end_s - s.start_s for s in window.stretches) + (n - 1) * PAUSE_S)
        assert n == 1 or length_s <= PACKED_S


@pytest.mark.parametrize(
    ("in_window", "in_sound"),
    [
        ((0.0, 2.0), (10.0, 12.0)),
        ((0.5, 1.5), (10.5, 11.5)),
        ((0.5, 2.3), (10.5, 12.0)),  # ends in the pause
        ((0.0, 2.7), (10.0, 12.0)),  # or a little behind it
        ((2.3, 4.0), (15.0, 16.4)),  # begins in the pause
        ((1.9, 4.0), (15.0, 16.4)),  # or a little before it
        ((1.0, 3.6), (11.0, 16.0)),  # over both
        ((3.0, 9.0), (15.4, 18.0)),  # beyond the end
    ],
)
def test_times_of_a_window_are_told_as_times_of_the_sound(
    in_window: tuple[float, float], in_sound: tuple[float, float]
) -> None:
    (window,) = packed([stretch(10.0, 2.0), stretch(15.0, 3.0)])
    moved = window.moved(Segment("a", *in_window, "en", (Word("a", *in_window, 1.0),)))
    assert (moved.start_s, moved.end_s) == pytest.approx(in_sound)
    assert (moved.words[0].start_s, moved.words[0].end_s) == pytest.approx(in_sound)
