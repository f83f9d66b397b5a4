"""The last line: the keys that do something now."""

from __future__ import annotations

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.widgets import Footer
from textual.widgets._footer import FooterKey

_SPARED = (  # those that go first stand first
    *("settings", "toggle_list", "pick_model", "add_picture", "add_document", "new_chat", "walk", "help"),
    *("block('export')", "block('copy_code')", "block('regenerate')", "block('edit')"),
)


class Keys(Footer):
    """A footer that leaves out what can be spared where there is no room, not whatever stands last.

    All keys are in the help, and most of what is left out is in the command palette too.
    """

    def compose(self) -> ComposeResult:
        """As many as fit."""
        keys = [key for key in super().compose() if isinstance(key, FooterKey)]
        for action in _SPARED:
            if sum(map(_n_cells, keys)) - 1 <= self.app.size.width:
                break
            keys = [key for key in keys if key.action != action]
        yield from keys


def _n_cells(key: FooterKey) -> int:
    """With the blanks before its description and behind it."""
    return cell_len(key.key_display) + cell_len(key.description) + 2
