"""HTML nested no deeper than is read quickly: for each tag, parsers look through all elements that are open."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

_MAX_DEPTH = 1000  # browsers stop at 512 (Blink's kMaximumHTMLParserDOMTreeDepth)
_VOID = "area base br col embed hr img input link meta param source track wbr"
_CLOSED_BY_OTHERS = (  # one of these ends the one before it, or the paragraph that it is in: they are left open at will
    "a b big button code em font h1 h2 h3 h4 h5 h6 i nobr s small strike strong tt u "
    "body colgroup dd dt head html li optgroup option p rb rp rt rtc tbody td tfoot th thead tr"
)
_RAW = frozenset(("script", "style", "textarea", "title", "xmp", "iframe", "noembed", "noframes"))  # no tags in them
_NOT_COUNTED = frozenset(f"{_VOID} {_CLOSED_BY_OTHERS}".split()) | _RAW
_START = re.compile(r"""<(?:(!--)|(/?)([a-zA-Z][^\s/>]*)[^"'>]*)""")
_QUOTE_OR_END = re.compile("[\"'>]")


def shallow(text: str) -> str:
    """The page, without the tags of elements that are nested deeper than any person nests; all text stays."""
    if text.count("<") <= _MAX_DEPTH:
        return text
    kept, at = list[str](), 0
    for start, end in _too_deep(text):
        kept.append(text[at:start])
        at = end
    return "".join((*kept, text[at:])) if kept else text


def _too_deep(text: str) -> Iterator[tuple[int, int]]:
    """Where the tags stand that open and close what is too deep."""
    is_open, left_out, depth = Counter[str](), Counter[str](), 0
    for start, end, name, closes in _tags(text):
        if name in _NOT_COUNTED or (text[end - 2] == "/" and (is_open["svg"] or is_open["math"])):
            continue
        if not closes and depth >= _MAX_DEPTH:
            left_out[name] += 1
            yield start, end
        elif not closes:
            is_open[name] += 1
            depth += 1
        elif left_out[name]:
            left_out[name] -= 1
            yield start, end
        elif is_open[name]:
            is_open[name] -= 1
            depth -= 1


def _tags(text: str) -> Iterator[tuple[int, int, str, bool]]:
    """Each tag's start, end, name and whether it closes; it never goes back, so that any text is scanned in one go."""
    at = 0
    while found := _START.search(text, at):
        if found[1]:
            at = _after(text, "-->", found.end() - 2)
            continue
        name = found[3].lower()
        at = _tag_end(text, found.end())
        if at < 0:
            return
        yield found.start(), at, name, bool(found[2])
        if name in _RAW and not found[2]:
            closing = re.compile(f"</{name}", re.IGNORECASE).search(text, at)
            at = closing.start() if closing else len(text)


def _tag_end(text: str, at: int) -> int:
    """Behind the `>` that ends a tag, -1 without one; one in quotes ends none."""
    while found := _QUOTE_OR_END.search(text, at):
        if found[0] == ">":
            return found.end()
        at = text.find(found[0], found.end()) + 1
        if not at:
            break
    return -1


def _after(text: str, what: str, start: int) -> int:
    found = text.find(what, start)
    return len(text) if found < 0 else found + len(what)
