"""Contextual calibration: the arithmetic by hand, and when "auto" takes it."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest

from edgeai import Session
from edgeai.backends.base import Scored, ScoreEvent, ScoreFinished, ScoreRequest
from edgeai.classify.calibration import calibrated, helps, normalized, prior_of
from edgeai.classify.classifier import Classifier
from tests.fakes import FakeBackend

LABELS = ("good", "bad")


def logs(*shares: float) -> list[float]:
    return [math.log(share) for share in shares]


def test_the_arithmetic_is_that_of_the_paper() -> None:
    assert normalized(logs(0.2, 0.6)) == pytest.approx([0.25, 0.75])
    assert prior_of([logs(0.2, 0.6), logs(0.3, 0.1)]) == pytest.approx([0.5, 0.5])
    assert prior_of([logs(0.8, 0.2)]) == pytest.approx([0.8, 0.2])
    assert calibrated(logs(0.6, 0.4), [0.8, 0.2]) == pytest.approx([0.75 / 2.75, 2 / 2.75])
    assert calibrated(logs(0.1, 0.3), None) == pytest.approx([0.25, 0.75])


def test_what_is_impossible_stays_so_and_nothing_is_divided_by_nothing() -> None:
    assert normalized([-math.inf, 0.0]) == [0.0, 1.0]
    assert normalized([-math.inf, -math.inf]) == [0.5, 0.5]
    assert normalized([-2000.0, -2001.0]) == pytest.approx([1 / (1 + math.exp(-1)), 1 / (1 + math.e)])
    prior = prior_of([[0.0, -math.inf]])
    assert all(share > 0 for share in prior)
    assert calibrated([-math.inf, -1.0], prior) == [0.0, 1.0]


def test_it_helps_where_it_is_surely_better_and_never_where_it_is_wrong_more_often() -> None:
    better = [0.9 - 0.01 * number for number in range(10)]
    assert helps([0.5] * 10, better, 5, 6)
    assert not helps([0.5] * 10, better, 6, 5), "fewer right answers"
    assert not helps(better, [0.5] * 10, 5, 6)
    assert not helps([0.5] * 7, better[:7], 5, 6), "too few to tell"
    mixed = [0.9, 0.3] * 5
    assert not helps([0.5] * 10, mixed, 5, 6), "within its standard error"


class Biased(FakeBackend):
    """Prefers the first label by far, whatever the text is; the right one is a little likelier than otherwise."""

    bias = 3.0

    def score(self, request: ScoreRequest) -> Iterator[ScoreEvent]:
        self.scored.append(request)
        for index, item in enumerate(request.items):
            said = self.detokenize([*request.prefix, *item.tokens]).rpartition("<|im_start|>user\n")[2]
            values = [self.bias - 8 + 2 * ("good" in said), -8 + 2 * ("bad" in said)]
            yield Scored(index, tuple(values), (False, False))
        yield ScoreFinished(False, 0, 0, 0, 0)


EXAMPLES = [(f"{label} {number}", label) for number in range(6) for label in LABELS]


def test_auto_calibrates_where_examples_show_that_it_helps() -> None:
    session = Session(backend=Biased())
    assert session.classify(["bad"], LABELS)[0].label == "good", "without examples it is off"
    assert session.classify(["bad"], LABELS, examples=EXAMPLES, calibrate="off")[0].label == "good"
    classifier = Classifier(session, LABELS, examples=EXAMPLES)
    assert classifier.prior is not None
    assert classifier.prior[0] == pytest.approx([1 / (1 + math.exp(-3)), 1 / (1 + math.exp(3))])
    (found,) = classifier.classify(["bad"])
    assert found.label == "bad"
    assert found.log_probs == {"good": -5.0, "bad": -6.0}, "as the model gives them"


def test_auto_leaves_a_model_without_a_bias_alone() -> None:
    backend = Biased()
    backend.bias = 0.0
    assert Classifier(Session(backend=backend), LABELS, examples=EXAMPLES).prior is None


def test_each_example_is_tried_with_the_others_only() -> None:
    backend = Biased()
    Classifier(Session(backend=backend), LABELS, examples=EXAMPLES)
    prompts = [backend.detokenize([*one.prefix, *one.items[0].tokens]) for one in backend.scored]
    tried = [prompt for prompt in prompts if any(prompt.count(text) for text, _ in EXAMPLES)]
    assert tried
    for prompt in prompts:
        last = prompt.rpartition("<|im_start|>user\n")[2].partition("<|im_end|>")[0]
        assert prompt.count(f"user\n{last}<|im_end|>") == 1


def test_multi_label_answers_are_calibrated_each_by_its_own() -> None:
    session = Session(backend=FakeBackend())
    classifier = Classifier(session, LABELS, multi=True, calibrate="on")
    assert classifier.prior is not None
    assert len(classifier.prior) == 2
    assert all(sum(pair) == pytest.approx(1) for pair in classifier.prior)
