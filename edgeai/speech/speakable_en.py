"""English text in words that can be read out."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from unicodedata import normalize

from edgeai.speech.voice_checks import import_engine

Rules = Sequence[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]]]

_MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
_NUMBER = r"\d+(?:,\d{3})*(?:\.\d+)?"
_ALONE = r"(?<![\w.,/:-])"
"""What comes after it begins a number, rather than going on with one."""
_UNITS = {
    "km²": ("square kilometer", "square kilometers"),
    "cm²": ("square centimeter", "square centimeters"),
    "m²": ("square meter", "square meters"),
    "m³": ("cubic meter", "cubic meters"),
    "cm³": ("cubic centimeter", "cubic centimeters"),
    "m": ("meter", "meters"),
    "g": ("gram", "grams"),
    "h": ("hour", "hours"),
    "s": ("second", "seconds"),
    "l": ("liter", "liters"),
    "L": ("liter", "liters"),
    "V": ("volt", "volts"),
    "W": ("watt", "watts"),
    "Wh": ("watt hour", "watt hours"),
    "dB": ("decibel", "decibels"),
    "px": ("pixel", "pixels"),
    "kcal": ("kilocalorie", "kilocalories"),
    "hPa": ("hectopascal", "hectopascals"),
    "µs": ("microsecond", "microseconds"),
    "ns": ("nanosecond", "nanoseconds"),
}
"""Those that hibari does not know."""
_ATTACHED = ("km²", "cm²", "m²", "m³", "cm³", "m", "g", "L", "W", "Wh", "dB", "px", "kcal", "hPa", "µs", "ns")
"""Those that may follow a number without a space: 1990s are no seconds."""
_PARTS = {"½": "a half", "¼": "a quarter", "¾": "three quarters", "⅓": "a third", "⅔": "two thirds", "⅛": "an eighth"}
_PER = {"s": "second", "h": "hour", "min": "minute"}
_MAIL = re.compile(r"(?<![\w.+-])[\w+-][\w.+-]{0,63}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")
_MAIL_MARKS = {"@": " at ", ".": " dot ", "_": " underscore ", "-": " dash ", "+": " plus "}
_PHONE = re.compile(
    r"(?<![\w.,/-])(?:\+\d{1,3}(?:[ .-]?\(?\d{2,4}\)?){2,4}|(?:\(\d{3}\) ?|(?:\d-)?\d{3}-)?\d{3}-(?!\d\d00)\d{4}"
    r"|\d{3}\.\d{3}\.\d{4}|0\d{1,3}-\d{2,4}-\d{4})(?![\w-]|\.\d)"
)


def english_words(text: str) -> str:
    """Numbers, dates, money, units and abbreviations of a sentence in words."""
    text = _ROMAN.sub(lambda match: normalize("NFKC", match.group()), text)
    for pattern, words in _RULES:
        text = pattern.sub(words, text)
    return _normalized(text)


def _normalized(text: str) -> str:
    return str(import_engine("hibari.g2p.normalize", "hibari-tts").normalize(text))


def _mail(match: re.Match[str]) -> str:
    return "".join(_MAIL_MARKS.get(letter, letter) for letter in match.group())


def _phone(match: re.Match[str]) -> str:
    groups = ", ".join(" ".join(digits) for digits in re.findall(r"\d+", match.group()))
    return f"plus {groups}" if match.group().startswith("+") else groups


def _date(match: re.Match[str]) -> str:
    year, month, day = (int(match[name]) for name in ("year", "month", "day"))
    return f"{year}-{month:02}-{day:02}" if 1 <= month <= 12 and 1 <= day <= 31 else match.group()


def _month(match: re.Match[str]) -> str:
    return f"{_MONTHS[int(match[2]) - 1]} {match[1]}"


def _version(match: re.Match[str]) -> str:
    """A network address has four parts."""
    parts = match[1].split(".")
    return (" dot " if len(parts) == 4 else " point ").join(parts)


def _plain(match: re.Match[str]) -> str:
    return normalize("NFKC", match.group()).replace("−", "minus ")


def _decimal(match: re.Match[str]) -> str:
    return f"{match[1]} point {' '.join(match[2])}"


def _unit(match: re.Match[str]) -> str:
    return f"{match[1]} {_UNITS[match[2]][match[1] != '1']}"


def _either(units: Sequence[str]) -> str:
    return "|".join(map(re.escape, sorted(units, key=len, reverse=True)))


_ROMAN = re.compile("[Ⅰ-Ⅿ]")
_RULES: Rules = [
    (_MAIL, _mail),
    (re.compile(r"\bC#(?!\w)"), "C sharp"),
    (re.compile(r"\bC\+\+"), "C plus plus"),
    (re.compile(r"(?<![\w.])e\.g\.,?"), "for example"),
    (re.compile(r"(?<![\w.])i\.e\.,?"), "that is"),
    (re.compile(r"(?<![\w.])etc\.(?=\W*\w)"), "et cetera"),
    (re.compile(r"(?<![\w.])pp?\. ?(?=\d)"), "page "),
    (re.compile(r"\b24/7\b"), "24 7"),
    (re.compile(r"(?<![\w./])\d{1,2}/\d{1,2}(?=[.]?(?:[^\w./]|$))"), lambda match: _normalized(match.group())),
    (re.compile(r"(?i:(?<=\b(?:call|dial) ))\d{3}(?![\w-])"), lambda match: " ".join(match.group())),
    (re.compile(r"\bCO[2₂]"), "C.O. 2"),
    (re.compile(r"(?<=\d)[\u00a0\u202f\u2009](?=\d{3}(?!\d))"), ","),
    (re.compile(r"\bCtrl\b"), "Control"),
    (re.compile(r"(?<=\w)\+(?=\w)"), " plus "),
    (re.compile(r"\^2\b"), "²"),
    (re.compile(r"\^3\b"), "³"),
    (re.compile(r"(?<=\d) ?\* ?(?=\d)"), " times "),
    (_PHONE, _phone),
    (re.compile(rf"{_ALONE}(?P<year>\d{{4}})[/-](?P<month>\d{{1,2}})[/-](?P<day>\d{{1,2}})(?![\w/-])"), _date),
    (re.compile(rf"{_ALONE}(?P<day>\d{{1,2}})\.(?P<month>\d{{1,2}})\.(?P<year>\d{{4}})(?![\w/-])"), _date),
    (re.compile(rf"{_ALONE}([12]\d{{3}})-(0[1-9]|1[0-2])(?![\w/-])"), _month),
    # a range of times, of money, of numbers; a difference
    (re.compile(r"(:\d\d|\d ?[AaPp]\.?[Mm]\.?|\d(?:st|nd|rd|th)) ?[-–—] ?(?=\d)"), r"\1 to "),
    (re.compile(r"(?<=\d) ?([AaPp])[Mm]\b\.?"), lambda match: f" {match[1].upper()}.M."),
    (re.compile(rf"([$€£¥])({_NUMBER}) ?[-–—] ?[$€£¥]?({_NUMBER})"), r"\2 to \1\3"),
    (re.compile(rf"({_NUMBER}) ?[-−–] ?({_NUMBER})(?= ?=)"), r"\1 minus \2"),
    (re.compile(rf"{_ALONE}({_NUMBER}%?) ?[-–—] ?(?={_NUMBER}(?![\d:-]|\.\d))"), r"\1 to "),
    (re.compile(r" − "), " minus "),
    (re.compile(r"(?<![\w.)\]-])[-−](?=[$€£¥]?\.?\d)"), "minus "),
    (re.compile(r"\b(1[3-9]|2[0-4]):00(?![:\d])"), r"\1 hundred"),
    (re.compile(rf"{_ALONE}(\d{{1,3}}):(\d|\d{{3}})(?![\d:])"), r"\1 to \2"),
    # versions; what is decimal keeps its last zeros
    (re.compile(r"(?<![\w.])v\.?(?=\d)"), "version "),
    (re.compile(rf"{_ALONE}(\d{{1,4}}(?:\.\d{{1,5}}){{2,4}})(?!\w|\.\d)"), _version),
    (re.compile(r"\b((?:[Vv]ersion|[Rr]elease|Python) \d{1,4})\.(?=\d{1,5}(?!\w|\.\d))"), r"\1 point "),
    (re.compile(r"(?<![\w.,$€£¥-])(\d+(?:,\d{3})*)\.(\d{0,20}0)(?!\d|\.\d)"), _decimal),
    (re.compile(r"(?<=[A-Za-z])(\d{1,3}\.\d{1,3})(?!\d|\.\d)"), r" \1"),
    (re.compile(r"(?<=[A-Za-z] \d\.\d)-(?=\d)"), " "),
    (re.compile(r"(?<=\d)( ?[A-Za-zµ]{1,6})/(s|h|min)(?!\w)"), lambda match: f"{match[1]} per {_PER[match[2]]}"),
    (re.compile("[⁰¹²³⁴-⁹⁻]{2,}|[⁰¹⁴-⁹]"), lambda match: f" to the power of {_plain(match)}"),
    (re.compile(r"\bUS\$(?=\d)"), "$"),
    (re.compile(rf"{_ALONE}({_NUMBER}) ?€"), r"€\1"),
    (re.compile(rf"(?<![\w.,$€£¥])({_NUMBER}) ({_either(list(_UNITS))})(?![\w/²³])"), _unit),
    (re.compile(rf"(?<![\w.,$€£¥])({_NUMBER})({_either(_ATTACHED)})(?![\w/²³])"), _unit),
    (re.compile(rf"(?<=\d) ?([{''.join(_PARTS)}])"), lambda match: f" and {_PARTS[match[1]]}"),
    (re.compile("[⅓⅔⅛]"), lambda match: _PARTS[match.group()]),
    (re.compile(r"(?<=\d) (?=\d/\d(?![\d/]))"), " and "),
    (re.compile(r"\s*[≥≧]\s*"), " greater than or equal to "),
    (re.compile(r"\s*[≤≦]\s*"), " less than or equal to "),
    (re.compile(r"\s*≠\s*"), " not equal to "),
    (re.compile(r"\s*[≈≒]\s*"), " about "),
    (re.compile("π"), "pi"),
]
