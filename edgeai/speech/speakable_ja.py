"""Japanese text in words that can be read out."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from unicodedata import normalize

Rules = Sequence[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]]]

_NUMBER = r"\d+(?:,\d{3})*(?:\.\d+)?"
_ALONE = r"(?<![A-Za-z\d.,/:-])"
"""What comes after it begins a number, rather than going on with one."""
_MONEY = {"$": "ドル", "€": "ユーロ", "£": "ポンド", "¥": "円"}
_SCALES = {"K": 1e3, "million": 1e6, "M": 1e6, "billion": 1e9, "B": 1e9}
_UNITS = "km|cm|mm|kg|mg|ml|dl|MB|GB|TB|KB|kB|Hz|kHz|MHz|GHz|kWh|kW|Mbps|Gbps|ms|ha|cc|%"
"""Those that the dictionary reads right behind a number and nowhere else."""
_SQUARES = {"km^2": "平方キロメートル", "cm^2": "平方センチメートル", "m^2": "平方メートル"}
_CUBES = {"cm^3": "立方センチメートル", "m^3": "立方メートル"}
_OTHER_UNITS = {"m": "メートル", "g": "グラム", "t": "トン", "L": "リットル", "V": "ボルト", "W": "ワット"}
_ROMAN = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100}
_MAIL = re.compile(r"(?<![\w.+-])[A-Za-z\d_+-][A-Za-z\d_.+-]{0,63}@[A-Za-z\d-]{1,63}(?:\.[A-Za-z\d-]{1,63}){1,8}")
_MAIL_MARKS = {"@": "アットマーク", ".": "ドット", "_": "アンダーバー", "-": "ハイフン", "+": "プラス"}
_WORD = r"[A-Za-z\d%°度℃)」』ァ-ヺ一-鿿々ー]"
"""Letters before which, and after which, a wave dash says from where to where; it makes a word of kana longer."""


def japanese_words(text: str) -> str:
    """Numbers, dates, money, units and marks of a sentence in a form that the voice's dictionary reads."""
    text = _ROMAN_LETTER.sub(lambda match: str(ord(match.group()) - 0x215F), text)
    text = _MIXED.sub("と", text)
    text = normalize("NFKC", _SUPERSCRIPT.sub(lambda match: f"^{normalize('NFKC', match.group())}", text))
    for pattern, words in _RULES:
        text = pattern.sub(words, text)
    return text


def _mail(match: re.Match[str]) -> str:
    return "".join(_MAIL_MARKS.get(letter, letter) for letter in match.group())


def _date(match: re.Match[str]) -> str:
    year, month, day = (int(part) for part in match.groups())
    return f"{year}年{month}月{day}日" if 1 <= month <= 12 and 1 <= day <= 31 else match.group()


def _time(match: re.Match[str]) -> str:
    hour, minute, second = int(match[1]), int(match[2]), int(match[3] or 0)
    if hour > 29 or minute > 59 or second > 59:
        return match.group()
    return f"{hour}時" + (f"{minute}分" if minute or second else "") + (f"{second}秒" if second else "")


def _fraction(match: re.Match[str]) -> str:
    """What is more than one, or of tenths and less, is no fraction but a day."""
    above, below = int(match[1]), int(match[2])
    is_day = 1 < above <= 12 and 0 < below <= 31 and (above >= below or below > 10)
    if is_day or above == below == 1:
        return f"{above}月{below}日"
    return f"{below}分の{above}" if above < below else match.group()


def _range(match: re.Match[str]) -> str:
    """What goes down is an address or a score."""
    low, high = (float(part.rstrip("%").replace(",", "")) for part in match.groups())
    return f"{match[1]}から{match[2]}" if low < high else match.group()


def _money(match: re.Match[str]) -> str:
    unit = _MONEY[match[1]]
    if match[4]:
        return f"{round(float(match[2].replace(',', '')) * _SCALES[match[4]])}{unit}"
    whole, point, cents = match[2].partition(".")
    if unit == "ドル" and point and len(cents) == 2 and not match[3]:
        return f"{whole}ドル" + (f"{int(cents)}セント" if int(cents) else "")
    return f"{match[2]}{match[3] or ''}{unit}"


def _version(match: re.Match[str]) -> str:
    """A network address has four parts."""
    parts = match.group().split(".")
    return "ドット".join(parts) if len(parts) == 4 else "テン".join([".".join(parts[:2]), *parts[2:]])


def _roman(match: re.Match[str]) -> str:
    values = [_ROMAN[letter] for letter in match.group()]
    pairs = zip(values, [*values[1:], 0], strict=True)
    return str(sum(-value if value < following else value for value, following in pairs))


def _either(units: Sequence[str]) -> str:
    return "|".join(map(re.escape, sorted(units, key=len, reverse=True)))


_ROMAN_LETTER = re.compile("[Ⅰ-Ⅻ]")
_MIXED = re.compile(r"(?<=\d) ?(?=[½¼¾⅓⅔⅛])|(?<=\d) (?=\d/\d(?!\d))")
_SUPERSCRIPT = re.compile("[⁰¹²³⁴-⁹⁻]+")
_WEEKDAY = dict(zip("月火水木金土日", ("ゲツ", "カ", "スイ", "モク", "キン", "ド", "ニチ"), strict=True))
_WEEKDAYS = re.compile(r"(?<![\d一-鿿])([月火水木金土日])\s?~\s?([月火水木金土日])(?![一-鿿])")
_NAMED_UNITS = {**_SQUARES, **_CUBES, "m2": "平方メートル", "m3": "立方メートル", **_OTHER_UNITS}
_END = r"(?![A-Za-z\d/^])"
_RULES: Rules = [
    (_MAIL, _mail),
    (re.compile("[‐‑−–—](?=[\\d.$€£¥])"), "-"),
    (re.compile("[〜～∼]"), "~"),
    (re.compile(r"〒\s?(?=\d)"), "郵便番号"),
    (re.compile(r"\((0\d{1,4})\)\s?(\d{2,4})-(?=\d{4})"), r"\1-\2-"),
    (re.compile(r"(?<![A-Za-z])No\.\s?(?=\d)"), "ナンバー"),
    (re.compile(r"(?<![A-Za-z\d])[Vv](?:er)?\.?\s?(?=\d+\.\d)|(?<![A-Za-z\d])[Vv]er\.\s?(?=\d)"), "バージョン"),
    (re.compile(r"(?<![A-Za-z])C#(?![A-Za-z\d])"), "Cシャープ"),
    (_WEEKDAYS, lambda match: f"{_WEEKDAY[match[1]]}から{_WEEKDAY[match[2]]}"),
    (re.compile(r"(?<![A-Za-z])pp?\. ?(\d+(?:[-~]\d+)?)"), r"\1ページ"),
    (re.compile(r"(?<=第)[IVXLC]{1,8}(?=[章部編巻節条回期話世次])|(?<![A-Za-z])[IVX]{1,8}(?=世)"), _roman),
    (re.compile(rf"{_ALONE}(\d{{4}})[/.-](\d{{1,2}})[/.-](\d{{1,2}})(?![\d/.-])"), _date),
    (re.compile(rf"{_ALONE}([12]\d{{3}})[/-](0?[1-9]|1[0-2])(?![\d/-])"), r"\1年\2月"),
    (re.compile(rf"{_ALONE}(\d{{1,2}})/(\d{{1,2}})(?=\s?\([月火水木金土日][)曜])"), r"\1月\2日"),
    (
        re.compile(rf"{_ALONE}(\d{{1,2}})/(\d{{1,2}})\s?[~-]\s?(\d{{1,2}})/(\d{{1,2}})(?![\d/-])"),
        r"\1月\2日から\3月\4日",
    ),
    # ranges; a difference; below zero
    (re.compile(rf"([$€£¥])({_NUMBER}) ?[-~] ?[$€£¥]?(?={_NUMBER})"), r"\2から\1"),
    (re.compile(rf"({_NUMBER}) ?- ?({_NUMBER})(?= ?=)"), r"\1マイナス\2"),
    (re.compile(r"(:\d\d) ?[-~] ?(?=\d{1,2}:\d\d)"), r"\1から"),
    (re.compile(rf"{_ALONE}({_NUMBER}%?) ?- ?(?!0\d)({_NUMBER})(?![\d/-]|\.\d)"), _range),
    (re.compile(rf"(?<={_WORD}) ?~ ?(?={_WORD})"), "から"),
    (re.compile(r"(?<![A-Za-z\d.)\]-])-(?=[$€£¥]?\.?\d)"), "マイナス"),
    # times, ratios, fractions, versions, money
    (re.compile(rf"{_ALONE}(\d{{1,2}}):(\d\d)(?::(\d\d))?(?![\d:])"), _time),
    (re.compile(rf"{_ALONE}(\d{{1,3}}):(\d{{1,3}})(?![\d:])"), r"\1対\2"),
    (re.compile(rf"{_ALONE}(\d{{1,3}})[/⁄](\d{{1,3}})(?![\d/])"), _fraction),
    (re.compile(rf"{_ALONE}\d{{1,4}}(?:\.\d{{1,5}}){{2,4}}(?!\d|\.\d)"), _version),
    (
        re.compile(rf"([$€£¥])\s?({_NUMBER})(?:\s?([万億兆千百]+)円?|\s?(million|billion|[KMB])(?![A-Za-z])|円)?"),
        _money,
    ),
    # units
    (re.compile(rf"({_NUMBER})\s?km/h{_END}"), r"時速\1km"),
    (re.compile(rf"({_NUMBER})\s?m/s{_END}"), r"秒速\1メートル"),
    (re.compile(rf"({_NUMBER})\s?°\s?C{_END}"), r"\1度"),
    (re.compile(rf"({_NUMBER})\s?°\s?F{_END}"), r"華氏\1度"),
    (re.compile(rf"({_NUMBER})\s?°"), r"\1度"),
    (
        re.compile(rf"({_NUMBER})\s?({_either(list(_NAMED_UNITS))}){_END}"),
        lambda match: match[1] + _NAMED_UNITS[match[2]],
    ),
    (re.compile(rf"(?<=\d)\s+(?=(?:{_UNITS}){_END})"), ""),
    # mathematics and marks
    (re.compile(r"\s?(?:≧|≥|>=)\s?(\d[\d,.]*)"), r"\1以上"),
    (re.compile(r"\s?(?:≦|≤|<=)\s?(\d[\d,.]*)"), r"\1以下"),
    (re.compile(r"\^(\d+)"), r"の\1乗"),
    (re.compile(r"\^(?:-|マイナス)(\d+)"), r"のマイナス\1乗"),
    (re.compile("±"), "プラスマイナス"),
    (re.compile(r"(?<=\d) ?\* ?(?=\d)"), "×"),
    (re.compile(r"(?<=C)\+\+"), "プラスプラス"),
    (re.compile(r"(?<=\w) ?\+ ?(?=\w)|\+(?=\d)"), "プラス"),
    (re.compile(r"(?<=\w) ?= ?(?=\w)"), "イコール"),
    (re.compile(r"(?<=\w) ?& ?(?=\w)"), "アンド"),
]
