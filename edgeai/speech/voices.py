"""The voices that can be chosen by name, what they are licensed under, and which of them are here."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from edgeai.catalog import Catalog
from edgeai.errors import OptionError
from edgeai.speech.weights import installed_speech

if TYPE_CHECKING:
    from edgeai.speech.base import Voice

DEFAULT_VOICES = ("hibari-heart", "openjtalk-mei")
"""One a language. The first reads what shows no language. Both come with the extra `speech`, nothing is fetched.

Open JTalk is the Japanese default though Kokoro is understood better: Kokoro takes about half as long as speech on two
free cores, which delays an answer by one to two seconds, and longer than speech on busy ones.
"""
_EXTRA = "pip install 'edgeai[speech]'"


@dataclass(frozen=True, slots=True)
class VoiceFacts:
    """What is known of a voice before it is loaded.

    Attributes:
        name: what users choose it by.
        language: ISO 639-1.
        size_bytes: of its weights, which other voices may share.
        licence: of its weights; licence_url says where it stands.
        credit: who must be, or wants to be, named where its sound is passed on.
        weights: in the catalog; "" where they come with the package.
        get: what to do to have it; "" where it is here.
    """

    name: str
    language: str
    sample_rate_hz: int
    size_bytes: int
    licence: str
    licence_url: str
    credit: str
    weights: str
    get: str

    @property
    def is_installed(self) -> bool:
        """Whether it can speak now."""
        return not self.get


def known_voices() -> list[VoiceFacts]:
    """All voices, those of a language together."""
    return [*_hibari(), *_openjtalk(), *_kokoro()]


def voice_facts(name: str) -> VoiceFacts:
    """What is known of a voice.

    Raises:
        OptionError: no voice is called so.
    """
    known = {facts.name: facts for facts in known_voices()}
    if name.lower() in known:
        return known[name.lower()]
    close = difflib.get_close_matches(name[:80].lower(), known, n=2, cutoff=0.4)
    hint = f"did you mean {' or '.join(close)}? " if close else f"expected one like {' or '.join(DEFAULT_VOICES)}: "
    raise OptionError(f"no voice is called {name[:80]!r}: {hint}`edgeai say --list-voices` shows all")


def make_voice(name: str, *, rate: float = 1.0) -> Voice:
    """A voice; its weights are loaded by its first sentence.

    Raises:
        OptionError: no voice is called so, or the rate makes no sense.
    """
    from edgeai.speech.hibari import HibariVoice
    from edgeai.speech.kokoro import KokoroVoice
    from edgeai.speech.openjtalk import OpenJTalkVoice

    engine, _, style = voice_facts(name).name.partition("-")
    makers: dict[str, Callable[[], Voice]] = {
        "hibari": lambda: HibariVoice(style, rate=rate),
        "kokoro": lambda: KokoroVoice(style, rate=rate),
        "openjtalk": lambda: OpenJTalkVoice(rate=rate),
    }
    return makers[engine]()


def choose_voices(chosen: Iterable[str | Voice] = (), *, rate: float = 1.0) -> dict[str, Voice]:
    """A voice for each language, by ISO 639-1 code: the defaults, but for languages that a voice is chosen for.

    Args:
        chosen: names, or voices of an application's own.
        rate: of those that are made here.
    Raises:
        OptionError: no voice is called so, two speak the same language, or the language is not one that is read.
    """
    voices = {voice.language: voice for voice in (make_voice(name, rate=rate) for name in DEFAULT_VOICES)}
    taken: dict[str, str] = {}
    for each in chosen:
        voice = make_voice(each, rate=rate) if isinstance(each, str) else each
        language = voice.language
        if language not in voices:
            raise OptionError(f"the voice {voice.name} speaks {language!r}: expected one of {', '.join(voices)}")
        if language in taken:
            raise OptionError(f"{taken[language]} and {voice.name} both speak {language!r}: choose one a language")
        taken[language] = voice.name
        voices[language] = voice
    return voices


def _hibari() -> list[VoiceFacts]:
    """The package's own list, or without the package the one voice that comes with it."""
    if find_spec("hibari") is None:
        return [_hibari_voice("heart", 7_936_868, _EXTRA)]
    from hibari import voices

    made = []
    for speaker, about in voices.VOICES.items():
        path = Path(voices.cache_dir()) / about["file"]
        is_here = about.get("bundled") or path.is_file()
        get = "" if is_here else f"put {voices.BASE_URL}{about['file']} into {path.parent}"
        made.append(_hibari_voice(speaker, int(about["bytes"]), get))
    return made


def _hibari_voice(speaker: str, size_bytes: int, get: str) -> VoiceFacts:
    url, credit = "https://pypi.org/project/hibari-tts/", "hibari-tts, distilled from Kokoro 82M by hexgrad"
    return VoiceFacts(f"hibari-{speaker}", "en", 24_000, size_bytes, "Apache-2.0", url, credit, weights="", get=get)


def _openjtalk() -> list[VoiceFacts]:
    url = "https://creativecommons.org/licenses/by/3.0/"
    credit = 'HTS voice "Mei" © 2009-2013 Nagoya Institute of Technology, Department of Computer Science (MMDAgent)'
    get = "" if find_spec("pyopenjtalk") else _EXTRA
    return [VoiceFacts("openjtalk-mei", "ja", 48_000, 862_503, "CC-BY-3.0", url, credit, weights="", get=get)]


def _kokoro() -> list[VoiceFacts]:
    from edgeai.speech.kokoro import STYLES, WEIGHTS

    entry = Catalog.load().entry(WEIGHTS)
    get = "" if WEIGHTS in installed_speech() else f"edgeai models pull {WEIGHTS}"
    if not find_spec("pyopenjtalk"):
        get = " and ".join(filter(None, [_EXTRA, get]))
    credit = "Kokoro 82M by hexgrad, ONNX export by kokoro-onnx (MIT)"
    return [
        VoiceFacts(
            f"kokoro-{style}",
            *("ja", 24_000, entry.size_bytes, entry.licence, entry.licence_url, credit),
            weights=WEIGHTS,
            get=get,
        )
        for style in STYLES
    ]
