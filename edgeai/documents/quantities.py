"""Numbers, units and dates of a text: what a statement and its source must have in common exactly."""

from __future__ import annotations

import re
import unicodedata

_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_SMALL = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_TEENS = ("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen")
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_NUMBER_NAMES = (
    *enumerate(_SMALL, 1),
    *enumerate(_TEENS, 13),
    *((10 * ten, word) for ten, word in enumerate(_TENS, 2)),
)
_WORDS = {word: str(number) for number, word in (*_NUMBER_NAMES, (100, "hundred"))}
_NUMBER_WORD = re.compile(rf"\b(?:{'|'.join(_WORDS)})\b")
_MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
# `may` and `march` are months only beside a number; so are the short forms.
_DATE_WORD = re.compile(rf"\b(?:{'|'.join(word for word in (*_MONTHS, *_DAYS) if word not in ('may', 'march'))})\b")
_MONTH_BY_NUMBER = re.compile(
    rf"(?:(?<=\d )|(?<=\dth )|(?<=\dst )|(?<=\dnd )|(?<=\drd ))({'|'.join(month[:3] for month in _MONTHS)})[a-z]*"
    rf"|\b({'|'.join(month[:3] for month in _MONTHS)})[a-z]*\.? (?=\d)"
)
# In kanji, before what is counted; 一 alone is none, as in `one of them`.
_KANJI = re.compile(
    "(?!一[^二三四五六七八九十百千万億])([一二三四五六七八九十百千万億]{1,12})"
    "(?=[階本人回個枚台歳歩倍条章度つ日月年時分秒週円銭厘畳坪里町丁番号位名件点割匹頭羽冊通杯着隻軒組膳尺寸斤世紀])"
)
_TENFOLD = {"十": 10, "百": 100, "千": 1000}
_LARGE = {"万": 10_000, "億": 100_000_000}
_DIGITS = {digit: number for number, digit in enumerate("一二三四五六七八九", 1)}
_ORDINALS = ("second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")
_RANKS = {word: f"{at}{ {2: 'nd', 3: 'rd'}.get(at, 'th') }" for at, word in enumerate(_ORDINALS, 2)}
# `second` counts time behind a number, and `Second, …` only begins a sentence.
_RANK = re.compile(rf"(?<![\d/] )(?<!per )(?<!each )(?<!every )(?<!one )\b({'|'.join(_ORDINALS)})\b(?!,)")
_TIMES = {"double": "x2", "twice": "x2", "triple": "x3", "thrice": "x3"}
_TIMES |= {"half": "1/2", "halve": "1/2", "quarter": "1/4"}
_TIME = re.compile(rf"\b(?:one-)?({'|'.join(_TIMES)})[ds]?\b")
_SYNONYMS = (
    "mm millimeter millimeters millimetre millimetres ミリメートル",
    "cm centimeter centimeters centimetre centimetres センチ センチメートル",
    "m meter meters metre metres メートル",
    "km kilometer kilometers kilometre kilometres キロメートル",
    "inch inches インチ",
    "ft foot feet フィート",
    "mg milligram milligrams ミリグラム",
    "g gram grams グラム",
    "kg kilogram kilograms キログラム",
    "ton tons tonne tonnes トン",
    "ml milliliter milliliters millilitre millilitres ミリリットル",
    "l liter liters litre litres リットル",
    "ns nanosecond nanoseconds ナノ秒",
    "µs us microsecond microseconds マイクロ秒",
    "ms millisecond milliseconds ミリ秒",
    "s sec second seconds 秒 秒間",
    "min minute minutes 分 分間",
    "h hr hour hours 時間",
    "d day days 日 日間",
    "week weeks 週 週間",
    "month months ヶ月 か月 カ月 ヵ月",
    "year years 年 年間",
    "mv millivolt millivolts ミリボルト",
    "v volt volts ボルト",
    "kv kilovolt kilovolts キロボルト",
    "ma milliampere milliamperes ミリアンペア",
    "amp amps ampere amperes アンペア",
    "mw milliwatt milliwatts ミリワット",
    "w watt watts ワット",
    "kw kilowatt kilowatts キロワット",
    "hz hertz ヘルツ",
    "khz kilohertz キロヘルツ",
    "mhz megahertz メガヘルツ",
    "ghz gigahertz ギガヘルツ",
    "pa パスカル",
    "kpa キロパスカル",
    "mpa メガパスカル",
    "bar bars バール",
    "°c ℃ celsius 摂氏",
    "°f ℉ fahrenheit 華氏",
    "% percent パーセント",
    "bit bits ビット",
    "b byte bytes バイト",
    "kb kilobyte kilobytes キロバイト",
    "mb megabyte megabytes メガバイト",
    "gb gigabyte gigabytes ギガバイト",
    "tb terabyte terabytes テラバイト",
    "gallon gallons gal ガロン",
    "pint pints パイント",
    "mile miles マイル",
    "lb lbs pound pounds ポンド",
    "oz ounce ounces オンス",
    "cent cents セント",
    "million millions",
    "billion billions",
    "kib",
    "mib",
    "gib",
    "yen 円",
    "dollar dollars usd ドル",
    "euro euros eur ユーロ",
)
_UNITS = {
    unicodedata.normalize("NFKC", word).lower(): names.split()[0] for names in _SYNONYMS for word in names.split()
}
_ONE_UNIT = "|".join(map(re.escape, sorted(_UNITS, key=len, reverse=True)))
_MEASURE = re.compile(rf"({_NUMBER.pattern}|\b(?:{'|'.join(_WORDS)})\b)[ \t\n-]?({_ONE_UNIT})(?![a-z])")


def numbers(text: str, *, is_source: bool = False) -> frozenset[str]:
    """Numbers as they are meant (`1,200` and `１２００` are one, `3.5` has no 5 in it), with months and weekdays.

    Args:
        text: any.
        is_source: with those in words (`two ways`); else only where they measure something (`two hours`).
    """
    text = _normal(text)
    found = {_number(number) for number in _NUMBER.findall(text)}
    found.update(word[:3] for word in _DATE_WORD.findall(text))
    found.update(one or two for one, two in _MONTH_BY_NUMBER.findall(text))
    found.update(_kanji_number(number) for number in _KANJI.findall(text))
    found.update(_RANKS[word] for word in _RANK.findall(text))
    found.update(_TIMES[word] for word in _TIME.findall(text))
    if is_source:
        found.update(map(_number, _NUMBER_WORD.findall(text)))
    else:
        found.update(number for number, _ in measures(text))
    return frozenset(found)


def measures(text: str) -> set[tuple[str, str]]:
    """Numbers with the units behind them, a unit in one form however it is written."""
    return {(_number(number), _UNITS[unit]) for number, unit in _MEASURE.findall(_normal(text))}


def with_plain_measures(text: str) -> str:
    """A text in small letters with each measure in one form: `10 s` for `ten seconds`."""
    return _MEASURE.sub(lambda match: f"{_number(match[1])} {_UNITS[match[2]]} ", _normal(text))


def without_kanji_numbers(text: str) -> str:
    """A text with `25円` for `二十五円`."""
    return _KANJI.sub(lambda match: _kanji_number(match[1]), text)


def with_figures(text: str) -> str:
    """A text in small letters with numbers in figures: `2nd` for `second`, `x3` for `tripled`, `25` for `二十五`."""
    text = _RANK.sub(lambda match: _RANKS[match[1]], with_plain_measures(without_kanji_numbers(text)))
    text = _TIME.sub(lambda match: _TIMES[match[1]], text)
    text = _NUMBER_WORD.sub(lambda match: match[0] if match[0] == "one" else _WORDS[match[0]], text)
    return _NUMBER.sub(lambda match: match[0].replace(",", ""), text)


def _kanji_number(text: str) -> str:
    total, part, digit = 0, 0, 0
    for sign in text:
        if sign in _LARGE:
            total += (part + digit or 1) * _LARGE[sign]
            part = digit = 0
        elif sign in _TENFOLD:
            part += (digit or 1) * _TENFOLD[sign]
            digit = 0
        else:
            digit = digit * 10 + _DIGITS[sign]
    return str(total + part + digit)


def _normal(text: str) -> str:
    return unicodedata.normalize("NFKC", text).lower()


def _number(text: str) -> str:
    return _WORDS.get(text) or text.replace(",", "")
