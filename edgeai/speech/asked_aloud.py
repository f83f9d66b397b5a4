"""A user's message that is sound: as sound, for a model that hears; as the words that are said in it, for another."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from edgeai.errors import AudioError, OptionError
from edgeai.media import MAX_SOUND_S, MIN_SOUND_S, SOUND_RATE_HZ, Medium
from edgeai.messages import Message
from edgeai.speech.decode import sound_of
from edgeai.speech.waveform import to_waveform

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from edgeai.speech.types import Transcript

    Audio: TypeAlias = str | os.PathLike[str] | ArrayLike


def asked_aloud(
    audio: Sequence[Audio], content: str, *, hears: bool, transcribe: Callable[[Audio], Transcript]
) -> Message:
    """The message.

    Args:
        audio: sound files, or samples at 16 kHz.
        content: what is typed with it; it comes after the sounds.
        hears: whether the model takes sounds in.
        transcribe: tells what is said, for a model that does not.
    Raises:
        AudioError: a sound cannot be read, is too long for a model, or nothing is said that a text could hold.
        OptionError: it is no list.
    """
    if isinstance(audio, (str, os.PathLike, np.ndarray)):
        raise OptionError("audio is one sound: expected a list of them, audio=[sound]")
    if hears:
        return Message("user", content, media=tuple(map(model_sound, audio)))
    words = [_words(sound, transcribe) for sound in audio]
    return Message("user", "\n\n".join([*words, content]).strip("\n"))


def model_sound(audio: Audio) -> Medium:
    """A sound file, or samples at 16 kHz, as a model takes it in.

    Raises:
        AudioError: it cannot be read, or is longer than MAX_SOUND_S.
    """
    if not isinstance(audio, (str, os.PathLike)):
        return Medium.sound(to_waveform(audio, SOUND_RATE_HZ).astype("<f4").tobytes())
    blocks, n_samples = [], 0
    with sound_of(audio) as sound:
        for block in sound:
            blocks.append(block.astype("<f4").tobytes())
            n_samples += len(block)
            if n_samples > MAX_SOUND_S * SOUND_RATE_HZ:  # an endless file ends here
                raise AudioError(
                    f"{_shown(audio)}: longer than {MAX_SOUND_S:,} s, the most that a model hears at once; give it a "
                    "part, or transcribe it"
                )
    if n_samples < MIN_SOUND_S * SOUND_RATE_HZ:
        raise AudioError(
            f"{_shown(audio)}: {n_samples} samples, expected {MIN_SOUND_S:g} s at least; give another file"
        )
    return Medium.sound(b"".join(blocks))


def _words(audio: Audio, transcribe: Callable[[Audio], Transcript]) -> str:
    words = transcribe(audio).text.strip()
    if not words:
        raise AudioError(
            f"{_shown(audio)}: nothing is said in it, and the model reads words only; give it a sound with speech, or "
            "take a model that hears"
        )
    return words


def _shown(audio: Audio) -> str:
    from edgeai.safe_text import one_line

    return one_line(os.fspath(audio))[:200] if isinstance(audio, (str, os.PathLike)) else "the sound"
