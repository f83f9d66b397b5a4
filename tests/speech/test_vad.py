"""Voice activity: the real network, which comes with its package, on made speech and on everything else."""

from __future__ import annotations

import numpy as np
import pytest

from edgeai.errors import AudioError
from edgeai.speech.cutting import FRAME_SAMPLES
from edgeai.speech.vad import VoiceActivity
from tests.speech.heard import english, japanese, silence, without_speech


@pytest.fixture(scope="module")
def voice() -> VoiceActivity:
    return VoiceActivity()


def test_hears_speech_and_the_silence_around_it(voice: VoiceActivity) -> None:
    for spoken in (english(), japanese()):
        sound = np.concatenate([silence(1), spoken, silence(1)])
        sound = sound[: len(sound) // FRAME_SAMPLES * FRAME_SAMPLES]
        voice.reset()
        heard = voice(sound) > 0.5
        assert not heard[:28].any()
        assert not heard[-22:].any()
        loud = np.sqrt(np.mean(sound.reshape(-1, FRAME_SAMPLES) ** 2, axis=1)) > 0.05
        assert heard[loud].mean() > 0.9


@pytest.mark.parametrize("name", without_speech(1.0))
def test_hears_no_speech_where_there_is_none(voice: VoiceActivity, name: str) -> None:
    voice.reset()
    sound = without_speech(10.0)[name]
    assert voice(sound[: len(sound) // FRAME_SAMPLES * FRAME_SAMPLES]).max() < 0.5


def test_frame_by_frame_is_as_the_package_does_it_with_the_whole(voice: VoiceActivity) -> None:
    from faster_whisper.vad import get_vad_model

    sound = english()[: len(english()) // FRAME_SAMPLES * FRAME_SAMPLES]
    expected = get_vad_model()(sound.copy()).reshape(-1)
    voice.reset()
    one_by_one = np.concatenate([voice(frame) for frame in sound.reshape(-1, FRAME_SAMPLES)])
    voice.reset()
    np.testing.assert_allclose(one_by_one, expected, atol=1e-5)
    np.testing.assert_allclose(voice(sound), expected, atol=1e-5)


def test_takes_whole_frames_only(voice: VoiceActivity) -> None:
    assert len(voice(silence(0))) == 0
    with pytest.raises(AudioError, match="512"):
        voice(np.zeros(500, np.float32))
    with pytest.raises(AudioError, match="512"):
        voice(np.zeros((2, FRAME_SAMPLES), np.float32))
