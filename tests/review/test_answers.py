"""What is taken of a model's answers: remarks whose words stand on the slides, and nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest

from edgeai.review.answers import deck_remarks, deck_schema, new_ones, slide_remarks, slide_schema
from edgeai.review.deck import Line, Slide
from edgeai.review.quotes import quoted
from edgeai.review.rules import load_rules
from edgeai.structured import OutputFormat

SLIDE = Slide(3, (Line("Our Press"), Line("It stamps 45 parts"), Line("a minute – “quietly”"), Line("静かに動きます")))
OTHER = Slide(4, (Line("Our Press"), Line("It stamps 60 parts a minute")))
PROMPT = "Name the faults of the slide above: what is unclear."
KINDS = ("unclear", "wording")


def answer(*items: dict[str, Any]) -> str:
    return json.dumps({"remarks": list(items)})


def item(quote: str, remark: str = "nobody knows what this means", kind: str = "unclear") -> dict[str, Any]:
    return {"quote": quote, "kind": kind, "remark": remark}


@pytest.mark.parametrize(
    ("quote", "stands"),
    [
        ("It stamps 45 parts", "It stamps 45 parts"),
        ("  it STAMPS 45 parts. ", "It stamps 45 parts"),
        ("“It stamps 45 parts”", "It stamps 45 parts"),
        ("45 parts a minute", "45 parts a minute"),  # over the end of a line
        ('a minute - "quietly"', "a minute – “quietly"),
        ("静かに", "静かに"),
        ("４５ parts", "45 parts"),
        ("stamps 4", None),  # the beginning of another number
        ("It stamps 46 parts", None),
        ("amps 45", None),
        ("", None),
        (".", None),
        ("5", None),
    ],
)
def test_a_quote_stands_on_the_slide_or_is_none(quote: str, stands: str | None) -> None:
    found = quoted(quote, SLIDE)
    assert (found and found.casefold()) == (stands and stands.casefold())


def test_only_remarks_with_a_quote_from_the_slide_are_taken() -> None:
    said = answer(item("It stamps 45 parts"), item("It saves money"), item("Our Press", kind="invented"))
    (remark,) = slide_remarks(said, SLIDE, PROMPT, KINDS)
    assert (remark.quotes, remark.kind, remark.slides) == (("It stamps 45 parts",), "unclear", (3,))
    assert not remark.is_measured


@pytest.mark.parametrize(
    "remark",
    ["it should be 50 parts", "what is unclear.", "It stamps 45 parts", "", "...", "?"],
    ids=["a number from elsewhere", "the prompt", "the quote", "nothing", "dots", "a sign"],
)
def test_remarks_that_say_nothing_or_something_invented_are_dropped(remark: str) -> None:
    assert slide_remarks(answer(item("It stamps 45 parts", remark)), SLIDE, PROMPT, KINDS) == []


def test_numbers_of_the_slide_may_be_named() -> None:
    assert slide_remarks(answer(item("It stamps 45 parts", "45 of what, on slide 3?")), SLIDE, PROMPT, KINDS)


@pytest.mark.parametrize(
    "said",
    [
        "",
        "no JSON",
        "[]",
        "{}",
        '{"remarks": 3}',
        '{"remarks": [3, null, []]}',
        '{"remarks": [{"quote": 1}]}',
        "}" * 500,
    ],
)
def test_other_answers_are_no_remarks(said: str) -> None:
    assert slide_remarks(said, SLIDE, PROMPT, KINDS) == []
    assert deck_remarks(said, [SLIDE, OTHER], PROMPT) == []


def test_an_answer_that_was_cut_short_keeps_its_whole_remarks() -> None:
    said = answer(item("It stamps 45 parts"), item("Our Press"))
    for end in range(said.index("}") + 1, len(said) - 3):
        assert [remark.quotes for remark in slide_remarks(said[:end], SLIDE, PROMPT, KINDS)] == [
            ("It stamps 45 parts",)
        ]


def test_two_slides_contradict_each_other_by_two_quotes() -> None:
    good = {"slide": 3, "quote": "45 parts", "other_slide": 4, "other_quote": "60 parts", "remark": "the rates differ"}
    (remark,) = deck_remarks(answer(good), [SLIDE, OTHER], PROMPT)
    assert (remark.slides, remark.quotes) == ((3, 4), ("45 parts", "60 parts"))
    for wrong in (
        {"other_slide": 3},
        {"other_slide": 9},
        {"other_quote": "45 parts"},
        {"quote": "Our Press", "other_quote": "our press"},
        {"remark": "the rates are 45 and 70"},
    ):
        assert deck_remarks(answer({**good, **wrong}), [SLIDE, OTHER], PROMPT) == []


def test_hostile_words_do_nothing() -> None:
    said = answer(item("It stamps 45 parts", "see ![x](http://a/b) <script>\x1b[31m\u202e now"))
    (remark,) = slide_remarks(said, SLIDE, PROMPT, KINDS)
    assert "\x1b" not in remark.text
    assert "\u202e" not in remark.text


def test_what_is_said_of_every_slide_is_said_once() -> None:
    said: set[str] = set()
    assert new_ones(slide_remarks(answer(item("It stamps 45 parts")), SLIDE, PROMPT, KINDS), said)
    assert not new_ones(slide_remarks(answer(item("60 parts")), OTHER, PROMPT, KINDS), said)


@pytest.mark.parametrize("language", ["en", "ja"])
def test_the_forms_of_answers_are_grammars(language: Any) -> None:
    rules = load_rules(language)
    for schema in (slide_schema(rules), deck_schema(rules, [SLIDE, OTHER])):
        assert OutputFormat(schema).grammar
    assert slide_schema(rules)["properties"]["remarks"]["maxItems"] == 3
