"""The chat's ears and voice: a microphone that is listened to and a speaker that reads answers out, in threads of their
own. What happens is posted to the screen."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import TYPE_CHECKING

from textual.message import Message as Event

from edgeai import AudioDeviceError, AudioError, EdgeAIError
from edgeai.paths import recordings_dir
from tui.voice_ends import Ends, RealEnds
from tui.voice_events import (
    VoiceEnded,
    VoiceInterrupted,
    VoiceLevel,
    VoicePartial,
    VoiceProblem,
    VoiceSaid,
    VoiceSpoken,
)

if TYPE_CHECKING:
    from edgeai.catalog_entry import CatalogEntry
    from edgeai.speech.base import AudioSink, AudioSource, Recognizer, Voice
    from edgeai.speech.ear import Ear
    from edgeai.speech.mouth import Mouth
    from edgeai.speech.types import Waveform

__all__ = ["Ends", "RealEnds", "VoiceMode"]

_LEVEL_S = 0.1
_CLOSE_TIMEOUT_S = 3.0


class VoiceMode:
    """Listens and speaks for the chat.

    Attributes:
        is_on: the microphone is open, or about to be.
        is_hands_free: what is said is sent, and answers are read out.
    """

    def __init__(self, post: Callable[[Event], object], ends: Callable[[], Ends] = RealEnds) -> None:
        self.is_on = self.is_hands_free = False
        self._post, self._open_ends = post, ends
        self._ends: Ends | None = None
        self._source: AudioSource | None = None
        self._sink: AudioSink | None = None
        self._mouth: Mouth | None = None
        self._pieces: queue.SimpleQueue[str | None] | None = None
        self._is_hushed = False
        self._level_at = 0.0
        self._listening: threading.Thread | None = None
        self._speaking: threading.Thread | None = None

    def missing_weights(self) -> CatalogEntry | None:
        """What could be fetched so that it can listen; None where nothing is missing, or no network is wanted."""
        self._ends = self._ends or self._open_ends()
        return self._ends.missing_weights()

    def start(self, *, hands_free: bool) -> None:
        """Open the microphone; for one utterance, or until `stop`. Nothing happens where it is listening already."""
        if self.is_listening:
            return
        self.is_on, self.is_hands_free = True, hands_free
        self._ends = ends = self._ends or self._open_ends()
        self._listening = threading.Thread(target=self._listen, args=(ends,), name="edgeai-voice", daemon=True)
        self._listening.start()

    def stop(self) -> None:
        """Close the microphone and fall silent; what was said until now is still told."""
        self.is_on = self.is_hands_free = False
        self.hush()
        if self._source is not None:
            self._source.close()

    def close(self) -> None:
        """Stop, and free everything."""
        self.stop()
        for thread in (self._listening, self._speaking):
            if thread is not None:
                thread.join(_CLOSE_TIMEOUT_S)
        if self._sink is not None:
            self._sink.close()
        if self._ends is not None:
            self._ends.release()

    @property
    def is_listening(self) -> bool:
        """The microphone is open, or what was said last is still being transcribed."""
        return self._listening is not None and self._listening.is_alive()

    # --- answers ---

    @property
    def is_speaking(self) -> bool:
        """An answer is being read out."""
        return self._speaking is not None and self._speaking.is_alive()

    @property
    def can_be_interrupted(self) -> bool:
        """Whoever speaks while an answer sounds is heard."""
        return self._ends is not None and self._ends.echo == "none"

    def begin_answer(self) -> None:
        """Another answer: what is fed from now on is read out."""
        self._is_hushed = False

    def feed(self, text: str) -> None:
        """Read this out after what was fed before, unless the answer was stopped."""
        if self._is_hushed or self._ends is None:
            return
        pieces = self._pieces
        if pieces is None:
            self._pieces = pieces = queue.SimpleQueue()
            self._mouth = None
            arguments = (pieces, self._ends, self._speaking)
            self._speaking = threading.Thread(target=self._speak, args=arguments, name="edgeai-say", daemon=True)
            self._speaking.start()
        pieces.put(text)

    def end_answer(self) -> None:
        """The answer is complete."""
        pieces, self._pieces = self._pieces, None
        if pieces is not None:
            pieces.put(None)

    def hush(self) -> str:
        """Fall silent until the next answer, from any thread; the sentences of this one that have sounded."""
        self._is_hushed = True
        self.end_answer()
        if self._mouth is None or not self.is_speaking:
            return ""
        self._mouth.stop()
        return self._mouth.said

    def interrupt(self) -> None:
        """Fall silent, and tell what has sounded; from any thread."""
        self._post(VoiceInterrupted(self.hush()))

    def _speak(self, pieces: queue.SimpleQueue[str | None], ends: Ends, before: threading.Thread | None) -> None:
        from edgeai.speech.mouth import Mouth

        if before is not None:
            before.join()
        try:
            self._sink = self._sink or ends.speaker()
            self._mouth = mouth = Mouth(self._sink)
            mouth.begin()
            if self._is_hushed:
                mouth.stop()
            if self._read_out(mouth, _until_none(pieces), ends.voices()):
                self._post(VoiceSpoken())
        except AudioDeviceError as exc:
            self._post(VoiceEnded(exc))

    def _read_out(self, mouth: Mouth, text: Iterator[str], voices: dict[str, Voice]) -> bool:
        """Whether nobody stopped it."""
        try:
            return mouth.read_out(text, voices, on_skipped=self._skipped)
        except AudioDeviceError:
            raise
        except EdgeAIError as exc:
            is_whole = mouth.drain()
            if is_whole:  # else what was stopped had no sentence yet
                self._post(VoiceProblem(str(exc)))
            return is_whole

    def _skipped(self, line: str) -> None:
        self._post(VoiceProblem(line, is_lasting=False))

    # --- listening ---

    def _listen(self, ends: Ends) -> None:
        error: EdgeAIError | None = None
        is_hands_free = self.is_hands_free
        try:
            with closing(ends.microphone()) as source:  # first: where it is missing, nobody waits for weights to load
                self._source = source
                recognizer, ear = ends.recognizer(), ends.ear()
                if self.is_on:
                    self._hear(source, recognizer, ear, ends, is_hands_free=is_hands_free)
        except EdgeAIError as exc:
            error = exc
        except Exception as exc:  # noqa: BLE001 - the window must go on, whatever a native library raises
            error = AudioError(f"listening failed: {type(exc).__name__}: {exc}")
        self.is_on = self.is_hands_free = False
        self._post(VoiceEnded(error))

    def _hear(self, source: AudioSource, recognizer: Recognizer, ear: Ear, ends: Ends, *, is_hands_free: bool) -> None:
        from edgeai.speech.listener import Listener
        from edgeai.speech.speak import VoicesAhead

        listener = Listener(
            source,
            recognizer,
            ear,
            is_deaf=self._is_deaf,
            on_speech=self._began,
            on_block=self._tell_level,
            keep_dir=recordings_dir(),
        )
        ahead = VoicesAhead(ends.voices()) if is_hands_free else None
        for heard in listener:
            if heard.kind == "partial":
                self._post(VoicePartial(heard.text))
                if ahead is not None:
                    ahead.expect(heard.text)
            elif heard.kind == "problem":
                self._post(VoiceProblem(heard.text))
            else:
                self._post(VoiceSaid(heard.text, goes_on=listener.is_in_speech))
            if heard.kind != "partial" and heard.text and not is_hands_free:
                return

    # --- in the listener's thread ---

    def _is_deaf(self) -> bool:
        return not self.can_be_interrupted and self._mouth is not None and self._mouth.is_speaking

    def _began(self) -> None:
        if self.is_hands_free:
            self.interrupt()

    def _tell_level(self, block: Waveform) -> None:
        now = time.monotonic()
        if now - self._level_at > _LEVEL_S:
            self._level_at = now
            self._post(VoiceLevel(_level(block)))


def _until_none(pieces: queue.SimpleQueue[str | None]) -> Iterator[str]:
    while (piece := pieces.get()) is not None:
        yield piece


def _level(block: Waveform) -> float:
    import numpy as np

    return float(min(1.0, 4 * np.sqrt(np.mean(block**2)))) if len(block) else 0.0
