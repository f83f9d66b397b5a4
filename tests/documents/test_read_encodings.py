"""Text in any encoding, short or long: Python's encoders are the oracle."""

from __future__ import annotations

import pytest

from edgeai.documents.reading.encoding import decode, is_binary

JAPANESE = """
これは説明書です。電源ボタンを長押しすると、本体が初期化されます。
リセットの方法については、第３章をご覧ください。
東京都千代田区丸の内一丁目
注意：水に濡らさないでください。
①番号 ㈱テスト
カタカナだけのテキスト
商品名,価格,在庫
電源
エラー
山田太郎 様
2024年4月1日（月）10:00
This manual is in Japanese: 取扱説明書
吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。
""".strip().splitlines()

WESTERN = """
Café
Die Straße ist naß, München grüßt Köln.
naïve résumé
Übergröße
El niño comió jamón en España. ¿Qué?
Ça va très bien, merci à vous
São Paulo, ação, coração
“Quoted” – text with dashes…
élan vital
""".strip().splitlines()

OTHERS = {
    "gb18030": "简体中文文本，电源按钮长按三秒，然后重新启动设备。",
    "cp949": "이것은 한국어 문장입니다. 전원 버튼을 누르세요.",
    "cp1251": "Это русский текст о погоде и природе. Он достаточно длинный для определения.",
    "koi8-r": "Это русский текст о погоде и природе. Он достаточно длинный для определения.",
}


@pytest.mark.parametrize("encoding", ["cp932", "utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("text", JAPANESE)
def test_short_japanese(text: str, encoding: str) -> None:
    assert decode(text.encode(encoding)) == text


@pytest.mark.parametrize("encoding", ["shift_jis", "euc_jp", "iso2022_jp"])
@pytest.mark.parametrize("text", [text for text in JAPANESE if "①" not in text])
def test_short_japanese_in_encodings_with_fewer_characters(text: str, encoding: str) -> None:
    assert decode(text.encode(encoding)) == text


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("text", [text for text in JAPANESE if text != "電源"])  # two kanji may be anything
def test_utf_16_without_a_mark(text: str, encoding: str) -> None:
    data = text.encode(encoding)
    assert decode(data) == text
    assert not is_binary(data)


@pytest.mark.parametrize("encoding", ["cp1252", "utf-8", "utf-16-le"])
@pytest.mark.parametrize("text", WESTERN)
def test_western_letters_are_not_taken_for_kanji(text: str, encoding: str) -> None:
    assert decode(text.encode(encoding)) == text


@pytest.mark.parametrize("encoding", OTHERS)
def test_other_languages(encoding: str) -> None:
    assert decode(OTHERS[encoding].encode(encoding)) == OTHERS[encoding]


@pytest.mark.parametrize("encoding", ["cp932", "utf-16-le", "iso2022_jp_ext", "utf-8"])
def test_line_breaks_of_all_systems(encoding: str) -> None:
    assert decode("電源です\r\n次の行\rかな\n".encode(encoding)) == "電源です\n次の行\nかな\n"


def test_utf_8_with_one_broken_place() -> None:
    data = ("電源ボタンを押します。" * 20).encode()
    assert decode(data[:-1]).startswith("電源ボタンを押します。" * 19)
    assert decode(data[:50] + b"\xff" + data[50:]).count("\ufffd") <= 3


def test_what_a_file_declares_counts_only_where_it_fits() -> None:
    text = "電源です"
    assert decode(text.encode("euc_jp"), "euc-jp") == text
    assert decode(text.encode(), "shift_jis") == text
    for name in ("zip", "rot13", "no such", "utf-7", "", "\0", "idna"):
        assert decode(b"abc +AGE-", name) == "abc +AGE-"


@pytest.mark.parametrize(
    "data", [bytes(range(256)), b"\0" * 100, b"ab\0\1\2", b"\x7fELF\2\1\1" + b"\0" * 9, b"\1\2\3" * 50]
)
def test_binary_is_no_text(data: bytes) -> None:
    assert is_binary(data)
