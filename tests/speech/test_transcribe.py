"""Transcribing: with the real voice activity and a recognizer that tells what it was given, and once with Whisper."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edgeai.errors import AudioError
from edgeai.paths import cache_dir
from edgeai.speech.transcribe import transcribe, transcript_of
from edgeai.speech.transcribe_journal import TranscriptJournal, journal_key
from edgeai.speech.transcript_format import as_json, as_srt, as_text, as_vtt
from edgeai.speech.types import SAMPLE_RATE_HZ, Segment, Transcript, Word
from edgeai.speech.vad import VoiceActivity
from edgeai.speech.whisper import WhisperRecognizer
from tests.speech.heard import ENGLISH, FakeRecognizer, english, japanese, silence, whisper_folder, without_speech

if TYPE_CHECKING:
    from edgeai.speech.types import Waveform


@pytest.fixture(scope="module")
def voice() -> VoiceActivity:
    return VoiceActivity()


def recording(n: int, *, pause_s: float = 3.0) -> list[Waveform]:
    """So many sentences, each louder than the one before; a block is a sentence or a pause."""
    spoken = english() / float(np.abs(english()).max())
    return [block for at in range(n) for block in (silence(pause_s), spoken * (0.3 + 0.02 * at))]


def seconds(blocks: list[Waveform]) -> float:
    return sum(map(len, blocks)) / SAMPLE_RATE_HZ


def test_silence_noise_and_tones_are_not_even_shown_to_the_recognizer(voice: VoiceActivity) -> None:
    for sound in without_speech(8.0).values():
        recognizer = FakeRecognizer()
        assert transcribe(sound, recognizer, voice=voice) == Transcript("", "", (), 8.0)
        assert recognizer.asked == []


def test_segments_lie_where_they_are_said(voice: VoiceActivity) -> None:
    blocks, recognizer, told = recording(12, pause_s=3.0), FakeRecognizer(), list[float]()
    heard = transcribe(blocks, recognizer, "en", voice=voice, on_progress=told.append)
    length_s = len(english()) / SAMPLE_RATE_HZ
    starts = [segment.start_s for segment in heard.segments]
    assert starts[0] == pytest.approx(3.0, abs=0.3)
    assert heard.segments[-1].end_s == pytest.approx(12 * (3 + length_s), abs=0.6)
    assert heard.duration_s == pytest.approx(seconds(blocks))
    assert told == sorted(told)
    assert told[-1] == heard.duration_s
    assert recognizer.asked == [("en", 3)]  # windows of several sentences, all at once


def test_one_waveform_is_as_good_as_blocks(voice: VoiceActivity) -> None:
    blocks = recording(2)
    whole = np.concatenate(blocks)
    assert transcribe(whole, FakeRecognizer(), voice=voice) == transcribe(blocks, FakeRecognizer(), voice=voice)
    with pytest.raises(AudioError, match="nan"):
        transcribe(np.array([0.0, np.nan], np.float32), FakeRecognizer(), voice=voice)


def test_a_short_sound_has_the_language_of_the_one_before(voice: VoiceActivity) -> None:
    recognizer = FakeRecognizer()
    short = english()[: round(0.8 * SAMPLE_RATE_HZ)]
    transcribe([silence(1), *[english()] * 5, silence(1), short, silence(1)], recognizer, voice=voice)
    assert recognizer.asked[0] == (None, 1)
    assert recognizer.asked[1:] in ([], [("en", 1)])


def test_a_sentence_tells_its_language_whatever_was_said_before(voice: VoiceActivity) -> None:
    recognizer = FakeRecognizer()
    transcribe([*[english()] * 3, silence(7), english(), silence(1)], recognizer, voice=voice)
    assert {language for language, _ in recognizer.asked} == {None}


def test_an_interrupted_job_goes_on(voice: VoiceActivity) -> None:
    blocks = recording(12, pause_s=12.0)
    whole = transcribe(blocks, FakeRecognizer(), "en", voice=voice)
    with TranscriptJournal("ab") as journal, pytest.raises(KeyboardInterrupt):
        transcribe(blocks, FakeRecognizer(fails_at=1), "en", voice=voice, journal=journal)
    with TranscriptJournal("ab") as journal:
        assert 0 < journal.until_s < seconds(blocks)
        rest = np.concatenate(blocks)[round(journal.until_s * SAMPLE_RATE_HZ) :]
        told: list[Segment] = []
        again = transcribe(rest, FakeRecognizer(), "en", voice=voice, journal=journal, on_segment=told.append)
        assert tuple(told) == again.segments
        journal.remove()
    assert again.text == whole.text
    assert again.duration_s == pytest.approx(whole.duration_s)
    assert [each.start_s for each in again.segments] == pytest.approx(
        [each.start_s for each in whole.segments], abs=0.1
    )
    assert not list((cache_dir() / "transcripts").iterdir())


SEGMENTS = (
    Segment("Good morning.", 1.0, 2.5, "en", (Word(" Good", 1.0, 1.5, 0.9), Word(" morning.", 1.5, 2.5, 0.8))),
    Segment("おはよう。", 3.0, 4.0, "ja"),
)


def test_a_journal_keeps_what_a_kill_left_whole() -> None:
    with TranscriptJournal("cd") as journal:
        journal.put(SEGMENTS[:1], 2.5)
        journal.put(SEGMENTS[1:], 9.0)
        with pytest.raises(AudioError, match="another process"):
            TranscriptJournal("cd")
    path = cache_dir() / "transcripts" / "cd.jsonl"
    data = path.read_bytes()
    with TranscriptJournal("cd") as journal:
        assert (tuple(journal.segments), journal.until_s) == (SEGMENTS, 9.0)
    for n_bytes in range(0, len(data), 7):
        path.write_bytes(data[:n_bytes])
        with TranscriptJournal("cd") as journal:
            n_whole = data[:n_bytes].count(b"\n")
            assert tuple(journal.segments) == SEGMENTS[:n_whole]
    path.write_bytes(data.replace(b"Good", b"Evil"))
    with TranscriptJournal("cd") as journal:  # a part that is missing makes all behind it worthless
        assert (journal.segments, journal.until_s) == ([], 0.0)


def test_a_killed_process_leaves_its_parts(home: Path) -> None:
    program = (
        "import os, signal; from edgeai.speech.transcribe_journal import TranscriptJournal as J\n"
        "from edgeai.speech.types import Segment\n"
        "j = J('ef'); j.put([Segment('a', 0.0, 1.0, 'en')], 1.0); os.kill(os.getpid(), signal.SIGKILL)"
    )
    ended = subprocess.run([sys.executable, "-c", program], env={**os.environ, "EDGEAI_HOME": str(home)}, check=False)
    assert ended.returncode == -signal.SIGKILL
    with TranscriptJournal("ef") as journal:
        assert (journal.until_s, [segment.text for segment in journal.segments]) == (1.0, ["a"])


def test_a_journal_is_of_one_file_as_it_is_and_of_how_it_is_heard(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(b"a")
    keys = {journal_key(path, "base", "auto", with_words=False), journal_key(path, "base", "ja", with_words=False)}
    keys |= {journal_key(path, "tiny", "auto", with_words=False), journal_key(path, "base", "auto", with_words=True)}
    path.write_bytes(b"ab")
    keys.add(journal_key(path, "base", "auto", with_words=False))
    assert len(keys) == 5
    assert journal_key(path, "base", "auto", with_words=False) in keys


HOSTILE = Segment("a --> b <i>x</i> & {\\an8}y \x1b[31mred\x07\n\n00:01 ---> z\u202e", 3661.5, 3661.5, "en")
LONG = Segment("これはとても長い文です。" * 8, 0.0, 8.0, "ja")


def test_text_is_spaced_as_its_language_is() -> None:
    made = transcript_of([SEGMENTS[0], SEGMENTS[1], SEGMENTS[1]], 9.0)
    assert (made.text, made.language) == ("Good morning. おはよう。おはよう。", "en")
    assert as_text(made) == "Good morning.\nおはよう。\nおはよう。\n"
    assert transcript_of([], 4.0) == Transcript("", "", (), 4.0)


def test_json_has_everything() -> None:
    made = transcript_of([*SEGMENTS, HOSTILE], 9.0)
    read = json.loads(as_json(made))
    assert read["segments"][0]["words"][1] == {"text": " morning.", "start_s": 1.5, "end_s": 2.5, "probability": 0.8}
    assert read["duration_s"] == 9.0
    assert "\x1b" not in read["text"]
    assert "\u202e" not in as_json(made)


def test_subrip() -> None:
    made = as_srt(transcript_of(SEGMENTS, 9.0))
    assert made == ("1\n00:00:01,000 --> 00:00:02,500\nGood morning.\n\n2\n00:00:03,000 --> 00:00:04,000\nおはよう。\n")
    assert as_srt(transcript_of([], 9.0)) == ""


@pytest.mark.parametrize("write", [as_srt, as_vtt])
def test_no_text_breaks_subtitles(write: Callable[[Transcript], str]) -> None:
    made = write(transcript_of([HOSTILE, LONG, SEGMENTS[0]], 9.0))
    blocks = made.strip().split("\n\n")
    timings = [line for line in made.split("\n") if "-->" in line]
    assert len(timings) == len(blocks) - (write is as_vtt)
    assert not any(letter in made for letter in "\x1b\x07\u202e")
    text = "".join(line for line in made.split("\n") if line not in timings)
    assert "<" not in text
    if write is as_srt:
        assert "{" not in text


def test_webvtt_escapes() -> None:
    made = as_vtt(transcript_of([Segment("R&D --> 1 < 2", 0.0, 1.0, "en")], 1.0))
    assert made == "WEBVTT\n\n00:00:00.000 --> 00:00:01.000\nR&amp;D --&gt; 1 &lt; 2\n"


def test_long_segments_become_several_subtitles_of_two_lines() -> None:
    english_words = Segment("and then they went on and on " * 10 + "w" * 100, 10.0, 30.0, "en")
    for segment in (LONG, english_words):
        blocks = as_srt(transcript_of([segment], 30.0)).strip().split("\n\n")
        lines = [line for block in blocks for line in block.split("\n")[2:]]
        assert len(blocks) > 1
        assert all(2 < len(block.split("\n")) <= 4 for block in blocks)
        assert all(sum(1 + (ord(letter) > 0x2E80) for letter in line) <= 42 for line in lines)
        assert "".join(lines).replace(" ", "") == segment.text.replace(" ", "")
        assert not any(line.startswith("。") for line in lines)
        times = [part for block in blocks for part in block.split("\n")[1].split(" --> ")]
        assert times == sorted(times)
        assert times[1:-1:2] == times[2::2]


def test_subtitles_never_overlap_and_go_on_in_time() -> None:
    times = [(-1.0, 2.0), (1.5, 9.0), (4.0, 3.0), (3.5, 6.0), (5.0, 5.0), (5.0, 8.0)]
    segments = [Segment("words " * 40, start, end, "en") for start, end in times]
    blocks = as_srt(transcript_of(segments, 9.0)).strip().split("\n\n")
    assert [block.split("\n")[0] for block in blocks] == [str(number + 1) for number in range(len(blocks))]
    shown = [part for block in blocks for part in block.split("\n")[1].split(" --> ")]
    assert all(re.fullmatch(r"\d\d:[0-5]\d:[0-5]\d,\d{3}", each) for each in shown)
    assert shown == sorted(shown)
    assert all(start < end for start, end in zip(shown[::2], shown[1::2], strict=True))


@pytest.mark.weights
def test_whisper_transcribes_a_recording_in_two_languages(voice: VoiceActivity) -> None:
    recognizer = WhisperRecognizer(whisper_folder())
    noise = without_speech(6.0)["pink noise"] * 0.05
    blocks = [noise, *[english(), silence(0.8)] * 3, silence(9), *[japanese(), silence(1.5)] * 2, noise]
    heard = transcribe(blocks, recognizer, voice=voice)
    recognizer.close()
    spoken_en = [segment for segment in heard.segments if segment.language == "en"]
    said = " ".join(segment.text for segment in spoken_en)
    assert said.replace(".", "") == " ".join([ENGLISH] * 3).replace(".", "")
    assert {segment.language for segment in heard.segments} == {"en", "ja"}
    begin = 6.0
    for segment in spoken_en:
        assert segment.start_s == pytest.approx(begin, abs=0.5)
        begin += len(english()) / SAMPLE_RATE_HZ + 0.8
