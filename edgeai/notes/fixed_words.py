"""What notes say by themselves, in the language that they are written in."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice


@dataclass(frozen=True, slots=True)
class FixedWords:
    """Words that no model writes.

    Attributes:
        unfinished: ends what is not whole yet; Markdown.
        nothing_found: stands where nothing was found.
        sources: before the places of checked statements.
        unchecked: before places where no statement could be checked.
        in_short: over what is said of a whole.
        part: over a part without a heading; {number} of {n_parts}.
        piece: over the summary of a piece, among those that one is made of; {number}.
        span: over the summary of several, {first} to {last} by their headings.
        summary_of: the title over {n} documents.
    """

    unfinished: str
    nothing_found: str
    sources: str
    unchecked: str
    in_short: str
    part: str
    piece: str
    span: str
    summary_of: str


ENGLISH = FixedWords(
    unfinished="*Unfinished: the rest is still to be written.*",
    nothing_found="The documents say nothing about this.",
    sources="Sources:",
    unchecked="Written from these, with no statement that stands there as such:",
    in_short="In short",
    part="Part {number} of {n_parts}",
    piece="Part {number}",
    span="{first} to {last}",
    summary_of="Summary of {n} documents",
)
JAPANESE = FixedWords(
    unfinished="*未完成：続きはこれから書かれます。*",
    nothing_found="これについての記述は、文書の中に見つかりませんでした。",
    sources="出典：",
    unchecked="次の箇所をもとに書きましたが、そのままの記述は確認できません：",
    in_short="要点",
    part="第{number}部（全{n_parts}部）",
    piece="第{number}部",
    span="{first}～{last}",
    summary_of="{n}件の文書の要約",
)

_NAMES = re.compile(r"\s*(?:ja\b|jpn?\b|japan|日本語|にほんご)", re.IGNORECASE)
_KANA = re.compile("[\u3041-\u30ff]")
_MOST_TEXTS = 2000
_MOST_CHARS = 500  # of each
_LEAST_SHARE = 0.2  # of all letters; texts in Japanese have about half of them in kana, those about Japan few


def fixed_words(language: str | None, texts: Iterable[str]) -> FixedWords:
    """The words for notes.

    Args:
        language: as the user calls it; None where nothing was asked for.
        texts: what the notes are about; their language is that of the notes then.
    """
    if language is not None:
        return JAPANESE if _NAMES.match(language) else ENGLISH
    sample = "".join(text[:_MOST_CHARS] for text in islice(texts, _MOST_TEXTS))
    n_letters = sum(map(str.isalpha, sample))
    return JAPANESE if len(_KANA.findall(sample)) > _LEAST_SHARE * n_letters else ENGLISH
