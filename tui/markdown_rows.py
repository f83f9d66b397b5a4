"""The tokens of a Markdown parser as rows of styled text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from markdown_it.token import Token
from textual.content import Content, Span
from textual.highlight import highlight

from tui.rows import EMPTY, Flexible, Row, tidy
from tui.tables import Table

MAX_NESTING = 20
"""How deep the parser follows lists and quotations."""

_MAX_HIGHLIGHT = 20_000
_BULLETS = "•◦▪"
_QUOTE = Content.styled("▎ ", ".md-quote-bar")
_CODE_EDGE = Content(" ")
_INLINE_STYLES = {"em": "italic", "strong": "bold", "s": "strike"}


@dataclass(slots=True)
class Document:
    """What a text in Markdown shows.

    Attributes:
        rows: what is drawn.
        code: the source of its code blocks, in order.
    """

    rows: list[Row | Flexible] = field(default_factory=list)
    code: list[str] = field(default_factory=list)

    def extend(self, other: Document) -> None:
        """Add another document below this one."""
        self.rows += other.rows
        self.code += other.code


class RowBuilder:
    """Walks the tokens of one source and collects its rows."""

    def __init__(self, source: str, *, highlighted: bool = True) -> None:
        self._lines = source.split("\n")
        self._document = Document()
        self._highlighted = highlighted
        self._n_quotes = 0
        self._lists: list[int | None] = []  # next number, or None for bullets
        self._bullet = ""
        self._hangs: list[int] = []
        self._style = ""
        self._table: list[list[Content]] | None = None

    def build(self, tokens: list[Token]) -> Document:
        """The document of the source's tokens."""
        for group in _top_level(tokens):
            if max(token.level for token in group) >= MAX_NESTING - 1:
                self._as_written(group[0])
                continue
            for token in group:
                handler = getattr(self, f"_on_{token.type}", None)
                if handler is not None:
                    handler(token)
        return self._document

    def _as_written(self, token: Token) -> None:
        """A block that nests deeper than the parser follows: it would leave out what is inside."""
        first, last = token.map or (0, 0)
        self._document.rows += [Row(Content(line)) for line in self._lines[first:last]]
        self._blank()

    # --- blocks ---

    def _on_heading_open(self, token: Token) -> None:
        self._style = f".md-{token.tag}"

    def _on_heading_close(self, token: Token) -> None:
        self._style = ""
        self._blank()

    def _on_paragraph_close(self, token: Token) -> None:
        if not token.hidden:
            self._blank()

    def _on_blockquote_open(self, token: Token) -> None:
        self._n_quotes += 1

    def _on_blockquote_close(self, token: Token) -> None:
        self._unblank()
        self._n_quotes -= 1
        self._blank()

    def _on_bullet_list_open(self, token: Token) -> None:
        self._lists.append(None)

    def _on_ordered_list_open(self, token: Token) -> None:
        start = token.attrGet("start")
        self._lists.append(1 if start is None else int(start))

    def _on_list_close(self, token: Token) -> None:
        self._lists.pop()
        if not self._lists:
            self._blank()

    _on_bullet_list_close = _on_ordered_list_close = _on_list_close

    def _on_list_item_open(self, token: Token) -> None:
        number = self._lists[-1]
        if number is None:
            self._bullet = _BULLETS[min(len(self._lists), len(_BULLETS)) - 1] + " "
        else:
            self._bullet = f"{number}. "
            self._lists[-1] = number + 1
        self._hangs.append(len(self._bullet))

    def _on_list_item_close(self, token: Token) -> None:
        if self._bullet:  # an item without any text
            self._add(EMPTY)
        self._hangs.pop()

    def _on_hr(self, token: Token) -> None:
        self._document.rows += [Row(Content.styled("─" * 24, ".md-dim"), self._left())]
        self._blank()

    def _on_fence(self, token: Token) -> None:
        self._code(token.content, (_decoded(token.info).split() or [""])[0])

    def _on_code_block(self, token: Token) -> None:
        self._code(token.content, "")

    def _code(self, code: str, language: str) -> None:
        code = code.removesuffix("\n")
        self._document.code.append(code)
        if self._bullet:
            self._add(EMPTY)
        left = self._left() + Content(" " * sum(self._hangs)) + _CODE_EDGE
        content = _highlight(code, language) if self._highlighted else Content(code)
        if language:
            label = Content.styled(f"{language[:24]} ", ".md-code-label")
            self._document.rows.append(Row(EMPTY, left + label, fill=".md-code"))
        lines = content.split("\n", allow_blank=True)
        self._document.rows += [Row(line, left, fill=".md-code", fold=True) for line in lines]
        self._blank()

    # --- tables ---

    def _on_table_open(self, token: Token) -> None:
        self._table = []

    def _on_tr_open(self, token: Token) -> None:
        if self._table is not None:
            self._table.append([])

    def _on_th_open(self, token: Token) -> None:
        self._style = "bold"

    def _on_th_close(self, token: Token) -> None:
        self._style = ""

    def _on_table_close(self, token: Token) -> None:
        left = self._left() + Content(" " * sum(self._hangs))
        self._document.rows.append(Table(self._table or [], left))
        self._table = None
        self._blank()

    # --- text ---

    def _on_inline(self, token: Token) -> None:
        content = _inline(token.children or [])
        if self._style:
            content = content.stylize_before(self._style)
        if self._table is not None:
            self._table[-1].append(content)
            return
        for line in content.split("\n", allow_blank=True):
            self._add(line)

    def _add(self, content: Content) -> None:
        """A row of text at the present depth, with the bullet where one is due."""
        hang = sum(self._hangs)
        bullet, self._bullet = self._bullet, ""
        indent = Content(" " * (hang - len(bullet))) + Content.styled(bullet, ".md-bullet")
        self._document.rows.append(Row(indent + content, self._left(), hang))

    def _left(self) -> Content:
        return EMPTY.join([_QUOTE] * self._n_quotes) if self._n_quotes else EMPTY

    def _blank(self) -> None:
        rows = self._document.rows
        if rows and not _is_blank(rows[-1]):
            rows.append(Row(EMPTY, self._left()))

    def _unblank(self) -> None:
        rows = self._document.rows
        if rows and _is_blank(rows[-1]):
            rows.pop()


def _top_level(tokens: list[Token]) -> Iterator[list[Token]]:
    """The tokens of each block that stands in no other."""
    group: list[Token] = []
    for token in tokens:
        group.append(token)
        if token.level == 0 and token.nesting <= 0:
            yield group
            group = []


def _is_blank(row: Row | Flexible) -> bool:
    return isinstance(row, Row) and not row.content and not row.fill


def _inline(children: list[Token]) -> Content:
    """The text of a paragraph, its line ends kept: a model that starts a new line means one."""
    texts: list[str] = []
    spans: list[Span] = []
    opened: list[tuple[int, int, str]] = []
    position = 0

    def add(text: str) -> int:
        nonlocal position
        start = position
        texts.append(text)
        position += len(text)
        return start

    for child in children:
        kind = child.type.removesuffix("_open").removesuffix("_close")
        if child.nesting > 0:
            opened.append((position, len(texts), str(child.attrGet("href") or "")))
        elif child.nesting < 0:
            start, n_texts, href = opened.pop()
            spans.append(Span(start, position, _INLINE_STYLES.get(kind, ".md-link")))
            if href and href != "".join(texts[n_texts:]):
                add(_decoded(f" ({href})"))
        elif child.type in ("softbreak", "hardbreak"):
            add("\n")
        elif child.type == "code_inline":
            start = add(child.content)
            spans.append(Span(start, position, ".md-code-inline"))
        elif child.type == "image":
            add(_decoded(f"[{child.content}]({child.attrGet('src') or ''})"))
        else:
            add(_decoded(child.content))
    return Content("".join(texts), spans)


def _decoded(text: str) -> str:
    """A text in which the parser has decoded entities: `&#27;` is an escape character again."""
    return tidy(text).replace("\n", " ")


@lru_cache(maxsize=64)
def _highlight(code: str, language: str) -> Content:
    if not language or len(code) > _MAX_HIGHLIGHT:
        return Content(code)
    return highlight(code, language=language)
