"""One row in full: how likely each label is, the whole text, and what else the row has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from edgeai.safe_text import one_line
from tui.classify_layout import Layout
from tui.rows import tidy

_MOST_CHARS = 200_000
_MOST_LABELS = 40
_BAR_CELLS = 8
_NAME_CELLS = 13
_PARTS = " ▏▎▍▌▋▊▉█"


class ResultItem(VerticalScroll):
    """Shows one row; empty without one."""

    DEFAULT_CSS = """
    ResultItem {
        background: $surface;
        padding: 0 1;
        scrollbar-size-vertical: 1;
        & #shares { width: auto; height: auto; }
        & #whole { width: 1fr; height: auto; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "scroll_up", "Up", show=False),
        Binding("down,j", "scroll_down", "Down", show=False),
    ]

    def __init__(self, layout: Layout) -> None:
        super().__init__()
        self._layout = layout

    def compose(self) -> ComposeResult:
        yield Static(id="shares", markup=False)
        yield Static(id="whole", markup=False)

    def show(self, row: Mapping[str, Any] | None, was: Sequence[str] | None = None) -> None:
        """Show a row, and which labels it had before a person corrected it."""
        shares, whole = self.query_one("#shares", Static), self.query_one("#whole", Static)
        if row is None:
            shares.update("")
            whole.update(Content.styled("No row.", "$text-muted"))
            return
        shares.update(Content("\n").join(self._shares(row)))
        whole.update(Content("\n").join(self._whole(row, was)))
        self.scroll_home(animate=False)

    def _shares(self, row: Mapping[str, Any]) -> Iterator[Content]:
        chosen = self._layout.labels_of(row[self._layout.label])
        pairs = list(zip(self._layout.labels, self._layout.shares, strict=True))
        for number, (label, column) in enumerate(pairs[:_MOST_LABELS], 1):
            share = row[column]
            name = Content(one_line(label)).truncate(_NAME_CELLS, ellipsis=True, pad=True)
            style = "bold $text-accent" if label in chosen else ""
            key = (f"{number if number < 10 else ' '} ", "$text-muted")
            bar = (_bar(share or 0.0), "$primary")
            percent = "   –" if share is None else f"{share:4.0%}"
            yield Content.assemble(key, name.stylize(style) if style else name, " ", bar, f" {percent}")
        if len(pairs) > _MOST_LABELS:
            yield Content.styled(f"  … {len(pairs) - _MOST_LABELS:,} more", "$text-muted")

    def _whole(self, row: Mapping[str, Any], was: Sequence[str] | None) -> Iterator[Content]:
        if was is not None:
            yield Content.styled(
                f"corrected; it was {', '.join(map(one_line, was)) or 'without a label'}", "$text-accent"
            )
        if self._layout.error and row[self._layout.error]:
            yield Content.styled(one_line(str(row[self._layout.error])), "$text-error")
        text = "" if row[self._layout.text] is None else str(row[self._layout.text])
        yield Content(tidy(text[:_MOST_CHARS]))
        if len(text) > _MOST_CHARS:
            yield Content.styled(f"… {len(text) - _MOST_CHARS:,} characters more", "$text-muted")
        for name in self._layout.others:
            if row[name] is not None:
                value = tidy(str(row[name])[:_MOST_CHARS])
                yield Content.assemble((f"{one_line(name)[:60]}: ", "$text-muted"), value)


def _bar(share: float) -> str:
    n_eighths = round(_BAR_CELLS * 8 * max(0.0, min(1.0, share)))
    whole, part = divmod(n_eighths, 8)
    return ("█" * whole + (_PARTS[part] if part else "")).ljust(_BAR_CELLS)
