"""Text to speech, sentence by sentence: the first is heard while the others are still being written."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress

from edgeai.errors import AudioError, EdgeAIError, OptionError
from edgeai.safe_text import one_line
from edgeai.speech.base import Voice
from edgeai.speech.language import NAMES, language_of
from edgeai.speech.sentences import SentenceStream
from edgeai.speech.speakable import Reader
from edgeai.speech.types import Speech

OnSkipped = Callable[[str], None]
"""Told in one line what is not spoken, and why."""


def speak(
    text: str | Iterable[str],
    voices: Mapping[str, Voice],
    *,
    language: str | None = None,
    on_skipped: OnSkipped | None = None,
) -> Iterator[Speech]:
    """Speak a text, sentence by sentence.

    Args:
        text: whole, or in pieces as a model makes them. Markdown is read as its words.
        voices: by their language, ISO 639-1. The first reads what shows no language, such as "42".
        language: the one voice that reads all of it; None chooses by sentence.
        on_skipped: told of each kind of thing that is left out.
    Returns:
        One Speech for each sentence, made when it is asked for.
    Raises:
        OptionError: there is no voice for the language, or for any of the sentences.
        AudioError: nothing in the text can be spoken.
    """
    if not voices:
        raise OptionError("voices is empty: expected a voice by its language, such as {'en': HibariVoice()}")
    if language is not None and language not in voices:
        raise OptionError(_no_voice(language, voices))
    return _Speaker(voices, language, on_skipped).speak([text] if isinstance(text, str) else text)


class VoicesAhead:
    """Loads the voice that an answer will want while the question is still being said, in a thread.

    What cannot be loaded is left to `speak`, which says it.
    """

    def __init__(self, voices: Mapping[str, Voice]) -> None:
        self._voices = dict(voices)

    def expect(self, words: str) -> None:
        """Somebody says these words, and will be answered in their language."""
        voice = self._voices.pop(language_of(words) or "", None)
        if voice is not None:
            threading.Thread(target=_load, args=(voice,), name="edgeai-voice-load", daemon=True).start()


def _load(voice: Voice) -> None:
    with suppress(EdgeAIError):
        voice.load()


class _Speaker:
    """One text being spoken."""

    def __init__(self, voices: Mapping[str, Voice], language: str | None, on_skipped: OnSkipped | None) -> None:
        self._voices = voices
        self._language = language
        self._last_language = language or next(iter(voices))
        self._told: list[str] = []
        self._on_skipped = on_skipped
        self._reader = Reader(self._skip)
        self._is_unvoiced = False

    def speak(self, pieces: Iterable[str]) -> Iterator[Speech]:
        n_spoken, start = 0, ""
        for sentence in _sentences(pieces):
            start = start or sentence
            speech = self._speech(sentence)
            if speech is not None:
                n_spoken += 1
                yield speech
        if not n_spoken:
            raise self._nothing_spoken(start)

    def _speech(self, sentence: str) -> Speech | None:
        language = self._choose(sentence)
        if language not in self._voices:
            self._is_unvoiced = True
            self._skip(_no_voice(language, self._voices))
            return None
        self._last_language = language
        spoken = self._reader.spoken(sentence, language)
        if not spoken:
            return None
        voice = self._voices[language]
        return Speech(sentence, spoken, voice.synthesize(spoken), voice.sample_rate_hz, language)

    def _choose(self, sentence: str) -> str:
        """The language to read a sentence in: a block of code or a number has none, and is read like the last one."""
        if self._language is not None:
            return self._language
        return language_of(self._reader.prose(sentence)) or self._last_language

    def _skip(self, line: str) -> None:
        if line not in self._told:
            self._told.append(line)
            if self._on_skipped is not None:
                self._on_skipped(line)

    def _nothing_spoken(self, start: str) -> AudioError | OptionError:
        if self._is_unvoiced:
            return OptionError(self._told[0])
        if not start:
            return AudioError("the text to speak is empty: expected words")
        shown = one_line(start if len(start) <= 40 else start[:40] + "…")
        why = self._told[0] if self._told else "it has no word or number"
        return AudioError(f"nothing can be spoken of {shown!r}: {why}: expected words")


def _sentences(pieces: Iterable[str]) -> Iterator[str]:
    stream = SentenceStream()
    for piece in pieces:
        yield from stream.feed(piece)
    yield from stream.finish()


def _no_voice(language: str, voices: Mapping[str, Voice]) -> str:
    name = NAMES.get(language, language)
    known = " or ".join(NAMES.get(code, code) for code in voices)
    return f"no voice here speaks {name}: expected text in {known}"
