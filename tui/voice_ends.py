"""What the chat listens and speaks with: engines of speech, a microphone, a speaker."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from edgeai import EdgeAIError

if TYPE_CHECKING:
    from edgeai.catalog_entry import CatalogEntry
    from edgeai.speech.base import AudioSink, AudioSource, Recognizer, Voice
    from edgeai.speech.converse import Echo
    from edgeai.speech.ear import Ear


class Ends(Protocol):
    """Opens what is spoken with; tests put others in its place.

    Attributes:
        echo: "mute" where the microphone hears the speaker; see `edgeai.speech.converse.Conversation`.
    """

    echo: Echo

    def missing_weights(self) -> CatalogEntry | None: ...
    def recognizer(self) -> Recognizer: ...
    def voices(self) -> dict[str, Voice]: ...
    def microphone(self) -> AudioSource: ...
    def speaker(self) -> AudioSink: ...
    def ear(self) -> Ear: ...
    def release(self) -> None: ...


class RealEnds:
    """The engines of `edgeai.speech` and PortAudio's devices, each opened when it is first used."""

    def __init__(self, input_name: str | None = None, output_name: str | None = None, echo: Echo = "mute") -> None:
        from edgeai.speech.engines import SpeechEngines

        self.echo: Echo = echo
        self._names = (input_name, output_name)
        self._engines = SpeechEngines()

    def missing_weights(self) -> CatalogEntry | None:
        from edgeai.speech.engines import chosen_recognizer
        from tui.speech_weights import wanted

        with suppress(EdgeAIError):  # what listens will say it
            return wanted(chosen_recognizer())
        return None

    def recognizer(self) -> Recognizer:
        return self._engines.recognizer()

    def voices(self) -> dict[str, Voice]:
        return self._engines.voices()

    def microphone(self) -> AudioSource:
        from edgeai.speech.devices import Microphone

        return Microphone(self._names[0])

    def speaker(self) -> AudioSink:
        from edgeai.speech.devices import Speaker

        return Speaker(self._names[1])

    def ear(self) -> Ear:
        from edgeai.speech.ear import Ear
        from edgeai.speech.vad import VoiceActivity

        return Ear(VoiceActivity())

    def release(self) -> None:
        self._engines.release()
