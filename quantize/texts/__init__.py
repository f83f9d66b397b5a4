"""Public-domain texts in English and Japanese, in turn every few paragraphs.

Two texts that share no sentence: what was calibrated on a text would look better than it is when it is measured on it.

Their sources, with line breaks inside paragraphs, ruby and editors' notes taken out:

- Workshop on Electronic Texts: Proceedings, edited by James Daly, Library of Congress, 1992; a work of the United
  States government. Introduction in the evaluation, session IV in the calibration.
- Lewis Carroll, Alice's Adventures in Wonderland, 1865. Chapters I and II in the calibration.
- 夏目漱石 (1867-1916)『吾輩は猫である』1905-1906, as typed in by the volunteers of 青空文庫 (Aozora Bunko):
  入力 柴田卓治; 校正 渡部峰子, おのしげひこ, 田尻幹二, 高橋真也, しず, 瀬戸さえ子. Its beginning in the evaluation, its
  middle in the calibration.
"""

from __future__ import annotations

from importlib import resources


def evaluation_text() -> str:
    """The text that quality is measured on. 86 kB"""
    return _read("evaluation.txt")


def calibration_text() -> str:
    """The text that importance matrices are collected on. 102 kB"""
    return _read("calibration.txt")


def _read(name: str) -> str:
    return resources.files(__name__).joinpath(name).read_text("utf-8")
