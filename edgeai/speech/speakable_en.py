"""English text in words that can be read out."""

from __future__ import annotations

from edgeai.speech.voice_checks import import_engine


def english_words(text: str) -> str:
    """Numbers, dates, money, units and abbreviations of a sentence in words."""
    normalize = import_engine("hibari.g2p.normalize", "hibari-tts").normalize
    return str(normalize(text))
