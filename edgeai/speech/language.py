"""Which language a sentence is in, by its letters: enough to choose the voice that can read it."""

from __future__ import annotations

import unicodedata
from collections import Counter
from operator import itemgetter

_LANGUAGES = {
    "LATIN": "en",
    "CYRILLIC": "ru",
    "GREEK": "el",
    "ARABIC": "ar",
    "HEBREW": "he",
    "HANGUL": "ko",
    "THAI": "th",
    "DEVANAGARI": "hi",
    "BENGALI": "bn",
    "TAMIL": "ta",
    "ARMENIAN": "hy",
    "GEORGIAN": "ka",
}
"""The first word of a letter's Unicode name, and the language it most often writes."""

NAMES = {
    "en": "English",
    "ja": "Japanese",
    "zh": "Chinese",
    "ru": "Russian",
    "el": "Greek",
    "ar": "Arabic",
    "he": "Hebrew",
    "ko": "Korean",
    "th": "Thai",
    "hi": "Hindi",
    "bn": "Bengali",
    "ta": "Tamil",
    "hy": "Armenian",
    "ka": "Georgian",
    "fr": "French",
    "de": "German",
    "es": "Spanish",
    "it": "Italian",
    "pt": "Portuguese",
    "und": "an unknown script",
}

_KANA = ("HIRAGANA", "KATAKANA", "HALFWIDTH")
_NOT_JAPANESE = frozenset("你們這嗎麼沒妳哪")
"""Written every day in Chinese and in Japanese hardly ever, though its character set has them."""
_MAX_LOOKED_AT = 2000
_WIDE_LETTER = 3
"""So many Latin letters say about as much as one kana or kanji."""
_WIDE_LAST_LETTER = 6
"""The same where the sentence ends in kana or kanji: its grammar is Japanese, however many names it mentions."""


def language_of(text: str) -> str | None:
    """The language that most of a sentence is in: ISO 639-1, "und" for a script we cannot name; None without letters.

    Scripts tell it, so whatever is in Latin letters counts as English. Kanji alone are Japanese unless one of them
    stands in no Japanese character set.
    """
    counts = _scripts(text[:_MAX_LOOKED_AT])
    if not counts:
        return None
    wide = counts["kana"] + counts["kanji"]
    script, n_most = max(
        ((s, n) for s, n in counts.items() if s not in ("kana", "kanji")), key=itemgetter(1), default=("", 0)
    )
    weight = _WIDE_LETTER if not counts["kana"] or _last_letter(text).isascii() else _WIDE_LAST_LETTER
    if wide * weight >= n_most:
        return "zh" if not counts["kana"] and _is_chinese(text) else "ja"
    return _LANGUAGES.get(script, "und")


def _last_letter(text: str) -> str:
    return next(letter for letter in reversed(text[:_MAX_LOOKED_AT]) if letter.isalpha())


def _scripts(text: str) -> Counter[str]:
    counts: Counter[str] = Counter()
    for letter in text:
        if letter.isascii():
            if letter.isalpha():
                counts["LATIN"] += 1
        elif letter.isalpha():
            name = unicodedata.name(letter, "?").split()[0]
            if name in _KANA:
                counts["kana"] += 1
            elif name == "CJK":
                counts["kanji"] += 1
            elif name == "FULLWIDTH":
                counts["LATIN"] += 1
            else:
                counts[name] += 1
    return counts


def _is_chinese(text: str) -> bool:
    kanji = [letter for letter in text[:_MAX_LOOKED_AT] if unicodedata.name(letter, "").startswith("CJK UNIFIED")]
    return any(letter in _NOT_JAPANESE or not _is_in_jis(letter) for letter in kanji)


def _is_in_jis(kanji: str) -> bool:
    try:
        kanji.encode("euc_jis_2004")
    except UnicodeEncodeError:
        return False
    return True
