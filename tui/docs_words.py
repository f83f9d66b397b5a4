"""Names, counts and spans of time as the commands for documents write them."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path


def counted(n: int, what: str) -> str:
    """`1 page`, `2 pages`."""
    return f"{n:,} {what}" + ("" if n == 1 else "s")


def span_text(seconds: float) -> str:
    """`0.4 s`, `12 s`, `3 min 5 s`, `2 h 4 min`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def shown_path(path: Path) -> str:
    """A path as it can be typed here: below the current folder without it, below the user's with `~`."""
    name = str(path)
    for folder, instead in ((_here(), ""), (str(Path.home()), f"~{os.sep}")):
        inside = folder.rstrip(os.sep) + os.sep
        if len(inside) > 1 and name.startswith(inside):
            return instead + name[len(inside) :]
    return name


def local_time(iso: str) -> str:
    """A stored time as a person reads it."""
    try:
        return datetime.fromisoformat(iso).astimezone().strftime("%Y-%m-%d %H:%M")
    except (ValueError, OSError, OverflowError):  # a library may be damaged
        return "?"


def _here() -> str:
    try:
        return str(Path.cwd())
    except OSError:  # it was removed
        return ""
