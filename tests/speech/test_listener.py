"""A listener hears all the time, transcribes what is newest, and loses nothing that was said."""

from __future__ import annotations

import time
import wave
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from edgeai import AudioDeviceError, AudioError
from edgeai.speech.ear import Ear
from edgeai.speech.listener import Heard, Listener
from tests.speech.conversing import LONG, SHORT, LengthRecognizer, QuickSource, sound

if TYPE_CHECKING:
    from edgeai.speech.types import Waveform


def listener(source: QuickSource, recognizer: LengthRecognizer, **options: Any) -> Listener:
    return Listener(source, recognizer, Ear(lambda frames: np.abs(frames[::512])), **options)


def texts(heard: Sequence[Heard], kind: str) -> list[str]:
    return [one.text for one in heard if one.kind == kind]


def test_it_goes_on_hearing_while_words_are_transcribed_and_old_partials_are_left_out() -> None:
    source = QuickSource(np.concatenate([LONG, SHORT]))
    recognizer = LengthRecognizer()
    recognizer.waits = source.is_over  # were nothing read meanwhile, it would wait for ever
    heard = list(listener(source, recognizer))
    assert texts(heard, "said") == ["long", "short"]
    assert recognizer.n_calls <= 3
    assert source.is_closed


def test_what_was_transcribed_at_the_pause_is_not_transcribed_again() -> None:
    source, recognizer = QuickSource(sound((0.2, 0.0), (0.5, 0.9), (1.0, 0.0))), LengthRecognizer()
    heard = []
    source.waits_at = 20  # blocks before its end: the pause was heard, and it is not known yet that nothing follows
    for one in listener(source, recognizer):
        heard.append(one.kind)
        source.may_go_on.set()
    assert heard == ["partial", "said"]
    assert recognizer.n_calls == 1


def test_without_partials_each_utterance_is_transcribed_once() -> None:
    recognizer = LengthRecognizer()
    heard = list(listener(QuickSource(np.concatenate([SHORT, LONG])), recognizer, with_partials=False))
    assert [one.text for one in heard] == ["short", "long"]
    assert recognizer.n_calls == 2


def test_what_is_said_when_the_source_ends_is_told() -> None:
    heard = list(listener(QuickSource(SHORT[:12_000]), LengthRecognizer()))
    assert texts(heard, "said") == ["short"]


def test_what_was_said_before_a_microphone_is_unplugged_is_told_first() -> None:
    source = QuickSource(SHORT[:12_000], AudioDeviceError("the microphone is gone"))
    heard = iter(listener(source, LengthRecognizer(), with_partials=False))
    assert next(heard).text == "short"
    with pytest.raises(AudioDeviceError, match="gone"):
        next(heard)


@pytest.mark.parametrize("error", [AudioError("no\nwords"), RuntimeError("out of memory")])
def test_what_cannot_be_transcribed_is_kept(error: Exception, tmp_path: Path) -> None:
    recognizer = LengthRecognizer()
    recognizer.error = error
    source = QuickSource(np.concatenate([SHORT, LONG]))
    first, second = listener(source, recognizer, keep_dir=tmp_path / "kept")
    paths = sorted((tmp_path / "kept").iterdir(), key=lambda path: path.stat().st_size)
    for problem, path, least_s in ((first, paths[0], 1.0), (second, paths[1], 6.0)):
        assert problem.kind == "problem"
        assert problem.text.count("\n") == 0
        assert problem.text.endswith(f"(the recording is kept: {path})")
        with wave.open(str(path)) as file:
            assert file.getframerate() == 16_000
            assert least_s * 16_000 <= file.getnframes() <= (least_s + 1.5) * 16_000


def test_a_recording_that_cannot_be_kept_either_is_said_to_be_lost(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    recognizer = LengthRecognizer()
    recognizer.error = AudioError("no")
    (problem,) = listener(QuickSource(SHORT), recognizer, keep_dir=tmp_path / "file" / "kept")
    assert "the recording is lost" in problem.text


def test_it_is_deaf_while_it_is_told_so_and_shortly_after(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock is the sound's own."""
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", clock)
    speech = sound((0.5, 0.9), (0.7, 0.0))
    silence = sound((0.2, 0.0))
    source = QuickSource(np.concatenate([speech, silence, speech, speech]))
    n_begin, n_end = len(speech), len(speech) + len(silence) + len(speech) - 16_000 // 5
    began: list[int] = []
    talk = listener(
        source,
        LengthRecognizer(),
        is_deaf=lambda: n_begin <= clock.n_samples < n_end,
        on_block=clock.heard,
        on_speech=lambda: began.append(clock.n_samples),
    )
    list(talk)
    assert len(began) == 2  # the second of three is what it said itself
    assert began[0] < n_begin
    assert began[1] - n_end >= 0.3 * 16_000 - 512


class Clock:
    """Tells the time by what was heard."""

    def __init__(self) -> None:
        self.n_samples = 0

    def __call__(self) -> float:
        return 1000 + self.n_samples / 16_000

    def heard(self, block: Waveform) -> None:
        self.n_samples += len(block)
