"""A conversation by voice: it listens, answers aloud while the answer is still being written, and falls silent at once
when the other side speaks.

Two threads: one hears, all the time; the other transcribes, asks the session and speaks. What was said is transcribed
as soon as the speaker pauses, while it is still waited whether the pause is the end; so the wait costs no time.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from edgeai.errors import AudioError, EdgeAIError, OptionError
from edgeai.messages import Message
from edgeai.speech.ear import Ear, Hearing
from edgeai.speech.mouth import Mouth
from edgeai.speech.speak import speak
from edgeai.speech.types import SAMPLE_RATE_HZ
from edgeai.speech.vad import VoiceActivity
from edgeai.speech.wav import write_wav
from edgeai.speech.waveform import Resampler

if TYPE_CHECKING:
    from edgeai.response import Response
    from edgeai.session import Session
    from edgeai.speech.base import AudioSink, AudioSource, Recognizer, Voice
    from edgeai.speech.types import Waveform

EventKind = Literal["speech", "partial", "heard", "sentence", "answered", "interrupted", "problem"]
Echo = Literal["mute", "none"]
_ECHO_S = 0.3
"""How long a room and a sound card go on sounding."""
NOT_SPOKEN = " …"
"""Ends a message that was interrupted, in the conversation that the model sees."""


@dataclass(frozen=True, slots=True)
class VoiceEvent:
    """What happens in a conversation, for whoever shows it.

    Attributes:
        kind: "speech": somebody begins to speak. "partial": words so far. "heard": what was said. "sentence": of the
            answer, about to sound. "answered": all of it has sounded. "interrupted": it was stopped. "problem": one
            line, and the conversation goes on.
        text: the words, or the line.
        unspoken: of an interrupted answer, what did not sound.
        after_s: "heard" and "sentence": since the speaker fell silent.
    """

    kind: EventKind
    text: str = ""
    unspoken: str = ""
    after_s: float = 0.0


class Conversation:
    """One conversation by voice; `edgeai.Session.converse` makes and runs one."""

    def __init__(
        self,
        session: Session,
        source: AudioSource,
        sink: AudioSink,
        recognizer: Recognizer,
        voices: Mapping[str, Voice],
        *,
        language: str = "auto",
        echo: Echo = "mute",
        on_event: Callable[[VoiceEvent], None] = lambda event: None,
        keep_dir: Path | None = None,
    ) -> None:
        """
        Args:
            session: that answers.
            source: a microphone, or a program's own.
            sink: a speaker, or a program's own.
            recognizer: hears the words.
            voices: by language, ISO 639-1.
            language: that is spoken, or "auto".
            echo: "mute": it is deaf while it speaks, for loudspeakers near the microphone, whose sound would interrupt
                it. "none": it hears all the time, for headphones, headsets and devices that cancel their echo: then it
                can be interrupted by voice.
            on_event: told what happens, in the conversation's threads.
            keep_dir: where a recording goes that could not be transcribed.
        Raises:
            OptionError: no such echo.
        """
        if echo not in get_args(Echo):
            raise OptionError(f'echo = {echo!r}: expected "mute" or "none"')
        self._session = session
        self._source, self._mouth = source, Mouth(sink)
        self._recognizer, self._voices = recognizer, voices
        self._language = None if language == "auto" else language
        self._is_deaf_while_speaking = echo == "mute"
        self._tell = on_event
        self._keep_dir = keep_dir
        self._heard: queue.SimpleQueue[tuple[Hearing, float] | BaseException | None] = queue.SimpleQueue()
        self._response: Response | None = None
        self._silent_since = 0.0
        self._known: tuple[int, int, str] = (0, 0, "")  # utterance, its samples of speech, its words

    def run(self) -> None:
        """Converse until the source ends or `stop` is called.

        Raises:
            AudioDeviceError: a device is gone.
            EdgeAIError: the session failed for good.
        """
        listening = threading.Thread(target=self._listen, name="edgeai-ear", daemon=True)
        listening.start()
        try:
            while (item := self._heard.get()) is not None:
                if isinstance(item, BaseException):
                    raise item
                self._take(*item)
        finally:
            self.stop()
            listening.join(2.0)

    def stop(self) -> None:
        """End the conversation and fall silent; from any thread."""
        self.interrupt()
        self._source.close()

    def interrupt(self) -> None:
        """Fall silent, and stop the answer that is being made; from any thread."""
        self._mouth.stop()
        if (response := self._response) is not None:
            response.cancel()

    # --- the thread that hears ---

    def _listen(self) -> None:
        try:
            ear, resampler = Ear(VoiceActivity()), Resampler(self._source.sample_rate_hz)
            deaf_until = 0.0
            while (block := self._source.read()) is not None:
                if self._is_deaf_while_speaking and self._mouth.is_speaking:
                    deaf_until = time.monotonic() + _ECHO_S
                if time.monotonic() < deaf_until:
                    ear.forget()
                    continue
                for hearing in ear.push(resampler.push(block)):
                    self._notice(hearing)
            for hearing in ear.finish():
                self._notice(hearing)
            self._heard.put(None)
        except BaseException as exc:  # noqa: BLE001 - the other thread raises it
            self._heard.put(exc)

    def _notice(self, hearing: Hearing) -> None:
        if hearing.kind == "began":
            if self._response is not None or self._mouth.is_speaking:
                self.interrupt()
            self._tell(VoiceEvent("speech"))
        else:
            self._heard.put((hearing, time.monotonic()))

    # --- the thread that answers ---

    def _take(self, hearing: Hearing, heard_at: float) -> None:
        if hearing.kind != "ended":
            if self._heard.empty():  # else there is something newer
                self._words(hearing)
            return
        self._silent_since = heard_at - hearing.silence_s
        words = self._words(hearing)
        if words:
            self._tell(VoiceEvent("heard", words, after_s=time.monotonic() - self._silent_since))
            self._answer(words)

    def _words(self, hearing: Hearing) -> str:
        """What was said, so far; known already where nothing was said since."""
        if self._known[:2] == (hearing.utterance, hearing.n_spoken):
            return self._known[2]
        try:
            found = self._recognizer.recognize([hearing.waveform], self._language)[0]
        except EdgeAIError as exc:
            if hearing.kind == "ended":
                self._tell(VoiceEvent("problem", f"{exc}{self._kept(hearing.waveform)}"))
            return ""
        words = " ".join(segment.text for segment in found.segments).strip()
        self._known = (hearing.utterance, hearing.n_spoken, words)
        if words and hearing.kind != "ended":
            self._tell(VoiceEvent("partial", words))
        return words

    def _kept(self, waveform: Waveform) -> str:
        if self._keep_dir is None:
            return ""
        path = self._keep_dir / time.strftime("recording-%Y%m%d-%H%M%S.wav")
        with suppress(AudioError):
            write_wav(path, [waveform], SAMPLE_RATE_HZ)
            return f" (the recording is kept: {path})"
        return ""

    def _answer(self, words: str) -> None:
        self._mouth.begin()
        try:
            self._response = response = self._session.chat(words)
            finished = self._speak(response)
        except EdgeAIError as exc:
            self._tell(VoiceEvent("problem", str(exc)))
            return
        finally:
            self._response = None
        if finished:
            self._tell(VoiceEvent("answered", response.partial_text))
        else:
            self._interrupted(response)

    def _speak(self, response: Response) -> bool:
        """Speak an answer as it is made; whether nobody stopped it."""
        sentences = speak(response, self._voices, on_skipped=lambda line: self._tell(VoiceEvent("problem", line)))
        try:
            for speech in sentences:
                after_s = time.monotonic() - self._silent_since
                self._tell(VoiceEvent("sentence", speech.text, after_s=after_s))
                if not self._mouth.say(speech):
                    return False
        except AudioError:
            if not response.cancel_requested:
                raise
        return self._mouth.drain() and not response.cancel_requested

    def _interrupted(self, response: Response) -> None:
        """What did not sound was not said: the model is to know it too."""
        response.cancel()
        response.wait()
        said, whole = self._mouth.said, response.partial_text
        messages = self._session.messages
        if messages and messages[-1].role == "assistant":
            self._session.messages = [*messages[:-1], Message("assistant", said + NOT_SPOKEN)]
        self._tell(VoiceEvent("interrupted", said, unspoken=_after(whole, said)))


def _after(whole: str, said: str) -> str:
    """What of a text follows the sentences that sounded; they differ in their spaces at most."""
    left = said.split()
    rest = whole
    for word in left:
        place = rest.find(word)
        if place < 0:
            return rest.strip()
        rest = rest[place + len(word) :]
    return rest.strip()
