"""One line of short notes above the prompt, as many as fit."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

BETWEEN = "   "
MAX_NAME = 36  # cells; what follows it matters more than its end


class ChipBar(Widget):
    """It is not there without chips. What does not fit is counted at its end."""

    DEFAULT_CSS = """
    ChipBar {
        display: none;
        height: 1;
        padding: 0 2;
        background: $surface;
    }
    """
    SEE_ALL = ""
    """Said behind the number of those that do not fit: how all are seen."""

    chips: reactive[tuple[Content, ...]] = reactive(())

    def watch_chips(self, chips: tuple[Content, ...]) -> None:
        """There is a line where there is something in it."""
        self.display = bool(chips)

    def render(self) -> Content:
        """The chips that fit, and the number of the others."""
        width, chips = self.content_size.width, self.chips
        if not chips:
            return Content("")
        n_shown = self._n_fitting([chip.cell_length for chip in chips], width)
        more = Content.styled(self._more(len(chips) - n_shown), "$text-muted")
        return (Content(BETWEEN).join(chips[:n_shown]) + more).truncate(width, ellipsis=True)

    def _n_fitting(self, lengths: Sequence[int], width: int) -> int:
        """How many chips fit beside the number of the others; one is shown whatever its length."""
        n_fitting, end = 1, 0
        for n_shown, length in enumerate(lengths, 1):
            end += length
            if end + len(self._more(len(lengths) - n_shown)) <= width:
                n_fitting = n_shown
            end += len(BETWEEN)
        return n_fitting

    def _more(self, n_left: int) -> str:
        return f"{BETWEEN}+{n_left} {self.SEE_ALL}".rstrip() if n_left else ""
