"""A listener: what is said into a source comes out as words, while it is said.

One thread hears, all the time; whoever iterates transcribes. What was said is transcribed as soon as the speaker
pauses, while it is still waited whether the pause is the end; so the wait costs no time.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from edgeai.errors import AudioError, EdgeAIError
from edgeai.safe_text import one_line
from edgeai.speech.ear import Ear, Hearing
from edgeai.speech.types import SAMPLE_RATE_HZ
from edgeai.speech.vad import VoiceActivity
from edgeai.speech.wav import write_wav
from edgeai.speech.waveform import Resampler

if TYPE_CHECKING:
    from edgeai.speech.base import AudioSource, Recognizer
    from edgeai.speech.types import Waveform

_ECHO_S = 0.3
"""How long a room and a sound card go on sounding: so long it stays deaf."""
_JOIN_S = 2.0

HeardKind = Literal["partial", "said", "problem"]


@dataclass(frozen=True, slots=True)
class Heard:
    """What was heard.

    Attributes:
        kind: "partial": words so far. "said": somebody has finished. "problem": it could not be transcribed.
        text: the words, "" where there were none; of a problem one line that says where the recording is kept.
        silent_since: when the speaker fell silent, as `time.monotonic` has it.
        waveform: of what was said, the sound itself: [n_samples], 16 kHz.
    """

    kind: HeardKind
    text: str
    silent_since: float
    waveform: Waveform | None = field(default=None, repr=False, compare=False)


class Listener:
    """Iterate it for what is said, until the source ends or is closed; what was said last comes out before."""

    def __init__(
        self,
        source: AudioSource,
        recognizer: Recognizer,
        ear: Ear | None = None,
        *,
        language: str = "auto",
        with_partials: bool = True,
        is_deaf: Callable[[], bool] = lambda: False,
        on_speech: Callable[[], object] = lambda: None,
        on_block: Callable[[Waveform], object] = lambda block: None,
        keep_dir: Path | None = None,
    ) -> None:
        """
        Args:
            source: closed at the end.
            recognizer: hears the words.
            ear: cuts sound into utterances; the usual one where none is given.
            language: that is spoken, or "auto".
            with_partials: tell words while they are said, too. Transcribing them takes time and power.
            is_deaf: asked for each block: what is heard while it is true, and shortly after, is of no concern.
            on_speech: told that somebody begins to speak, in the thread that hears.
            on_block: told of each block, in the thread that hears.
            keep_dir: where a recording goes that could not be transcribed.
        Raises:
            OptionError: the extra `speech` is not installed.
        """
        self._source, self._recognizer = source, recognizer
        self._ear = ear or Ear(VoiceActivity())
        self._language = None if language == "auto" else language
        self._with_partials = with_partials
        self._is_deaf, self._on_speech, self._on_block = is_deaf, on_speech, on_block
        self._keep_dir = keep_dir
        self._waiting: deque[tuple[Hearing, float] | BaseException | None] = deque()
        self._change = threading.Condition()
        self._known: tuple[int, int, str] = (0, 0, "")  # utterance, its samples of speech, its words

    @property
    def is_in_speech(self) -> bool:
        """Somebody speaks, or has only just stopped."""
        return self._ear.is_in_speech

    def __iter__(self) -> Iterator[Heard]:
        """Listen. A second iteration needs another listener.

        Raises:
            AudioDeviceError: the device is gone; what was said before came out already.
        """
        hearing = threading.Thread(target=self._hear, name="edgeai-ear", daemon=True)
        hearing.start()
        try:
            while (item := self._next()) is not None:
                if isinstance(item, BaseException):
                    raise item
                if (heard := self._heard(*item)) is not None:
                    yield heard
        finally:
            self._source.close()
            hearing.join(_JOIN_S)

    # --- the thread that hears ---

    def _hear(self) -> None:
        end: BaseException | None = None
        try:
            self._hear_blocks()
        except BaseException as exc:  # noqa: BLE001 - the other thread raises it
            end = exc
        for hearing in self._ear.finish():
            self._put((hearing, time.monotonic()))
        self._put(end)

    def _hear_blocks(self) -> None:
        resampler = Resampler(self._source.sample_rate_hz)
        deaf_until = 0.0
        while (block := self._source.read()) is not None:
            self._on_block(block)
            if self._is_deaf():
                deaf_until = time.monotonic() + _ECHO_S
            if time.monotonic() < deaf_until:
                self._ear.forget()
                continue
            for hearing in self._ear.push(resampler.push(block)):
                if hearing.kind == "began":
                    self._on_speech()
                elif hearing.kind == "ended" or self._with_partials:
                    self._put((hearing, time.monotonic()))

    def _put(self, item: tuple[Hearing, float] | BaseException | None) -> None:
        with self._change:
            last = self._waiting[-1] if self._waiting else None
            if isinstance(last, tuple) and last[0].kind != "ended":
                self._waiting.pop()  # what comes now knows more
            self._waiting.append(item)
            self._change.notify()

    # --- the thread that transcribes ---

    def _next(self) -> tuple[Hearing, float] | BaseException | None:
        with self._change:
            self._change.wait_for(lambda: self._waiting)
            return self._waiting.popleft()

    def _heard(self, hearing: Hearing, heard_at: float) -> Heard | None:
        is_all = hearing.kind == "ended"
        silent_since = heard_at - hearing.silence_s
        if self._known[:2] != (hearing.utterance, hearing.n_spoken):
            try:
                words = self._words(hearing.waveform)
            except Exception as exc:  # noqa: BLE001 - whatever an engine raises, nothing that was said is lost
                return Heard("problem", self._problem(exc, hearing), silent_since) if is_all else None
            self._known = (hearing.utterance, hearing.n_spoken, words)
        words = self._known[2]
        if not is_all and not words:
            return None
        return Heard("said" if is_all else "partial", words, silent_since, hearing.waveform)

    def _words(self, waveform: Waveform) -> str:
        found = self._recognizer.recognize([waveform], self._language)[0]
        return one_line(" ".join(segment.text for segment in found.segments)).strip()

    def _problem(self, error: Exception, hearing: Hearing) -> str:
        """One line, after the recording is kept."""
        line = str(error) if isinstance(error, EdgeAIError) else f"transcribing failed: {type(error).__name__}: {error}"
        if self._keep_dir is not None:
            path = self._keep_dir / f"{time.strftime('recording-%Y%m%d-%H%M%S')}-{hearing.utterance}.wav"
            try:
                write_wav(path, [hearing.waveform], SAMPLE_RATE_HZ)
                line += f" (the recording is kept: {path})"
            except AudioError as exc:
                line += f" (the recording is lost: {exc})"
        return one_line(line)
