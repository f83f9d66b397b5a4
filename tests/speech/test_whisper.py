"""Whisper: its features and tokens against faster-whisper's, and the real weights on made speech and on none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from edgeai.errors import AudioError, ModelFormatError, ModelNotFoundError, OptionError
from edgeai.speech.log_mel import log_mel
from edgeai.speech.types import SAMPLE_RATE_HZ, Segment
from edgeai.speech.whisper import WhisperRecognizer
from edgeai.speech.whisper_answer import ATTEMPTS, Answer, Window
from edgeai.speech.whisper_tokens import WhisperTokens
from tests.speech.heard import ENGLISH, english, japanese, silence, whisper_folder, without_speech

if TYPE_CHECKING:
    from edgeai.speech.types import Waveform


@pytest.mark.parametrize("n_mels", [80, 128])
@pytest.mark.parametrize("name", ["pink noise", "a sweep", "clicks", "silence"])
def test_features_are_as_the_reference_makes_them(name: str, n_mels: int) -> None:
    from faster_whisper.audio import pad_or_trim
    from faster_whisper.feature_extractor import FeatureExtractor

    waveform = without_speech(2.0)[name][:-77]
    expected = pad_or_trim(FeatureExtractor(feature_size=n_mels)(waveform), 450)
    np.testing.assert_allclose(log_mel(waveform, 450, n_mels), expected, atol=2e-4)


def test_features_of_a_long_waveform_end_where_they_were_asked_to() -> None:
    assert log_mel(silence(30), 3000).shape == (80, 3000)
    assert log_mel(silence(0), 1000).shape == (80, 1000)


def answer(text: str, log_probability: float = -0.3, no_speech: float = 0.0, heard_s: float = 5.0) -> Answer:
    return Answer("en", (Segment(text, 0.0, 1.0, "en"),), text, log_probability, no_speech, heard_s)


def window(seconds: float = 5.0) -> Window:
    return Window(0, 0.0, silence(seconds))


def test_a_trusted_answer_ends_the_attempts() -> None:
    heard = window()
    assert heard.judge(answer("Good morning."))
    assert heard.best is not None
    assert heard.rest() == []


def test_a_doubtful_answer_of_a_short_context_is_heard_again() -> None:
    heard = window()
    assert not heard.judge(answer("Good mourning.", -0.6))
    assert heard.judge(answer("Good morning.", -0.5))
    assert heard.best is not None
    assert heard.best.text == "Good morning."
    heard = window()
    assert not heard.judge(answer("Good morning.", -0.6))
    assert heard.judge(answer("Good mourning.", -0.7))
    assert heard.best is not None
    assert heard.best.text == "Good morning."


def test_what_repeats_itself_is_never_taken() -> None:
    heard = window()
    verdicts = [heard.judge(answer("and then " * 40)) for _ in ATTEMPTS]
    assert verdicts == [False] * (len(ATTEMPTS) - 1) + [True]
    assert heard.best is None
    assert heard.rest() == []


def test_the_halves_of_what_repeats_itself_are_heard_apart() -> None:
    heard = Window(0, 1.0, np.ones(12 * SAMPLE_RATE_HZ, np.float32))
    heard.waveform[5 * SAMPLE_RATE_HZ : 6 * SAMPLE_RATE_HZ] = 0
    assert [heard.judge(answer("and then " * 40)) for _ in range(2)] == [False, True]
    first, second = heard.rest()
    assert first.start_s == 1.0
    assert first.duration_s == pytest.approx(5.5, abs=0.6)
    assert second.start_s == pytest.approx(1.0 + first.duration_s)
    assert first.duration_s + second.duration_s == 12.0


def test_of_improbable_answers_the_best_is_taken() -> None:
    heard = window()
    for log_probability in (-1.4, -1.2, -1.3):
        last = heard.judge(answer(f"{log_probability}", log_probability))
    assert last
    assert heard.best is not None
    assert heard.best.text == "-1.2"


def test_silence_has_no_answer() -> None:
    heard = window()
    assert heard.judge(answer("Thank you.", -1.2, no_speech=0.9))
    assert heard.best is None


def test_what_was_not_heard_is_heard_next() -> None:
    heard = window()
    heard.judge(answer("Good morning.", heard_s=3.0))
    (rest,) = heard.rest()
    assert (rest.start_s, rest.duration_s, rest.n_tried) == (3.0, 2.0, 0)


def test_weights_that_are_not_there(tmp_path: Path) -> None:
    folder = tmp_path / "whisper-base"
    with pytest.raises(ModelNotFoundError, match="edgeai models pull whisper-base"):
        WhisperRecognizer(folder)
    folder.mkdir()
    for name in ("model.bin", "config.json", "tokenizer.json", "vocabulary.txt"):
        (folder / name).write_bytes(b"{}")
    with pytest.raises(ModelFormatError, match="pull them again"):
        WhisperRecognizer(folder)


@pytest.fixture(scope="module")
def recognizer() -> Iterator[WhisperRecognizer]:
    loaded = WhisperRecognizer(whisper_folder())
    yield loaded
    loaded.close()


@pytest.mark.weights
def test_tokens_are_as_the_reference_has_them() -> None:
    from faster_whisper.tokenizer import _LANGUAGE_CODES, Tokenizer

    ours = WhisperTokens(whisper_folder(), is_multilingual=True)
    theirs: Any = Tokenizer(ours._tokenizer, True, "transcribe", "ja")
    assert set(ours.languages) <= set(_LANGUAGE_CODES)
    assert len(ours.languages) == 99
    assert ours.prompt("ja") == theirs.sot_sequence
    begin = theirs.timestamp_begin
    said = [
        begin,
        *theirs.encode(" Hello."),
        begin + 50,
        begin + 60,
        *theirs.encode(" Good bye"),
        begin + 100,
        begin + 100,
    ]
    pieces, heard_s = ours.pieces(said, 20.0)
    assert [(piece.start_s, piece.end_s, ours.text(piece.tokens)) for piece in pieces] == [
        (0.0, 1.0, " Hello."),
        (1.2, 2.0, " Good bye"),
    ]
    assert heard_s == 2.0  # another piece was about to begin
    assert ours.pieces(said[:-1], 20.0)[1] == 20.0
    assert ours.pieces(theirs.encode(" Hello."), 4.0)[0][0].end_s == 4.0
    assert [ours.text(word) for word in ours.words(theirs.encode(" It's ten o'clock, Mr. Ōtsuki!"), "en")] == [
        " It's", " ten", " o'clock,", " Mr.", " Ōtsuki!"
    ]  # fmt: skip
    words = [ours.text(word) for word in ours.words(theirs.encode("鱧を食べた。"), "ja")]
    assert "".join(words) == "鱧を食べた。"
    assert all("\ufffd" not in word for word in words)
    assert words[-1].endswith("。")


@pytest.mark.weights
def test_english_and_japanese_together(recognizer: WhisperRecognizer) -> None:
    first, second, nothing = recognizer.recognize([english(), japanese(), silence(3)])
    assert first.language == "en"
    assert " ".join(segment.text for segment in first.segments) == ENGLISH
    assert second.language == "ja"
    assert "土曜日" in second.segments[0].text
    assert nothing.segments == ()


@pytest.mark.weights
@pytest.mark.parametrize(("language", "spoken"), [("en", english), ("ja", japanese)])
def test_words_have_times(recognizer: WhisperRecognizer, language: str, spoken: Any) -> None:
    waveform = np.concatenate([silence(1), spoken()])
    (heard,) = recognizer.recognize([waveform], language, with_words=True)
    words = [word for segment in heard.segments for word in segment.words]
    assert "".join(word.text for word in words).strip() == " ".join(segment.text for segment in heard.segments)
    times = [time for word in words for time in (word.start_s, word.end_s)]
    assert times == sorted(times)
    assert 0.7 < words[1].start_s < 2.0  # the silence before it is not said
    assert times[-1] <= len(waveform) / SAMPLE_RATE_HZ
    assert all(0 <= word.probability <= 1 for word in words)


@pytest.mark.weights
def test_nothing_is_made_up_where_nobody_speaks(recognizer: WhisperRecognizer) -> None:
    sounds = without_speech(6.0)
    heard = recognizer.recognize(list(sounds.values()))
    assert {name: found.segments for name, found in zip(sounds, heard, strict=True)} == dict.fromkeys(sounds, ())


@pytest.mark.weights
def test_a_window_cannot_run_away(recognizer: WhisperRecognizer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A syllable again and again is what makes it repeat itself; each answer has its limit of tokens."""
    texts: list[str] = []
    judge = Window.judge

    def spy(self: Window, found: Answer) -> bool:
        texts.append(found.text)
        return judge(self, found)

    monkeypatch.setattr(Window, "judge", spy)
    syllable: Waveform = japanese()[8000:11200]
    recognizer.recognize([np.tile(syllable, 20)], "ja")
    assert 1 <= len(texts) <= len(ATTEMPTS)
    assert all(len(text) < 224 * 4 for text in texts)


@pytest.mark.weights
def test_what_it_cannot_hear(recognizer: WhisperRecognizer) -> None:
    with pytest.raises(OptionError, match=r"'tlh'.*99"):
        recognizer.recognize([silence(1)], "tlh")
    with pytest.raises(AudioError, match="30 s"):
        recognizer.recognize([silence(31)])
    with pytest.raises(AudioError, match=r"\[16000, 2\]"):
        recognizer.recognize([np.zeros((16000, 2), np.float32)])
    assert recognizer.recognize([silence(0), np.full(1, 0.5, np.float32)], "en")[0].segments == ()
    other = WhisperRecognizer(whisper_folder())
    other.close()
    other.close()
    with pytest.raises(OptionError, match="closed"):
        other.recognize([english()])
