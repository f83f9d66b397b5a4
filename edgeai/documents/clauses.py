"""A text in clauses, each with what it denies and what stands behind its prepositions or before its particles."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field

from edgeai.documents.content_words import content_words
from edgeai.documents.quantities import with_plain_measures, without_kanji_numbers

_END = re.compile(
    r"(?<!\d)[.,:]|[.,:](?!\d)|[;!?()。、！？（）・•]|\n[ \t]*\n|\b(?:and|or|but|whereas|while|although|though|because|"
    r"if|when|unless|which|who|however|so)\b"
)
_NOT_DENIED = re.compile(
    r"\bnot only\b|\b(?:no|not) (?:more|less|fewer|later|longer|earlier) than\b|\bno\. ?\d"
    r"|(?:なければ|なくては|ないと)(?:なり|いけ|なら)(?:ません|ない)|(?:しか)[^、。]{0,20}?(?:ません|ない)|かもしれ(?:ません|ない)"
    r"|にすぎ(?:ません|ない)|(?:だけ|ばかり)で(?:は)?なく|のみならず|少な[いく]|間もなく"
)
_DENIES = re.compile(
    r"\b(?:not|no|never|nor|neither|cannot|without|unable|lack(?:s|ed|ing)?|fail(?:s|ed|ing)?|false|untrue|impossible|"
    r"unnecessary|forbidden|prohibited)\b|n['’]t\b"
)
_DENIES_JA = re.compile(r"ません|ない|なかった|なく|ずに|禁止|不可|不要")
_WEAK = frozenset(content_words("longer yet necessarily really usually currently directly simply"))
_MARKER = re.compile(
    r"\b(by|than|from|to|into|before|after|for|of|with|in|on|at|under|over|through|until|instead of|rather than)\b"
)
_MAX_DENIED = 3
_MAX_MARKED = 2
_GRAMMAR = re.compile("^[がはをにでとのもへや]|[がはをにでとのもへや]$")  # the rest of a pair counts alone
_RUN = "[\u3005\u3400-\u9fff]+|[\u30a1-\u30fa\u30fc]+|[a-z0-9]+"
_RUNS = re.compile(_RUN)
_BESIDE = re.compile(rf"({_RUN})(?:側|者|さん|様|氏)?(が|は|を|ばかり|だけ|のみ|に|から|まで|より|へ|で|の前|の後)")
_TOPIC_OR_OBJECT = {"は": "が", "ばかり": "を", "だけ": "を", "のみ": "を"}
_BEFORE_JA = re.compile(rf"({_RUN})[\u3041-\u309f]{{0,4}}(前|後)(?:に|は|で|、)")


@dataclass(slots=True)
class Clause:
    """What one part of a sentence says.

    Attributes:
        words: all of it.
        denied: those behind (in Japanese, before) a word that denies.
        heads: of the denied ones, those that are next to it.
    """

    words: set[str]
    denied: set[str] = field(default_factory=set)
    heads: set[str] = field(default_factory=set)

    @property
    def signed(self) -> set[str]:
        """The words, each denied one told from the same word that is not."""
        return {f"not {word}" if word in self.denied else word for word in self.words}


def meaning(text: str) -> frozenset[str]:
    """The words by which a statement, a source and a question are compared."""
    figures = without_kanji_numbers(text)
    if figures != text:  # a source and a statement may have either
        text = f"{text}\n{figures}"
    text = with_plain_measures(text)
    alone = (run for run in _RUNS.findall(text) if len(run) == 1 and not run.isascii())
    return frozenset((*alone, *(word for word in content_words(text) if not _GRAMMAR.search(word))))


def normal(text: str) -> str:
    """The text in one form of each character, in small letters."""
    return unicodedata.normalize("NFKC", text).lower()


def clauses(text: str) -> list[Clause]:
    """The clauses of a text."""
    return [clause for part in parts(text) if (clause := _clause(part)).words]


def parts(text: str) -> list[str]:
    """A text cut where clauses end."""
    return _END.split(_NOT_DENIED.sub(" ", normal(text)))


def roles(text: str) -> list[dict[str, str]]:
    """What each word stands behind (`by`, `than`, `before` …; nothing: ``), or, in Japanese, in front of (を, に …).

    Returns:
        For each clause, its words that stand behind one thing alone.
    """
    return [
        {word: next(iter(behind)) for word, behind in _roles(part).items() if len(behind) == 1} for part in parts(text)
    ]


def _clause(text: str) -> Clause:
    runs = (run for run in _RUNS.findall(text) if not run.isascii() or run.isdigit())
    clause = Clause({*meaning(text), *runs} - _WEAK)
    for match in _DENIES.finditer(text):
        behind = [word for word in content_words(text[match.end() :]) if word not in _WEAK]
        clause.denied.update(behind[:_MAX_DENIED])
        clause.heads.update(behind[:1])
    for match in _DENIES_JA.finditer(text):
        before = _RUNS.findall(text[: match.start()])
        clause.denied.update(before[-2:])
        clause.heads.update(before[-1:])
    return clause


def _roles(part: str) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    marker = ""
    for index, piece in enumerate(_MARKER.split(part)):
        if index % 2:
            marker = piece
            continue
        latin = [word for word in content_words(piece) if word.isascii()]
        for place, word in enumerate(latin):
            found.setdefault(word, set()).add(marker if place < _MAX_MARKED else "")
    for run, particle in _BESIDE.findall(part):
        found.setdefault(run, set()).add(_TOPIC_OR_OBJECT.get(particle, particle))
    for run, when in _BEFORE_JA.findall(part):
        found.setdefault(run, set()).add("before" if when == "前" else "after")
    return found
