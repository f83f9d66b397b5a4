"""Sentences out of text that streams in, each as soon as it is complete."""

from __future__ import annotations

import pytest

from edgeai.speech.language import language_of
from edgeai.speech.sentences import SentenceStream

CASES: list[tuple[str, list[str]]] = [
    ("It is warm. Let us go!", ["It is warm.", "Let us go!"]),
    (
        "Dr. Smith paid $3.50 at 5 p.m. on Main St. in town. Good.",
        ["Dr. Smith paid $3.50 at 5 p.m. on Main St. in town.", "Good."],
    ),
    ("J. R. R. Tolkien wrote it. He did.", ["J. R. R. Tolkien wrote it.", "He did."]),
    ("Use e.g. a spoon. Or a fork, i.e. any tool.", ["Use e.g. a spoon.", "Or a fork, i.e. any tool."]),
    ("電源を切ってください。次に、蓋を開けます！", ["電源を切ってください。", "次に、蓋を開けます！"]),
    ("彼は「はい。」と言った。終わり。", ["彼は「はい。」と言った。", "終わり。"]),
    ("# Title\nText here.\n- one\n- two\n", ["# Title", "Text here.", "- one", "- two"]),
    ("Wait… what? Yes.", ["Wait… what?", "Yes."]),
    ("Version 3.11 is out. So is 4.0.", ["Version 3.11 is out.", "So is 4.0."]),
    ("It is 25 °C. 今日は寒い。", ["It is 25 °C.", "今日は寒い。"]),
    ("It is 25 °C. Cold, is it?", ["It is 25 °C.", "Cold, is it?"]),
    ("He lives in the U.S. 今日は晴れ。", ["He lives in the U.S.", "今日は晴れ。"]),
    ("Take vitamin C. It helps.", ["Take vitamin C.", "It helps."]),
    ("5 p.m. 出発します。Mr. 田中が来た。", ["5 p.m. 出発します。", "Mr. 田中が来た。"]),
    ("ジョージ・W. ブッシュです。", ["ジョージ・W. ブッシュです。"]),
    ("Good morning.今日は。またね.はい.", ["Good morning.", "今日は。", "またね.", "はい."]),
    ("待って…。本当？！そうです。", ["待って…。", "本当？！", "そうです。"]),
    ("…そうか。「うん…。」と言った。", ["…そうか。", "「うん…。」と言った。"]),
    ("「行こう。」「うん。」二人は出た。", ["「行こう。」", "「うん。」", "二人は出た。"]),
    ("e.g. this one. Dr. Smith came.", ["e.g. this one.", "Dr. Smith came."]),
    ('What?! No way! "Is it?" she asked.', ["What?!", "No way!", '"Is it?" she asked.']),
    ("今日は寒い\nIt is cold\nそうです", ["今日は寒い", "It is cold", "そうです"]),
    ("It was 3.5 m, cf. Fig. 3 on p. 5. Then?", ["It was 3.5 m, cf. Fig. 3 on p. 5.", "Then?"]),
]


def sentences(text: str, size: int) -> list[str]:
    stream, found = SentenceStream(), []
    for start in range(0, len(text), size):
        found += stream.feed(text[start : start + size])
    return [sentence.strip() for sentence in (*found, *stream.finish()) if sentence.strip()]


@pytest.mark.parametrize(("text", "expected"), CASES, ids=[text[:20] for text, _ in CASES])
def test_sentences_are_the_same_in_whatever_pieces_they_come(text: str, expected: list[str]) -> None:
    for size in (1, 2, 3, 7, 1000):
        assert sentences(text, size) == expected


MIXED = [
    ("It is 25 °C.", "en"),
    ("USBで接続します。", "ja"),
    ("Tokyo (東京) is the capital.", "en"),
    ("彼は I love you と言った。", "ja"),
    ("PythonのライブラリであるNumPyを使う。", "ja"),
    ("東京", "ja"),
    ("ﾊﾛｰ", "ja"),
    ("Ｈｅｌｌｏ", "en"),
    ("你们好。", "zh"),
    ("안녕하세요 USB", "ko"),
    ("42.", None),
    ("2024/5/1 10:30 😀", None),
]


@pytest.mark.parametrize(("sentence", "language"), MIXED)
def test_the_language_of_a_sentence(sentence: str, language: str | None) -> None:
    assert language_of(sentence) == language


def test_a_sentence_is_told_before_the_next_has_ended() -> None:
    stream = SentenceStream()
    assert [sentence.strip() for sentence in stream.feed("It is warm. And the sun")] == ["It is warm."]


def test_code_and_tables_are_one_piece_each() -> None:
    text = "Look:\n```python\nx = 1. Y = 2.\n```\nDone.\n\n| a | b |\n|---|---|\n| 1. | 2. |\n\nEnd."
    for size in (1, 5, 1000):
        found = sentences(text, size)
        assert sum("x = 1. Y = 2." in piece for piece in found) == 1
        assert sum("|---|" in piece for piece in found) == 1
        assert found[-1] == "End."


def test_no_text_is_lost_and_no_sentence_is_endless() -> None:
    word = "a" * 100_000
    found = sentences(word, 4096)
    assert "".join(found) == word
    assert max(map(len, found)) < 2_000


def test_the_first_sentence_is_cut_early_where_it_is_long() -> None:
    stream = SentenceStream()
    text = "海の水が塩辛いのは、川の水が岩から少しずつ塩を溶かし、それを海まで運んでくるからです。雨も降ります。"
    heard = [(at, sentence) for at, letter in enumerate(text) for sentence in stream.feed(letter)]
    assert "".join([*(sentence for _, sentence in heard), *stream.finish()]) == text
    assert heard[0][1] == "海の水が塩辛いのは、"
    assert heard[0][0] < 25
    assert heard[1][1].endswith("からです。")
    assert SentenceStream().feed("海の水は、塩辛いです。 ") == ["海の水は、塩辛いです。"]
