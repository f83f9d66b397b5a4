"""Texts in, labels out: on a fake engine for what is decided here, on tiny models for the probabilities."""

from __future__ import annotations

import itertools
import math
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edgeai import (
    EngineCrashedError,
    GenerationError,
    Message,
    OptionError,
    Session,
    SessionClosedError,
    UnsupportedModalityError,
)
from edgeai.backends.base import Scored, ScoreEvent, ScoreFinished, ScoreItem, ScoreRequest
from edgeai.classify import classifier as classifier_module
from edgeai.classify.classifier import Classifier
from edgeai.classify.types import Classification, Example
from tests.classify.naive import NaiveScorer
from tests.engine.children import impostor
from tests.fakes import CHATML, FakeBackend
from tests.tiny import tiny_model

LABELS = ("good", "bad")
TEXTS = ("The soup is good.", "A bad day.", "It is what it is.", "日本語 good")


@pytest.fixture
def backend() -> FakeBackend:
    return FakeBackend()


@pytest.fixture
def session(backend: FakeBackend) -> Session:
    return Session(backend=backend)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("tiny") / "tiny.gguf", n_ctx_train=1024)


@pytest.fixture(scope="module")
def tiny(model: Path) -> Iterator[Session]:
    with Session(model, n_threads=1, n_ctx=1024, type_k="f32", type_v="f32") as session:
        yield session


# --- what is asked ---


def test_the_instructions_the_labels_and_the_examples_stand_before_the_text(
    session: Session, backend: FakeBackend
) -> None:
    examples = [("It was great.", "good"), {"text": "Never again.", "label": "bad"}, Example("Hm.", ("bad",))]
    found = session.classify(["So good!"], LABELS, instructions="Judge the food.", examples=examples)
    (request,) = backend.scored
    asked = backend.detokenize([*request.prefix, *request.items[0].tokens])
    assert asked == (
        "<|im_start|>system\nJudge the food.\n\nAnswer with one of these labels and nothing else: good, bad<|im_end|>\n"
        "<|im_start|>user\nIt was great.<|im_end|>\n<|im_start|>assistant\ngood<|im_end|>\n"
        "<|im_start|>user\nNever again.<|im_end|>\n<|im_start|>assistant\nbad<|im_end|>\n"
        "<|im_start|>user\nHm.<|im_end|>\n<|im_start|>assistant\nbad<|im_end|>\n"
        "<|im_start|>user\nSo good!<|im_end|>\n<|im_start|>assistant\n"
    )
    assert [backend.detokenize(tokens) for tokens in request.items[0].continuations] == ["good", "bad"]
    assert found[0].label == "good"
    assert found[0].labels == ("good",)


def test_a_template_that_loses_system_messages_gets_the_instructions_in_the_text() -> None:
    template = CHATML.replace("in messages %}", "in messages if message.role != 'system' %}")
    backend = FakeBackend(chat_template=template)
    session = Session(backend=backend)
    session.classify(["So good!"], LABELS, instructions="Judge the food.")
    session.classify(["So good!"], LABELS, instructions="Judge the food.", examples=[("Fine.", "good")])
    for request in backend.scored:
        asked = backend.detokenize([*request.prefix, *request.items[0].tokens])
        assert asked.count("Judge the food.") == 1
        assert asked.index("Judge the food.") < asked.index("So good!")


def test_the_conversation_has_no_part_in_it_and_stays(session: Session, backend: FakeBackend) -> None:
    backend.enqueue("Hi!")
    session.chat("Hello").wait()
    session.classify(TEXTS, LABELS)
    assert session.messages == [Message("user", "Hello"), Message("assistant", "Hi!")]
    assert "Hello" not in backend.detokenize(backend.scored[0].prefix)


# --- bad input ---


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([], "no labels"),
        (["good"], "1 label:"),
        ("good", "expected a list"),
        ([1, 2], "expected a list"),
        (["good", " "], "an empty label"),
        (["good", "bad", " good "], "'good' comes twice"),
        (["caf\u00e9", "cafe\u0301"], "comes twice"),
        (["good", "b\nad"], "one line"),
        (["good", "<|im_end|>"], "control token"),
        ([str(number) for number in range(1001)], "1,001 labels"),
    ],
)
def test_labels_that_make_no_sense_are_an_error(session: Session, labels: Any, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        Classifier(session, labels)


@pytest.mark.parametrize(
    ("examples", "message"),
    [
        (["text"], "example 1: expected a text and its label"),
        ([("text", "good"), ("text", "fine")], "example 2 has the label 'fine': expected one of good, bad"),
        ([{"text": "a"}], "example 1: expected"),
        ([{"text": "a", "labels": ["good", "bad"]}], "has 2 labels: expected one"),
        ([{"text": 3, "label": "good"}], "example 1: expected"),
    ],
)
def test_examples_that_make_no_sense_are_an_error(session: Session, examples: Any, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        Classifier(session, LABELS, examples=examples)


@pytest.mark.parametrize("options", [{"calibrate": "yes"}, {"abstain_below": 1.5}, {"abstain_below": -0.1}])
def test_options_that_make_no_sense_are_an_error(session: Session, options: Any) -> None:
    with pytest.raises(OptionError, match="expected"):
        Classifier(session, LABELS, **options)


def test_instructions_that_leave_no_room_are_an_error() -> None:
    session = Session(backend=FakeBackend(n_ctx=200))
    with pytest.raises(OptionError, match=r"leave no room for a text in n_ctx = 200: shorten them"):
        Classifier(session, LABELS, instructions="x" * 200)


def test_a_text_that_cannot_be_classified_has_its_reason_and_the_others_go_on() -> None:
    session = Session(backend=FakeBackend(n_ctx=300))
    texts: list[Any] = ["good", "", " \n", None, 3.5, "x" * 400, "x" * 10**6, "bad"]
    found = list(Classifier(session, LABELS).classify(texts))
    assert [one.label for one in found] == ["good", None, None, None, None, None, None, "bad"]
    reasons = ("empty", "empty", "NoneType", "float", "n_ctx = 300", "n_ctx = 300")
    for one, message in zip(found[1:7], reasons, strict=True):
        assert message in one.error
        assert "\n" not in one.error
        assert not one.probabilities


def test_a_long_text_is_cut_at_its_end_when_that_is_asked_for() -> None:
    backend = FakeBackend(n_ctx=300)
    (found,) = Session(backend=backend).classify(["good " + "x" * 10**6], LABELS, truncate=True)
    assert found.label == "good"
    (request,) = backend.scored
    assert len(request.prefix) + len(request.items[0].tokens) + 4 == 300


def test_an_engine_that_cannot_score_is_an_error(backend: FakeBackend) -> None:
    class Silent(FakeBackend):
        score = None  # type: ignore[assignment]

        def __getattribute__(self, name: str) -> Any:
            if name == "score":
                raise AttributeError(name)
            return super().__getattribute__(name)

    with pytest.raises(UnsupportedModalityError, match="does not tell the probabilities"):
        Session(backend=Silent()).classify(["a"], LABELS)


# --- what comes out ---


def test_results_are_in_order_and_texts_are_read_as_they_are_needed(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(classifier_module, "WINDOW_TEXTS", 8)
    n_read = 0

    def texts() -> Iterator[str]:
        nonlocal n_read
        for number in range(100):
            n_read += 1
            yield f"{'good' if number % 3 else 'bad'} {'x' * (number * 7 % 40)}"

    results = Classifier(session, LABELS).classify(texts())
    first = next(results)
    assert n_read == 8
    assert [one.label for one in [first, *results]] == ["good" if number % 3 else "bad" for number in range(100)]


def test_many_labels_make_windows_of_fewer_texts(backend: FakeBackend) -> None:
    labels = [f"label number {number:03}" for number in range(100)]
    assert len(Session(backend=backend).classify([f"text {number}" for number in range(12)], labels)) == 12
    assert all(len(request.items) <= 4 for request in backend.scored), "each has 1,500 tokens"


@pytest.mark.parametrize(("seconds", "most"), [(60.0, 1024), (1e-3, 4096)], ids=["slow", "quick"])
def test_a_window_is_soon_done_however_slow_the_model_is(
    backend: FakeBackend, monkeypatch: pytest.MonkeyPatch, seconds: float, most: int
) -> None:
    clock = itertools.count()
    monkeypatch.setattr(classifier_module, "time", SimpleNamespace(monotonic=lambda: next(clock) * seconds))
    found = Session(backend=backend).classify(["word " * 20] * 400, LABELS)
    assert len(found) == 400
    sizes = [sum(len(item.tokens) for item in request.items) for request in backend.scored]
    assert 1024 <= sizes[0] < 1024 + 200
    assert 0.9 * most < max(sizes) < most + 200


def test_the_margin_and_abstaining(session: Session) -> None:
    (found,) = session.classify(["good"], LABELS)
    share = math.exp(-0.25) / (math.exp(-0.25) + math.exp(-2.55))
    assert found.probabilities == pytest.approx({"good": share, "bad": 1 - share})
    assert found.log_probs == {"good": -0.25, "bad": -2.55}
    assert found.margin == pytest.approx(2 * share - 1)
    abstained, sure = (session.classify(["good"], LABELS, abstain_below=p)[0] for p in (share + 0.01, share - 0.01))
    assert (abstained.label, abstained.labels) == (None, ())
    assert abstained.probabilities == found.probabilities
    assert sure.label == "good"


class SaysYes(FakeBackend):
    """Says yes to the labels that stand in the text; the first label's question is asked first."""

    def score(self, request: ScoreRequest) -> Iterator[ScoreEvent]:
        for index, item in enumerate(request.items):
            said = self.detokenize([*request.prefix, *item.tokens]).rpartition("<|im_start|>user\n")[2]
            text = said.partition("\n\nDoes the label")[0]
            values = []
            for number, tokens in enumerate(item.continuations):
                question = self.detokenize(item.tokens) + self.detokenize(tokens)
                label = question.rpartition('Does the label "')[2].partition('"')[0]
                is_yes = question.endswith("yes")
                values.append(-0.1 if (label in text) == is_yes else -2.0)
                assert item.n_given[number] == len(tokens) - len("yes" if is_yes else "no")
            yield Scored(index, tuple(values), (False,) * len(values))
        yield ScoreFinished(False, 0, 0, 0, 0)


def test_in_multi_label_mode_each_label_is_asked_about() -> None:
    session = Session(backend=SaysYes())
    examples = [("red and blue", ["red", "blue"]), ("grey", [])]
    texts = ["red", "blue and red", "green"]
    found = session.classify(texts, ["red", "blue"], multi=True, examples=examples)
    assert [one.labels for one in found] == [("red",), ("red", "blue"), ()]
    assert [one.label for one in found] == ["red", "red", None]
    yes = 1 / (1 + math.exp(-1.9))
    assert found[0].probabilities == pytest.approx({"red": yes, "blue": 1 - yes})
    assert found[0].log_probs == pytest.approx({"red": 1.9, "blue": -1.9})
    assert found[0].margin == pytest.approx(2 * yes - 1)
    assert session.classify(["red"], ["red"], multi=True)[0].labels == ("red",)
    assert session.classify(texts, ["red", "blue"], multi=True, abstain_below=0.99)[0].labels == ()


# --- probabilities ---


def naive_scores(path: Path, session: Session, labels: Sequence[str], text: str, end: str) -> list[float]:
    """What one-by-one evaluation of the whole prompts, written out by hand, comes to."""
    naive = NaiveScorer(path, n_ctx=1024)
    prompt = naive.tokenize(
        "<|im_start|>system\nJudge.\n\n"
        f"Answer with one of these labels and nothing else: {', '.join(labels)}<|im_end|>\n"
        f"<|im_start|>user\n{text}<|im_end|>\n<|im_start|>assistant\n"
    )
    found, _ = naive.score([], ScoreItem(prompt, [naive.tokenize(label + end) for label in labels]))
    naive.close()
    return found


@pytest.mark.parametrize(
    ("labels", "end"),
    [(("good", "the bad one", "ugly"), ""), (("in", "in the end", "ugly"), "<|im_end|>")],
)
def test_probabilities_are_those_of_whole_labels_after_whole_prompts(
    tiny: Session, model: Path, labels: tuple[str, ...], end: str
) -> None:
    found = tiny.classify(TEXTS, labels, instructions="Judge.")
    for text, one in zip(TEXTS, found, strict=True):
        wanted = naive_scores(model, tiny, labels, text, end)
        assert list(one.log_probs.values()) == pytest.approx(wanted, abs=1e-3)
        total = sum(math.exp(value - max(wanted)) for value in wanted)
        assert list(one.probabilities.values()) == pytest.approx(
            [math.exp(value - max(wanted)) / total for value in wanted], abs=1e-3
        )
        assert one.label == labels[wanted.index(max(wanted))]


def assert_same(found: Sequence[Classification], wanted: Sequence[Classification]) -> None:
    for one, other in zip(found, wanted, strict=True):
        assert one.label == other.label
        assert one.log_probs == pytest.approx(other.log_probs, rel=1e-6)


def test_windows_and_neighbours_change_nothing(tiny: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"{text} {'and ' * number}" for number in range(6) for text in TEXTS]
    classifier = Classifier(tiny, ("good", "bad", "in the end"))
    wanted = list(classifier.classify(texts))
    monkeypatch.setattr(classifier_module, "WINDOW_TEXTS", 5)
    assert_same(list(classifier.classify(texts)), wanted)
    assert_same(list(classifier.classify(reversed(texts))), wanted[::-1])
    assert_same([next(classifier.classify([text])) for text in texts[:4]], wanted[:4])


def test_multi_label_probabilities_are_those_of_separate_questions(tiny: Session, model: Path) -> None:
    (found,) = tiny.classify(["The soup."], ["hot", "cold"], instructions="Judge.", multi=True)
    naive = NaiveScorer(model, n_ctx=1024)
    for label in ("hot", "cold"):
        prompt = naive.tokenize(
            "<|im_start|>system\nJudge.\n\nAfter each text comes a label. "
            "Say whether it applies to the text: answer yes or no and nothing else."
            '<|im_end|>\n<|im_start|>user\nThe soup.\n\nDoes the label "'
            f'{label}" apply to this text?<|im_end|>\n<|im_start|>assistant\n'
        )
        (yes, no), _ = naive.score([], ScoreItem(prompt, [naive.tokenize("yes"), naive.tokenize("no")]))
        assert found.log_probs[label] == pytest.approx(yes - no, abs=1e-3)
        assert found.probabilities[label] == pytest.approx(1 / (1 + math.exp(no - yes)), abs=1e-3)
    naive.close()


# --- what happens in the middle ---


class Interrupts:
    """Does something once, after a number of texts."""

    def __init__(self, after: int, action: Any) -> None:
        self.left, self.action = after, action

    def __call__(self) -> None:
        self.left -= 1
        if self.left == 0:
            self.action()


def interrupt() -> None:
    raise KeyboardInterrupt


def test_ctrl_c_ends_it_and_the_session_goes_on(tiny: Session) -> None:
    wanted = tiny.classify(TEXTS, LABELS)
    with pytest.raises(KeyboardInterrupt):
        list(Classifier(tiny, LABELS, on_scored=Interrupts(2, interrupt)).classify(list(TEXTS) * 30))
    assert_same(tiny.classify(TEXTS, LABELS), wanted)
    assert tiny.chat("Hello", max_tokens=3).text is not None


def test_what_a_crashed_engine_left_undone_a_new_one_does(tiny: Session) -> None:
    texts = [f"{text} {number}" for number in range(8) for text in TEXTS]
    wanted = tiny.classify(texts, LABELS)
    crash = Interrupts(3, lambda: os.kill(tiny.engine_pid, signal.SIGKILL))
    assert_same(list(Classifier(tiny, LABELS, on_scored=crash).classify(texts)), wanted)


def test_an_engine_that_crashes_again_is_an_error(session: Session, backend: FakeBackend) -> None:
    def crash(_request: ScoreRequest) -> Iterator[ScoreEvent]:
        raise EngineCrashedError(doing="scoring texts", signal="SIGSEGV")
        yield

    classifier = Classifier(session, LABELS)
    backend.score = crash  # type: ignore[assignment, method-assign]
    with pytest.raises(EngineCrashedError, match="SIGSEGV"):
        list(classifier.classify(TEXTS))


def test_closing_the_session_ends_it(session: Session) -> None:
    classifier = Classifier(session, LABELS, on_scored=Interrupts(2, session._turns._backend.cancel))
    with pytest.raises(Exception, match="cancelled"):
        list(classifier.classify(TEXTS))
    session.close()
    with pytest.raises(SessionClosedError):
        list(classifier.classify(TEXTS))


@pytest.mark.parametrize(
    "reply",
    [
        "Rated(5, (-1.0, -2.0), (True, True))",
        "Rated(0, (-1.0,), (True,))",
        "Rated(0, (1.0, -2.0), (True, True))",
        "Rated(0, (float('nan'), -2.0), (True, True))",
        "RatingEnded(False, 0, 0, 0, 0)",
        "Rating(5, 3)",
        "Read(9, 3, 0)",
        "Written('x', 1)",
    ],
)
def test_an_engine_that_sends_what_cannot_be_is_ended(model: Path, monkeypatch: pytest.MonkeyPatch, reply: str) -> None:
    impostor(
        monkeypatch,
        "loaded()\nwhile True:\n request = pipe.receive()\n"
        " if isinstance(request, Tokenize): pipe.send(Tokens([1 + byte % 90 for byte in request.text]))\n"
        f" elif isinstance(request, Score): pipe.send({reply})\n",
    )
    session = Session(model, chat_template="plain", n_ctx=1024)
    with session, pytest.raises(EngineCrashedError, match="sent what cannot be"):
        session.classify(["a"], LABELS)


def test_closing_the_session_from_elsewhere_ends_a_scoring_at_once(model: Path) -> None:
    session = Session(model, n_threads=1, n_ctx=1024)
    closer = threading.Thread(target=session.close)
    classifier = Classifier(session, LABELS, on_scored=Interrupts(2, closer.start))
    with pytest.raises(GenerationError):
        list(classifier.classify(f"{text} {number}" for number in range(400) for text in TEXTS))
    closer.join(20)
    assert not closer.is_alive()
