"""On real quantized weights, where a rounding that flips is magnified: neighbours and batches change nothing."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from edgeai import Session
from edgeai.classify.classifier import Classifier

pytestmark = pytest.mark.weights

SET = Path(__file__).parents[2] / "benchmarks" / "data" / "classify.jsonl"


def test_a_text_comes_to_the_same_alone_and_in_any_company(real_model: Path) -> None:
    rows = [json.loads(line) for line in SET.read_text(encoding="utf-8").splitlines()]
    texts = [row["text"] for row in rows][::14]
    with Session(real_model, n_ctx=512, n_threads=1) as session:
        classifier = Classifier(session, ("positive", "negative", "neither of them"), calibrate="off")
        wanted = dict(zip(texts, classifier.classify(texts), strict=True))
        shuffled = random.Random(1).sample(texts, len(texts))
        for text, found in zip(shuffled, classifier.classify(shuffled), strict=True):
            assert found.label == wanted[text].label
            assert found.log_probs == pytest.approx(wanted[text].log_probs, abs=1e-3)
        for text in texts[:3]:
            (found,) = classifier.classify([text])
            assert found.log_probs == pytest.approx(wanted[text].log_probs, abs=1e-3)
