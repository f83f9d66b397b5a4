"""What slides are held against and what is said of them: rules.toml, and a user's own file over it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Literal, cast

from edgeai.errors import OptionError
from edgeai.safe_text import one_line
from edgeai.toml_text import read_toml

Language = Literal["en", "ja"]
MEASURED_KINDS = ("small_text", "too_much_text", "low_contrast", "no_source", "inconsistent")
DECK_KIND = "contradiction"
"""Of the model's remarks on all slides together."""

_FIELD = re.compile(r"\{(\w*)\}")
_OPEN_TABLES = ("en.titles", "ja.titles")  # a company's own kinds have titles too
_KIND = re.compile(r"[a-z][a-z0-9_]{0,30}")
_MAX_CHARS, _MAX_ITEMS, _MAX_NUMBER, _MOST_REMARKS = 4000, 500, 100_000, 10
_PLACES = {
    "limits.max_slides": (1, 10_000),
    "model.max_remarks": (1, _MOST_REMARKS),
    "limits.min_contrast": (1, 21),
    "limits.min_contrast_large": (1, 21),
}
"""Numbers that have narrower bounds than 0 and _MAX_NUMBER."""


@dataclass(frozen=True, slots=True)
class Rules:
    """All rules, and what is said in one language.

    Attributes:
        limits: numbers.
        words: lists, in small letters.
        kinds: of the model's remarks on a slide.
        max_remarks: of the model, on a slide and on all of them.
        measured: what is said of what was measured.
        titles: of the kinds of remarks.
        report: what stands around them.
        prompts: what the model is told.
    """

    limits: Mapping[str, float]
    words: Mapping[str, tuple[str, ...]]
    kinds: tuple[str, ...]
    max_remarks: int
    measured: Mapping[str, str]
    titles: Mapping[str, str]
    report: Mapping[str, str]
    prompts: Mapping[str, str]

    def said(self, kind: str, /, **values: object) -> str:
        """A sentence about something that was measured."""
        return filled(self.measured[kind], **values)

    def title(self, kind: str) -> str:
        """How a kind of remark is called."""
        return self.titles.get(kind) or kind.replace("_", " ")


def filled(text: str, /, **values: object) -> str:
    """A text with what stands in braces filled in; braces of other content stay."""
    return _FIELD.sub(lambda match: str(values.get(match[1], match[0])), text)


def load_rules(language: Language = "en", path: Path | None = None) -> Rules:
    """The rules that come with this program, and those of a file in their place.

    Args:
        language: of what is said.
        path: a TOML file with some of the tables and keys of rules.toml.
    Raises:
        OptionError: it cannot be read, or has something in it that has no place there. One line that names it.
    """
    with resources.as_file(resources.files("edgeai.review") / "rules.toml") as own:
        table = read_toml(own)
    if path is not None:
        _put(table, _read(path), one_line(str(path)))
    said = table[language]
    return Rules(
        table["limits"],
        {name: tuple(word.casefold() for word in words) for name, words in table["words"].items()},
        tuple(table["model"]["kinds"]),
        table["model"]["max_remarks"],
        said["measured"],
        said["titles"],
        said["report"],
        {name: " ".join(text.split("\n")).strip() for name, text in said["model"].items()},
    )


def _read(path: Path) -> dict[str, Any]:
    shown = one_line(str(path))
    try:
        if path.exists() and not path.is_file():
            raise OptionError(f"{shown}: it is no regular file: expected rules in TOML, as in edgeai/review/rules.toml")
        return read_toml(path)
    except OSError as exc:
        raise OptionError(f"{shown}: {exc.strerror or exc}: expected rules in TOML; check the path") from exc
    except (ValueError, RecursionError) as exc:
        if isinstance(exc, OptionError):
            raise
        raise OptionError(f"{shown}: it is not TOML ({one_line(str(exc))}): mend it, or give another file") from exc


def _put(table: dict[str, Any], given: dict[str, Any], shown: str, above: str = "") -> None:
    """Put a user's values in the place of ours, each checked against the one that it replaces."""
    for key, value in given.items():
        name = f"{above}.{key}" if above else key
        if key not in table and not (above in _OPEN_TABLES and _KIND.fullmatch(key)):
            known = ", ".join(table)
            raise OptionError(
                f"{shown}: {one_line(name)[:80]} is unknown: expected {known if len(known) < 200 else 'a known key'}"
            )
        before = table.get(key, "")
        if isinstance(before, dict):
            if not isinstance(value, dict):
                raise OptionError(f"{shown}: {name} is no table: expected [{name}] with keys of its own")
            _put(before, value, shown, name)
            continue
        if problem := next(_problems(name, value, before), None):
            raise OptionError(f"{shown}: {name}: {problem}")
        table[key] = value


def _problems(name: str, value: object, before: object) -> Iterator[str]:
    """What is wrong with a value."""
    if isinstance(before, str):
        if not isinstance(value, str) or not value.strip() or len(value) > _MAX_CHARS:
            yield f"expected text of 1 to {_MAX_CHARS:,} characters in quotes"
            return
        known = set(_FIELD.findall(before))
        unknown = [field for field in _FIELD.findall(value) if field not in known]
        if unknown:
            some = ", ".join(f"{{{field}}}" for field in sorted(known)) or "no braces"
            yield f"{{{one_line(unknown[0])[:40]}}} is unknown: expected {some}"
    elif isinstance(before, list):
        if not isinstance(value, list) or len(value) > _MAX_ITEMS or not all(_is_word(word) for word in value):
            yield f"expected a list of at most {_MAX_ITEMS} texts in quotes"
        elif name == "model.kinds" and not (value and all(_KIND.fullmatch(word) for word in cast("list[str]", value))):
            yield 'expected names such as "unclear" or "off_topic": small letters, figures and _'
    else:
        low, high = _PLACES.get(name, (0, _MAX_NUMBER))
        is_whole = isinstance(before, int)
        if isinstance(value, bool) or not isinstance(value, int if is_whole else (int, float)):
            yield f"expected a {'whole number' if is_whole else 'number'}"
        elif not low <= value <= high:
            yield f"{value:g}: expected {low} to {high:,}"


def _is_word(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip()) and len(value) <= 100
