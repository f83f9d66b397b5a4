"""Whether two sentences with the same words say the same, as far as simple signs tell it.

A sentence that shares the words of a statement may say the contrary: by a `not`, another unit, `at most` for `at
least`, or by names that changed places. A citation would be false there. The signs are looked for one by one; where one
speaks against it, there is no citation, as a missing one costs less than a false one.
"""

from __future__ import annotations

import re
from itertools import combinations, pairwise

from edgeai.documents.bindings import Bindings
from edgeai.documents.clauses import Clause, clauses, normal, parts, roles
from edgeai.documents.content_words import content_words
from edgeai.documents.names import speaks_of_others
from edgeai.documents.quantities import measures

_AMOUNT = r"[$€£¥]?\d|(?:a|one|two|three|four|five|six|seven|eight|nine|ten|twelve|twenty|fifty|half)\b"
_OPPOSITES = [
    (re.compile(one), re.compile(other))
    for one, other in (
        (r"\bat least\b|\bno (?:less|fewer) than\b|\bnot (?:less|fewer) than\b|\bor more\b",
         r"\bat most\b|\b(?:no|not) more than\b|\bor (?:less|fewer)\b"),
        (r"(?<!no )(?<!not )\b(?:more|larger|greater|higher|longer|bigger|faster|later|above|exceed\w*)\b"
         rf"|\bover (?:{_AMOUNT})",
         r"(?<!no )(?<!not )\b(?:less|fewer|smaller|lower|shorter|slower|earlier|below)\b"
         rf"|\bunder (?:{_AMOUNT})"),
        (r"\b(?:minimum|minimal|least|lowest|smallest)\b", r"\b(?:maximum|maximal|most|highest|largest)\b"),
        (r"\b(?:safe|harmless)", r"\b(?:dangerous|hazardous|unsafe|harmful)"),
        (r"\b(?:rise|rises|rose|risen|grew|grown|gain)", r"\b(?:fall|falls|fell|fallen|shrank|drop)"),
        (r"\b(?:rarely|seldom)\b", r"\b(?:always|often)\b"),
        (r"\d ?(?:am|a\.m\.)", r"\d ?(?:pm|p\.m\.)"),
        (r"\b(?:anyone|everyone|everybody)\b", r"\b(?:nobody|no one)\b"),
        (r"\bbought|\bbuy", r"\bsold|\bsell"),
        (r"\bahead\b", r"\bbehind\b"),
        (r"\bfirst\b", r"\blast\b(?! (?:updated|changed|modified))"),
        (r"\bascending\b", r"\bdescending\b"),
        (r"\bany\b|\bregardless\b|\bwhether or not\b|\bno matter\b", r"\bonly\b|\blimited to\b"),
        (r"\balways\b", r"\bsometimes\b"),
        (r"\bincreas", r"\bdecreas|\breduc"),
        (r"\benabl", r"\bdisabl"),
        (r"\bopen", r"\bclos"),
        (r"\bleft\b", r"\bright\b"),
        (r"\bstart(?!\w* time)", r"\bstop"),
        (r"\b(?:turn|switch)\w* (?:\w+ ){0,3}on\b", r"\b(?:turn|switch)\w* (?:\w+ ){0,3}off\b"),
        (r"\ballow|\bpermit", r"\bforbid|\bprohibit"),
        (r"\bresolved?\b", r"\breject"),
        (r"以上|を?超え|を?越え|上回", r"以下|未満|下回"),
        (r"最大|最高|最も高|最も大|最も新|最長", r"最小|最低|最も低|最も小|最も古|最短"),
        (r"高い", r"低い"),
        (r"昇順", r"降順"),
        (r"増", r"減"),
        (r"開[けきくいか]", r"閉[じめま]"),
        (r"有効", r"無効"),
        (r"許可", r"禁止"),
        (r"\bseconds?\b", r"\bmilliseconds?\b"),
        (r"左", r"右"),
        (r"問わ[なずん]|かかわらず|関わらず|関係なく|だれでも|誰でも", r"のみ|だけ|に限[りるら]"),
        (r"整数", r"小数"),
    )
]  # fmt: skip
_COLOURS = re.compile(
    r"\b(?:red|orange|yellow|green|blue|violet|purple|brown|black|white|grey|gray)\b|[赤黄緑青紫茶黒白]色?"
)
_TIMES = ("before", "after")
_BY = re.compile(r"\bby\b")
_MAX_DOER_WORDS = 4
_WILL = re.compile(r"\b(?:will|shall)((?: \w+){1,3})")
_PAST = re.compile(
    r"(?<!\bis )(?<!\bare )(?<!\bbe )(?<!\bbeen )(?<!\bbeing )(?<!\bwas )(?<!\bwere )"
    r"\b(?:has |have |had )?(\w+[^\We]ed)\b"
)


class Said:
    """A statement, ready to be compared with sentences that share its words."""

    def __init__(self, statement: str) -> None:
        """`statement`: one sentence of an answer."""
        self._statement = statement
        self._text = normal(statement)
        self._clauses = clauses(statement)
        self._clause_numbers = [_numbers_of(clause) for clause in self._clauses]
        self._measures = measures(statement)
        self._roles = roles(statement)
        self._bindings = Bindings(statement)

    def agrees_with(self, source: str) -> bool:
        """False where a sign tells that a source says something else."""
        told = clauses(source)
        return (
            self._has_units_of(source)
            and set(_COLOURS.findall(self._text)) <= set(_COLOURS.findall(normal(source)))
            and not self._is_opposite_of(normal(source))
            and not self._denies(told)
            and not self._moves_numbers(told)
            and not self._swaps(roles(source))
            and not self._has_other_doer(normal(source))
            and not self._is_past_of(normal(source))
        )

    def stands_in(self, source: str, around: str) -> bool:
        """False where a source names others, pairs its words otherwise or has another word in the place of one.

        Args:
            source: what might support the statement.
            around: the text that it stands in.
        """
        told = Bindings(source)
        return not (
            speaks_of_others(self._statement, source, around)
            or self._bindings.pairs_otherwise(told)
            or self._bindings.exchanges(told, around)
        )

    def _has_units_of(self, source: str) -> bool:
        """A number with a unit stands there with the same one, or with none that is known."""
        told = measures(source)
        with_unit = {number for number, _ in told}
        return all(measure in told or measure[0] not in with_unit for measure in self._measures)

    def _is_opposite_of(self, source: str) -> bool:
        for one, other in _OPPOSITES:
            said = bool(one.search(self._text)), bool(other.search(self._text))
            told = bool(one.search(source)), bool(other.search(source))
            if (said, told) in (((True, False), (False, True)), ((False, True), (True, False))):
                return True
        return False

    def _denies(self, told: list[Clause]) -> bool:
        """A clause is held against the one with most of its words among those with the word that either denies."""
        denied = {head for clause in told for head in clause.heads}
        known = {word for clause in told for word in clause.words}
        for clause in self._clauses:
            heads = (clause.heads & known) or (clause.denied & known)
            for head in heads | (denied & clause.words):
                rivals = [other for other in told if head in other.words]
                most = max((len(clause.words & other.words) for other in rivals), default=0)
                best = [other for other in rivals if len(clause.words & other.words) == most]
                if best and not all(_is_denied_alike(clause, other, head) for other in best):
                    return True
        return False

    def _moves_numbers(self, told: list[Clause]) -> bool:
        """A number stands in a clause with other words than there, where these stand beside another number."""
        for clause, figures in zip(self._clauses, self._clause_numbers, strict=True):
            if not figures:
                continue
            with_it = [other for other in told if figures & _numbers_of(other)]
            rivals = [other for other in told if _numbers_of(other) and not figures & _numbers_of(other)]
            if with_it and max((_common(clause, other) for other in rivals), default=0) > max(
                _common(clause, other) for other in with_it
            ):
                return True
            if _are_paired_otherwise(figures, [_numbers_of(other) for other in with_it]):
                return True
        return False

    def _swaps(self, told: list[dict[str, str]]) -> bool:
        """Two words changed places (`A is larger than B`), or one stands before here and after there."""
        said, there = _joined(self._roles), _joined(told)
        moved = {word: (said[word], there[word]) for word in said.keys() & there.keys() if said[word] != there[word]}
        if any(one in _TIMES and other in _TIMES for one, other in moved.values()):
            return True
        beside = [moved.keys() & clause.keys() for clause in (*self._roles, *told)]
        return any(moved[one] == moved[other][::-1] for words in beside for one in words for other in words)

    def _has_other_doer(self, source: str) -> bool:
        """The same is done `by` something else."""
        told = _doers(source)
        return any(verb in told and not doers & told[verb] for verb, doers in _doers(self._text).items())

    def _is_past_of(self, source: str) -> bool:
        """What will happen is told as what happened; `was opened` is told from `opened` by what stands before it."""
        if _WILL.search(self._text):
            return False
        coming = {word for ahead in _WILL.findall(source) for word in content_words(ahead)[:1]}
        return any(word in coming for past in _PAST.findall(self._text) for word in content_words(past))


def _doers(text: str) -> dict[str, set[str]]:
    """For each word in front of a `by`, the words behind it."""
    found: dict[str, set[str]] = {}
    for part in parts(text):
        pieces = _BY.split(part)
        for before, behind in pairwise(pieces):
            if (verb := content_words(before)[-1:]) and (doers := content_words(behind)[:_MAX_DOER_WORDS]):
                found.setdefault(verb[0], set()).update(doers)
    return found


def _joined(clauses_roles: list[dict[str, str]]) -> dict[str, str]:
    """The words that have one role in all clauses."""
    found: dict[str, set[str]] = {}
    for clause in clauses_roles:
        for word, role in clause.items():
            found.setdefault(word, set()).add(role)
    return {word: next(iter(held)) for word, held in found.items() if len(held) == 1}


def _numbers_of(clause: Clause) -> frozenset[str]:
    return frozenset(word for word in clause.words if word.isdigit())


def _are_paired_otherwise(figures: frozenset[str], told: list[frozenset[str]]) -> bool:
    """Two numbers of a clause never stand in one there; each stands beside another number instead."""
    return any(
        not any({one, other} <= held for held in told)
        and all(held - figures for held in told if one in held or other in held)
        and any(one in held for held in told)
        and any(other in held for held in told)
        for one, other in combinations(sorted(figures), 2)
    )


def _common(clause: Clause, other: Clause) -> int:
    return len({word for word in clause.signed & other.signed if not word.isdigit()})


def _is_denied_alike(clause: Clause, other: Clause, head: str) -> bool:
    if head in clause.denied or head in other.denied:
        return bool(clause.denied & other.denied)
    return True
