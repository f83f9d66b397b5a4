"""Paths as options and arguments take them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click


class _Path(click.Path):
    """An empty path is what an unset variable of a script leaves (`--doc "$MANUAL"`), not the folder one is in."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "":
            self.fail("'' is no path: expected a file, a folder or a glob ('.' is the folder you are in)", param, ctx)
        return super().convert(value, param, ctx)


DOCUMENT_PATH = _Path(path_type=Path)
"""A document, a folder of documents or a glob."""
