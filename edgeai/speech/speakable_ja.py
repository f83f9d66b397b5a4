"""Japanese text in words that can be read out."""

from __future__ import annotations


def japanese_words(text: str) -> str:
    """Numbers, dates, money, units and marks of a sentence in a form that the voice's dictionary reads."""
    return text
