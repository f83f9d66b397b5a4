"""The status line: the model, what it is doing, how full its context is, the memory in use."""

from __future__ import annotations

from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from edgeai.safe_text import one_line

_BAR_CELLS = 10


class StatusBar(Widget):
    """One line. Whatever does not fit is left out, the least important first."""

    DEFAULT_CSS = """
    StatusBar {
        height: 1;
        padding: 0 1;
        background: $panel;
        color: $text-muted;
    }
    """

    model_name: reactive[str] = reactive("")
    activity: reactive[str] = reactive("")
    is_busy: reactive[bool] = reactive(False)
    context_used: reactive[int] = reactive(0)
    n_ctx: reactive[int] = reactive(0)
    memory_bytes: reactive[int] = reactive(0)

    def render(self) -> Content:
        """The parts that fit, the memory at the right end."""
        width = self.content_size.width
        left = Content.styled(one_line(self.model_name) or "no model", "bold $text")
        activity = Content.styled(f"  {self.activity}", "$text-accent" if self.is_busy else "")
        bar, context = self._fullness()
        memory = Content(f"  {self.memory_bytes / 1e6:,.0f} MB" if self.memory_bytes else "")
        for right in (bar + context + memory, bar + context, context, Content("")):
            if left.cell_length + activity.cell_length + right.cell_length <= width:
                gap = width - left.cell_length - activity.cell_length - right.cell_length
                return left + activity + Content(" " * gap) + right
        return (left + activity).truncate(width, ellipsis=True)

    def _fullness(self) -> tuple[Content, Content]:
        """A bar, and the numbers."""
        if not self.n_ctx:
            return Content(""), Content("")
        share = min(1.0, self.context_used / self.n_ctx)
        n_full = round(share * _BAR_CELLS)
        style = "$text-error" if share > 0.9 else "$text-warning" if share > 0.7 else "$text-accent"
        bar = Content.assemble("  ", ("━" * n_full, style), ("━" * (_BAR_CELLS - n_full), "$foreground 20%"))
        return bar, Content(f"  {self.context_used:,}/{self.n_ctx:,}")
