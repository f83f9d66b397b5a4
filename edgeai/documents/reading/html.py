"""HTML: headings, paragraphs, lists, tables and code; scripts, styles and navigation are left out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from edgeai.documents.reading.encoding import decode
from edgeai.documents.reading.html_depth import shallow
from edgeai.documents.reading.html_table import table_rows
from edgeai.documents.reading.output import Output
from edgeai.documents.reading.sniff import Hints

if TYPE_CHECKING:
    from selectolax.lexbor import LexborNode

_LEFT_OUT = frozenset(
    (
        *(
            "script",
            "style",
            "noscript",
            "template",
            "svg",
            "nav",
            "iframe",
            "object",
            "embed",
            "canvas",
            "audio",
            "video",
        ),
        *("button", "select", "input", "textarea", "head", "dialog", "menu", "link", "meta", "map"),
    )
)
_LEFT_OUT_ROLES = frozenset(("navigation", "search", "menu", "menubar", "toolbar", "tablist"))
_INLINE = frozenset(
    (
        *("a", "abbr", "b", "bdi", "bdo", "big", "cite", "code", "data", "del", "dfn", "em", "font", "i", "ins", "kbd"),
        *("label", "mark", "q", "ruby", "rb", "s", "samp", "small", "span", "strike", "strong", "sub", "sup", "time"),
        *("tt", "u", "var", "wbr", "img", "picture", "source"),
    )
)
_RUBY_LEFT_OUT = frozenset(("rt", "rp", "rtc"))  # how kanji are read: it would stand in the middle of words
_CHARSET = re.compile(rb"<meta[^>]{0,300}?charset\s*=\s*[\"']?\s*([-\w.:]+)", re.I)
_XML_CHARSET = re.compile(rb"\s*<\?xml[^>]{0,200}?encoding=[\"']([-\w.]+)")
_SPACES = re.compile(r"[ \t\n\r\f]+")
_MAX_INDENT = 8


def read(data: bytes, out: Output, hints: Hints) -> None:
    """See `put_html`."""
    put_html(decode(data, declared_charset(data)), out)


def declared_charset(data: bytes) -> str | None:
    """The encoding that a page says it is in; what calls itself Shift_JIS is Windows' variant of it."""
    match = _XML_CHARSET.match(data[:1000]) or _CHARSET.search(data[:4096])
    if match is None:
        return None
    name = match[1].decode("ascii", "replace").lower()
    return {"shift_jis": "cp932", "x-sjis": "cp932", "shift-jis": "cp932", "iso-8859-1": "cp1252"}.get(name, name)


def put_html(text: str, out: Output) -> None:
    """Hand over a page's blocks; its title becomes the document's if that has none yet."""
    from selectolax.lexbor import LexborHTMLParser

    tree = LexborHTMLParser(shallow(text))
    title = tree.css_first("title")
    if title is not None and not out.title:
        out.title = " ".join(title.text().split())
    if tree.body is not None:
        _Walk(out).run(tree.body)


class _Walk:
    """Goes through the tree without recursion: pages may be nested deeper than calls."""

    def __init__(self, out: Output) -> None:
        self._out = out
        self._words: list[str] = []  # of the paragraph that is open
        self._lists: list[int] = []  # of the lists that are open: the next number, 0 for bullets
        self._n_nodes = 0

    def run(self, root: LexborNode) -> None:
        """Hand over what stands below a node."""
        node, end = root.child, root.mem_id
        while node is not None:
            self._n_nodes += 1
            if self._n_nodes % 1000 == 0:
                self._out.progress(0, 1)
            inner = node.child if self._enter(node) else None
            if inner is not None:
                node = inner
                continue
            self._leave(node)
            while node.next is None:
                node = node.parent
                if node is None or node.mem_id == end:
                    self._close()
                    return
                self._leave(node)
            node = node.next
        self._close()

    def _enter(self, node: LexborNode) -> bool:
        """Take what a node is by itself; whether to go into it."""
        tag = node.tag or ""
        if tag == "-text":
            self._words.append(_SPACES.sub(" ", node.text_content or ""))
            return False
        if tag.startswith(("-", "!")) or tag in _LEFT_OUT or tag in _RUBY_LEFT_OUT or _is_hidden(node):
            return False
        if tag == "br":
            self._words.append("\n")
        elif tag in _INLINE:
            return True
        else:
            return self._enter_block(node, tag)
        return False

    def _enter_block(self, node: LexborNode, tag: str) -> bool:
        if tag == "li" and self._lists:
            self._begin_item()
            return True
        if self._lists and tag in ("p", "div"):
            self._words.append(" " if "".join(self._words).endswith(("- ", ". ")) else "\n")
            return True
        if tag in ("ul", "ol"):
            if not self._lists:
                self._close()
            self._lists.append(1 if tag == "ol" else 0)
            return True
        self._close()
        if re.fullmatch("h[1-6]", tag):
            self._out.heading(int(tag[1]), node.text(separator=" "))
        elif tag == "pre":
            self._out.code(node.text())
        elif tag == "table":
            rows = table_rows(node)
            if rows is None:
                return True  # it only lays out the page
            self._out.table(rows)
        else:
            return True
        return False

    def _begin_item(self) -> None:
        number = self._lists[-1]
        mark = f"{number}. " if number else "- "
        self._lists[-1] += 1 if number else 0
        self._words += ["\n", "\0" * min(len(self._lists) - 1, _MAX_INDENT), mark]

    def _leave(self, node: LexborNode) -> None:
        tag = node.tag or ""
        if tag in ("ul", "ol") and self._lists:
            self._lists.pop()
            if self._lists:
                return
        if tag and tag[0] not in "-!" and tag not in _INLINE and not self._lists and tag != "br":
            self._close()

    def _close(self) -> None:
        """End the open paragraph. NUL stands for an indent, which other space does not survive."""
        if self._words:
            lines = (" ".join(line.split(" ")) for line in "".join(self._words).split("\n"))
            tidy = (re.sub(" +", " ", line).strip().replace("\0", "  ") for line in lines)
            self._out.text("\n".join(line for line in tidy if line.strip(" -")))
            self._words = []


def _is_hidden(node: LexborNode) -> bool:
    attributes = node.attributes
    if not attributes:
        return False
    return (
        "hidden" in attributes
        or attributes.get("aria-hidden") == "true"
        or (attributes.get("role") or "") in _LEFT_OUT_ROLES
        or "display:none" in (attributes.get("style") or "").replace(" ", "")
    )
