"""Tables of HTML, as rows of text."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from selectolax.lexbor import LexborNode

_MAX_SPAN = 50


def table_rows(table: LexborNode) -> list[list[str]] | None:
    """A table's rows; None if it only lays out a page: with a table, a heading or a single cell in it."""
    if table.css_first("table table, table h1, table h2, table h3, table pre") is not None:
        return None
    rows = [_cells(row) for row in table.css("tr")]
    rows = [row for row in rows if any(row)]
    if not rows or max(map(len, rows)) < 2:
        return None
    return rows


def _cells(row: LexborNode) -> list[str]:
    cells: list[str] = []
    cell = row.child
    while cell is not None:
        if cell.tag in ("td", "th"):
            cells.append(" ".join(cell.text(separator=" ").split()))
            span = (cell.attributes.get("colspan") or "").strip()
            if span.isascii() and span.isdigit():
                cells += [""] * (min(int(span[:4]), _MAX_SPAN) - 1)
        cell = cell.next
    return cells
