"""rules.toml, and a company's own over it."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeai.errors import OptionError
from edgeai.review.rules import MEASURED_KINDS, Language, load_rules


@pytest.mark.parametrize("language", ["en", "ja"])
def test_all_kinds_have_titles_and_words(language: Language) -> None:
    rules = load_rules(language)
    assert set(MEASURED_KINDS) <= set(rules.measured)
    assert {*MEASURED_KINDS, *rules.kinds, "contradiction"} <= set(rules.titles)
    assert "\n" not in rules.prompts["slide"]


def test_a_file_replaces_what_it_names(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text(
        '[limits]\nmin_font_points = 18\nmax_words = 40\n[words]\nsources = ["Beleg:"]\n'
        '[model]\nkinds = ["off_brand"]\n[en.titles]\noff_brand = "Off brand"\n'
        '[en.model]\nslide = "Find {max_remarks} words that we do not use."\n',
        encoding="utf-8",
    )
    rules, ours = load_rules("en", own), load_rules("en")
    assert (rules.limits["min_font_points"], rules.limits["max_words"]) == (18, 40)
    assert rules.limits["max_lines"] == ours.limits["max_lines"]
    assert rules.words["sources"] == ("beleg:",)
    assert rules.kinds == ("off_brand",)
    assert rules.title("off_brand") == "Off brand"
    assert rules.prompts["slide"].startswith("Find {max_remarks}")
    assert rules.prompts["deck"] == ours.prompts["deck"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[limits]\nmax_word = 3", r"limits.max_word is unknown: expected min_font_points, max_words"),
        ("[limit]\nmax_words = 3", r"limit is unknown: expected limits, words, model, en, ja"),
        ('[limits]\nmax_words = "3"', r"limits.max_words: expected a whole number"),
        ("[limits]\nmax_words = true", r"limits.max_words: expected a whole number"),
        ("[limits]\nmin_contrast = 40", r"limits.min_contrast: 40: expected 1 to 21"),
        ("[limits]\nmin_font_points = nan", r"limits.min_font_points: nan: expected 0 to"),
        ("[model]\nmax_remarks = 0", r"model.max_remarks: 0: expected 1 to 10"),
        ('[words]\nsources = "x"', r"words.sources: expected a list of at most 500 texts"),
        ("[words]\nsources = [3]", r"words.sources: expected a list"),
        ('[model]\nkinds = ["Off Brand"]', r"model.kinds: expected names such as"),
        ("[model]\nkinds = []", r"model.kinds: expected names"),
        ('[en.model]\nslide = ""', r"en.model.slide: expected text of 1 to 4,000 characters"),
        (
            '[en.model]\nslide = "{x.__class__} {oops}"',
            r"en.model.slide: \{oops\} is unknown: expected \{max_remarks\}",
        ),
        ("en = 3", r"en is no table: expected \[en\]"),
        ("[limits\n", r"it is not TOML"),
        ("limits = 1\n\x1b[31m", r"it is not TOML"),
    ],
)
def test_what_has_no_place_there_is_told_in_one_line(tmp_path: Path, text: str, words: str) -> None:
    own = tmp_path / "own.toml"
    own.write_text(text, encoding="utf-8")
    with pytest.raises(OptionError, match=words) as caught:
        load_rules("en", own)
    assert str(caught.value).startswith(str(own))
    assert "\n" not in str(caught.value)
    assert "\x1b" not in str(caught.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="No such file"):
        load_rules("en", tmp_path / "none.toml")
    with pytest.raises(OptionError, match="no regular file"):
        load_rules("en", tmp_path)
