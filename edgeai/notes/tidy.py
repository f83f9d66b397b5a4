"""A model's answer made fit for a Markdown file: no loops, no headings of its own, no half sentence at the end."""

from __future__ import annotations

import re

from edgeai.safe_text import plain

_MAX_PERIOD = 400  # characters: what is longer than this and comes again is bounded by max_tokens alone
_MIN_LOOPED = 60
_MIN_REPEATED = 20
_HEADING = re.compile(r"^[ \t]*#{1,6}[ \t]+(.*?)[ \t#]*$", re.MULTILINE)
_RULE = re.compile(r"^[ \t]*(?:-{3,}|={3,}|\*{3,}|_{3,})[ \t]*$", re.MULTILINE)
_ACTIVE = re.compile(r"!(?=\[)|<(?=[A-Za-z/!?])")
_FENCE = re.compile(r"<\s?/?\s?document\b[^>\n]*>?|</?(?:pre|code|p|br|div|span|b|i|ul|ol|li)\s?/?>", re.IGNORECASE)
_SENTENCE = re.compile(r"[.!?…][\"'”’)\]*_]*(?=\s|$)|[。！？][」』）”]*|\n")
_BULLET = re.compile(r"^\s*(?:[-*+•]|\d+[.)])\s+")
_BARE_BULLET = re.compile(r"\s*(?:[-*+•]|\d+[.)])\s*")
_BLANK_LINES = re.compile(r"\n[ \t]*\n\s*")


def loop_start(text: str) -> int | None:
    """Where the end of a text begins to repeat itself, behind the first time; None where it does not."""
    for period in range(1, min(_MAX_PERIOD, len(text) // 3) + 1):
        n_times = max(3, -(-_MIN_LOOPED // period))
        unit = text[-period:]
        if not text.endswith(unit * n_times):
            continue
        start = len(text) - period * n_times
        while start >= period and text[start - period : start] == unit:
            start -= period
        return start + period
    return None


def tidy(text: str, *, is_whole: bool) -> str:
    """The answer as it is written down.

    Args:
        text: what the model said; hostile, as it may repeat what a document told it to.
        is_whole: it ended by itself; else it is cut back to its last whole sentence.
    """
    text = plain(text)
    at = loop_start(text)
    if at is not None:
        text, is_whole = text[:at], False
    text = _RULE.sub("", _HEADING.sub(_bold, _FENCE.sub("", text)))
    # No picture that a reader fetches and no tag that a reader obeys.
    text = _ACTIVE.sub(lambda match: "" if match.group() == "!" else "\\<", text)
    text = _without_repetitions(text)
    text = _closed(text if is_whole else whole_sentences(text))
    return _BLANK_LINES.sub("\n\n", text).strip()


def whole_sentences(text: str) -> str:
    """A text up to the end of its last whole sentence; all of it, where there is none."""
    end = max((match.end() for match in _SENTENCE.finditer(text.rstrip())), default=0)
    return text[:end] if text[:end].strip() else text


def beginning(text: str, n_chars: int) -> str:
    """How a text begins, in whole sentences where that can be: what stands where the model says nothing."""
    text = " ".join(plain(text).split())
    if len(text) <= n_chars:
        return text
    cut = text[:n_chars]
    sentences = whole_sentences(cut)
    return sentences if sentences != cut else f"{cut.rsplit(' ', 1)[0]} …"


def _bold(match: re.Match[str]) -> str:
    words = match.group(1).strip().strip("*").strip()
    return f"**{words}**" if words else ""


def _without_repetitions(text: str) -> str:
    """Small models write the same item or sentence again and again, with others between."""
    seen: set[str] = set()
    kept, start = "", 0
    ends = [match.end() for match in _SENTENCE.finditer(text)]
    for end in (*ends, len(text)):
        sentence, start = text[start:end], end
        key = " ".join(_BULLET.sub("", sentence).lower().split())
        if len(key) <= _MIN_REPEATED or key not in seen:
            kept += sentence
        elif sentence.endswith("\n"):
            kept += "\n"
        seen.add(key)
    return "\n".join(line.rstrip() for line in kept.split("\n") if not _BARE_BULLET.fullmatch(line))


def _closed(text: str) -> str:
    """A fence that was opened is closed, so that what follows in the file is no code."""
    n_fences = sum(line.lstrip().startswith("```") for line in text.split("\n"))
    return f"{text.rstrip()}\n```" if n_fences % 2 else text
