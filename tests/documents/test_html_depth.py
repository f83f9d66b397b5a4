"""Pages that are nested too deep lose tags, and no text."""

from __future__ import annotations

import random

import pytest
from selectolax.lexbor import LexborHTMLParser

from edgeai.documents.reading import html_depth
from edgeai.documents.reading.html_depth import shallow

WORDS = (
    "one",
    "two",
    "three",
    "<!-- <div> -->",
    "<script>'<div>'</script>",
    "<br>",
    '<img alt="<div>">',
    "<p>",
    "<li>",
)


def page(rng: random.Random, n: int) -> str:
    """Elements opened and closed at random, about as deep as `n` is large."""
    made, is_open = list[str](), list[str]()
    for _ in range(n):
        if is_open and rng.random() < 0.4:
            made.append(f"</{is_open.pop()}>")
        else:
            is_open.append(rng.choice(("div", "section", "SPAN", "blockquote")))
            made.append(f"<{is_open[-1]} title='a > b'>")
        made.append(rng.choice(WORDS))
    return "".join((*made, *(f"</{name}>" for name in reversed(is_open))))


def text_of(html: str) -> str:
    body = LexborHTMLParser(html).body
    assert body
    return body.text()


def depth_of(html: str) -> int:
    node, deepest, depth = LexborHTMLParser(html).root, 0, 0
    while node is not None:
        deepest = max(deepest, depth)
        if node.child is not None:
            node, depth = node.child, depth + 1
            continue
        while node is not None and node.next is None:
            node, depth = node.parent, depth - 1
        node = node.next if node is not None else None
    return deepest


@pytest.mark.parametrize("seed", range(20))
def test_text_stays_and_depth_does_not(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(html_depth, "_MAX_DEPTH", 10)
    html = page(random.Random(seed), 300)
    cut = shallow(html)
    assert text_of(cut) == text_of(html)
    assert depth_of(cut) <= 3 * 10 + 5, "an <li> and a <p> may stand in each of the ten"
    assert depth_of(html) > depth_of(cut)


def test_pages_as_people_write_them_stay_as_they_are() -> None:
    rows = "".join(
        f"<div><p>{n}<p>again<li><a name={n}><font size=2>{n}<b>{n}<h2>{n}<br><hr>" + "</div>" for n in range(3000)
    )
    for html in (
        rows,
        "<svg>" + "<path d='M1'/>" * 5000 + "</svg>",
        "<table>" + "<tr><td>1<td>2" * 5000,
        "a < b" * 5000,
    ):
        assert shallow(html) == html


@pytest.mark.parametrize(
    "piece",
    ["<!--", '<a "', "<a '\"", "<script>", "<", "<a", "<textarea><", "<title></title ", "<div>", "</div>", "<x/>"],
)
def test_any_text_is_scanned_to_its_end(piece: str) -> None:
    """A scan that went back would never end here."""
    assert len(shallow(piece * 200_000)) <= len(piece) * 200_000
