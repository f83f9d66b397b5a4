"""A conversation by voice: it listens, answers aloud while the answer is still being written, and falls silent at once
when the other side speaks.

Two threads: a `Listener`'s, which hears all the time; the other transcribes, asks the session and speaks.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from edgeai.errors import AudioDeviceError, AudioError, EdgeAIError, OptionError
from edgeai.messages import Message
from edgeai.speech.listener import Heard, Listener
from edgeai.speech.mouth import Mouth
from edgeai.speech.speak import VoicesAhead
from edgeai.speech.unspoken import NOT_SPOKEN, unspoken

if TYPE_CHECKING:
    from edgeai.response import Response
    from edgeai.session import Session
    from edgeai.speech.base import AudioSink, AudioSource, Recognizer, Voice
    from edgeai.speech.types import Speech, Waveform

EventKind = Literal["speech", "partial", "heard", "sentence", "answered", "interrupted", "problem"]
Echo = Literal["mute", "none"]


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
        self._mouth, self._voices = Mouth(sink), voices
        self._ahead = VoicesAhead(voices)
        self._listener = Listener(
            source,
            recognizer,
            language=language,
            is_deaf=lambda: echo == "mute" and self._mouth.is_speaking,
            on_speech=self._began,
            keep_dir=keep_dir,
        )
        self._source = source
        self._tell = on_event
        self._is_stopped = False
        self._response: Response | None = None
        self._silent_since = 0.0
        self._unanswered = ""
        self._utterances: list[Waveform] = []  # since the last answer

    def run(self) -> None:
        """Converse until the source ends or `stop` is called.

        Raises:
            AudioDeviceError: a device is gone.
        """
        try:
            for heard in self._listener:
                if self._is_stopped:
                    break
                self._take(heard)
        finally:
            self.stop()

    def stop(self) -> None:
        """End the conversation and fall silent; from any thread."""
        self._is_stopped = True
        self.interrupt()
        self._source.close()

    def interrupt(self) -> None:
        """Fall silent, and stop the answer that is being made; from any thread."""
        self._mouth.stop()
        if (response := self._response) is not None:
            response.cancel()

    def _began(self) -> None:
        if self._response is not None or self._mouth.is_speaking:
            self.interrupt()
        self._tell(VoiceEvent("speech"))

    def _take(self, heard: Heard) -> None:
        if heard.kind != "said":
            self._tell(VoiceEvent(heard.kind, heard.text))
        if heard.kind == "partial":
            self._ahead.expect(heard.text)
            return
        if heard.kind == "said" and heard.text and heard.waveform is not None:
            self._utterances.append(heard.waveform)
        words = f"{self._unanswered} {heard.text if heard.kind == 'said' else ''}".strip()
        self._unanswered = words if self._listener.is_in_speech else ""
        if words and not self._unanswered:  # else the speaker goes on, and all of it is answered
            self._silent_since = heard.silent_since
            self._tell(VoiceEvent("heard", words, after_s=time.monotonic() - self._silent_since))
            self._answer(words)

    def _answer(self, words: str) -> None:
        self._mouth.begin()
        try:
            self._response = response = self._ask(words)
            finished = self._speak(response)
        except AudioDeviceError:
            raise
        except EdgeAIError as exc:
            self._tell(VoiceEvent("problem", str(exc)))
            return
        finally:
            self._response = None
        if finished:
            self._tell(VoiceEvent("answered", response.partial_text))
        else:
            self._interrupted(response)

    def _ask(self, words: str) -> Response:
        """Ask by the words that were said; a session that hears gets what was said itself."""
        utterances, self._utterances = self._utterances, []
        if self._session.info.hears:
            return self._session.chat(audio=utterances)
        return self._session.chat(words)

    def _speak(self, response: Response) -> bool:
        """Speak an answer as it is made; whether nobody stopped it."""
        try:
            is_whole = self._mouth.read_out(
                response,
                self._voices,
                on_sentence=self._tell_sentence,
                on_skipped=lambda line: self._tell(VoiceEvent("problem", line)),
            )
        except AudioError:  # no word of it
            if not response.cancel_requested:
                raise
            return False
        return is_whole and not response.cancel_requested

    def _tell_sentence(self, speech: Speech) -> None:
        self._tell(VoiceEvent("sentence", speech.text, after_s=time.monotonic() - self._silent_since))

    def _interrupted(self, response: Response) -> None:
        """What did not sound was not said: the model is to know it too."""
        response.cancel()
        response.wait()
        said, whole = self._mouth.said, response.partial_text
        messages = self._session.messages
        if messages and messages[-1].role == "assistant":
            self._session.messages = [*messages[:-1], Message("assistant", said + NOT_SPOKEN)]
        self._tell(VoiceEvent("interrupted", said, unspoken=unspoken(whole, said)))
