from __future__ import annotations

from quantize.texts import calibration_text, evaluation_text


def _sentences(text: str) -> set[str]:
    return {line.strip() for line in text.splitlines() if len(line.strip()) > 40}


def test_both_texts_have_english_and_japanese_from_the_start() -> None:
    for text in (evaluation_text(), calibration_text()):
        start = text[:12_000]
        kana = sum("ぁ" <= character <= "ヿ" for character in start)
        letters = sum("a" <= character <= "z" for character in start)
        assert min(kana, letters) > 1500


def test_no_paragraph_is_in_both() -> None:
    assert not _sentences(evaluation_text()) & _sentences(calibration_text())


def test_they_are_small_and_clean() -> None:
    texts = evaluation_text() + calibration_text()
    assert len(texts.encode()) < 200_000
    assert not [mark for mark in ("《", "［＃", "｜", "※", "\r", "Gutenberg", "http") if mark in texts]
