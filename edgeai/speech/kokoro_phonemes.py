"""Japanese words as the phonemes that Kokoro's Japanese voices were trained with.

Source: misaki 0.7 by hexgrad (Apache-2.0), the alphabet of Kokoro 1.0: https://github.com/hexgrad/misaki
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

_TABLE = """
    ア a イ i ウ ɯ エ e オ o ァ a ィ i ゥ ɯ ェ e ォ o ヰ i ヱ e ヲ o
    カ ka キ kʲi ク kɯ ケ ke コ ko ヵ ka ヶ ke ガ ɡa ギ ɡʲi グ ɡɯ ゲ ɡe ゴ ɡo
    サ sa シ ɕi ス sɨ セ se ソ so ザ ʣa ジ ʥi ズ zɨ ゼ ʣe ゾ ʣo
    タ ta チ ʨi ツ ʦɨ テ te ト to ダ da ヂ ʥi ヅ zɨ デ de ド do
    ナ na ニ ɲi ヌ nɯ ネ ne ノ no
    ハ ha ヒ çi フ ɸɯ ヘ he ホ ho バ ba ビ bʲi ブ bɯ ベ be ボ bo パ pa ピ pʲi プ pɯ ペ pe ポ po
    マ ma ミ mʲi ム mɯ メ me モ mo
    ヤ ja ユ jɯ ヨ jo ャ ja ュ jɯ ョ jo イェ je
    ラ ɾa リ ɾʲi ル ɾɯ レ ɾe ロ ɾo
    ワ βa ヮ βa ウィ βi ウェ βe ウォ βo
    キェ kʲe キャ kʲa キュ kʲɨ キョ kʲo ギャ ɡʲa ギュ ɡʲɨ ギョ ɡʲo
    クァ kᵝa クィ kᵝi クェ kᵝe クォ kᵝo グァ ɡᵝa グィ ɡᵝi グェ ɡᵝe グォ ɡᵝo
    シェ ɕe シャ ɕa シュ ɕɨ ショ ɕo ジェ ʥe ジャ ʥa ジュ ʥɨ ジョ ʥo
    チェ ʨe チャ ʨa チュ ʨɨ チョ ʨo ヂャ ʥa ヂュ ʥɨ ヂョ ʥo ツァ ʦa ツィ ʦʲi ツェ ʦe ツォ ʦo
    ティ tʲi テュ tʲɨ ディ dʲi デュ dʲɨ トゥ tɯ ドゥ dɯ
    ニェ ɲe ニャ ɲa ニュ ɲɨ ニョ ɲo
    ヒェ çe ヒャ ça ヒュ çɨ ヒョ ço ビャ bʲa ビュ bʲɨ ビョ bʲo ピャ pʲa ピュ pʲɨ ピョ pʲo
    ファ ɸa フィ ɸʲi フェ ɸe フォ ɸo フュ ɸʲɨ フョ ɸʲo
    ミャ mʲa ミュ mʲɨ ミョ mʲo リャ ɾʲa リュ ɾʲɨ リョ ɾʲo
    ヴ vɯ ヴァ va ヴィ vʲi ヴェ ve ヴォ vo ヴュ bʲɨ ヴョ bʲo
    ー ː ッ ʔ
"""
_ROWS = _TABLE.split()
_MORAE = dict(zip(_ROWS[::2], _ROWS[1::2], strict=True))
_MORA = re.compile("|".join(sorted(map(re.escape, [*_MORAE, "ン"]), key=len, reverse=True)))
_NASALS = ("m", "mpb"), ("ŋ", "kɡ"), ("ɲ", "ɲʨʥ"), ("n", "ntdɾz")
"""ン before what follows it in its word."""
_MARKS = dict(zip("。．、，！？：；「」『』・〜～―─.,!?:;…—“”", "..,,!?:;“”“” ————.,!?:;…—“”", strict=True))
_PREDICATES = frozenset({"動詞", "助動詞", "形容詞"})
_POLITE = frozenset({"です", "でし", "でしょ"})
_INFLECTIONS = frozenset({"て", "で", "ば"})

Feature = Mapping[str, Any]
"""A word as Open JTalk tells it: string, pos, pos_group1, pron, mora_size."""


def phonemes(features: Iterable[Feature]) -> str:
    """The phonemes of a sentence; "" where nothing in it can be spoken.

    Args:
        features: of its words, from `pyopenjtalk.run_frontend`.
    """
    written = ""
    for group in _groups(features):
        mark = _MARKS.get(group[0]["string"], "") if _is_mark(group[0]) else None
        if mark is None:
            spoken = _spoken("".join(feature["pron"] for feature in group))
            written += spoken if not written or written.endswith((" ", "“")) else f" {spoken}"
        elif mark in ("“", " "):
            written = f"{written.rstrip()} {mark.strip()}"
        else:
            written = written.rstrip() + mark
    return written.strip() if any(letter.isalpha() for letter in written) else ""


def pieces(text: str, n_max: int) -> list[str]:
    """Phonemes in pieces of at most n_max; cut after a mark, else between words, else anywhere. Nothing is lost."""
    made: list[str] = []
    while len(text) > n_max:
        window = text[: n_max + 1]
        end = max((window.rfind(f"{mark} ") + 1 for mark in ".,!?:;—…"), default=0) or window.rfind(" ")
        end = end if end > 0 else n_max
        made.append(text[:end])
        text = text[end:].lstrip()
    return [*made, text] if text else made


def _groups(features: Iterable[Feature]) -> list[list[Feature]]:
    """Words as they were written apart in the training: what inflects a verb, counts or stands before is joined."""
    groups: list[list[Feature]] = []
    for feature in features:
        before = groups[-1][-1] if groups else None
        if before is not None and not _is_mark(feature) and not _is_mark(before) and _is_joined(before, feature):
            groups[-1].append(feature)
        else:
            groups.append([feature])
    return groups


def _is_mark(feature: Feature) -> bool:
    return bool(feature["pos"] == "記号" or not feature["mora_size"])


def _is_joined(before: Feature, feature: Feature) -> bool:
    if feature["pos"] == "助動詞":
        return before["pos"] in _PREDICATES and feature["string"] not in _POLITE
    if feature["pos_group1"] == "接続助詞":
        return feature["string"] in _INFLECTIONS
    is_number = feature["pos_group1"] == before["pos_group1"] == "数"
    return bool(is_number or feature["pos_group1"] == "接尾" or before["pos"] == "接頭詞")


def _spoken(kana: str) -> str:
    """The phonemes of one word, from its katakana; what is none is left out (’ marks a vowel that is hardly heard)."""
    morae = _MORA.findall(kana)
    following = [*morae[1:], ""]
    return "".join(
        _MORAE.get(mora) or _nasal(_MORAE.get(after, "")) for mora, after in zip(morae, following, strict=True)
    )


def _nasal(following: str) -> str:
    return next((nasal for nasal, starts in _NASALS if following and following[0] in starts), "ɴ")
