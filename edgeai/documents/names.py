"""Names in a statement: a sentence that shares all other words is no evidence, where it speaks of someone else."""

from __future__ import annotations

import re
import unicodedata

# Behind a small letter or a comma, as every sentence begins with a capital.
_NAME = re.compile(r"(?<=[^\W\d_A-Z] )[A-Z][^\W\d_]+|(?<=[\d,;] )[A-Z][^\W\d_]+")
_WORD = re.compile(r"(?<=[^\W_A-Z] )[^\W\d_]+")
_CODE = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{1,12}-?\d[A-Za-z0-9-]{0,20}")
_JOINT = re.compile(r"[\s-]+")
_SUBJECT = re.compile("([\u30a1-\u30fa\u30fc]{2,})(?:さん|氏|社|国|州|市|王|人)?[はがも]")
_MOST_CAPITALS = 0.25
"""Where more of the words begin with one, the language writes all nouns so (German), or the text is a title."""
_N_SAME = 4
"""`Rwandan` and `Rwanda` begin alike. A shorter name (`US`) may be short for others."""


def names(text: str) -> frozenset[str]:
    """The words that are names by their capital, in small letters."""
    return frozenset(name.lower() for name in _NAME.findall(text))


def speaks_of_others(statement: str, source: str, around: str) -> bool:
    """Whether a statement names what a source does not.

    Args:
        statement: one sentence.
        source: what might support it.
        around: the text that it stands in, with what stands above it; what it speaks of may be named there alone.
    """
    statement, around = _normal(statement), _normal(around)
    if any(_plain(code) not in _plain(_normal(source)) for code in _CODE.findall(statement)):
        return True
    known = around.lower()
    if any(name[:_N_SAME] not in known for name in _SUBJECT.findall(statement)):
        return True
    unknown = any(len(name) >= _N_SAME and name[:_N_SAME] not in known for name in names(statement))
    return unknown and len(_NAME.findall(around)) <= _MOST_CAPITALS * len(_WORD.findall(around))


def _normal(text: str) -> str:
    return unicodedata.normalize("NFKC", text)


def _plain(text: str) -> str:
    return _JOINT.sub("", text.lower())
