"""Writing into a library after whoever writes into it now."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import TypeVar

from edgeai.documents import library_lock
from edgeai.documents.library_lock import LibraryBusyError
from tui.docs_ctrl_c import CtrlC
from tui.output import message
from tui.progress_line import ProgressLine

_T = TypeVar("_T")


def when_free(
    folder: Path, work: Callable[[], _T], line: ProgressLine | None = None, ctrl_c: CtrlC | None = None
) -> _T:
    """Do work that writes into a library; while another process writes, a line says so, and it begins anew after it.

    Args:
        folder: the library's.
        work: begins with what raises LibraryBusyError, and is whole when it is begun anew.
        line: makes way for the line.
        ctrl_c: may end the wait; without it, Ctrl-C does so by itself.
    """
    is_told = False
    while True:
        try:
            return work()
        except LibraryBusyError:
            if line is not None:
                line.clear()
            if not is_told:
                what = f"another process is writing into library {folder.name}: this begins when it has ended"
                message("waiting", f"{what} (Ctrl-C ends the wait)", "cyan")
                is_told = True
        with ctrl_c.interruptible() if ctrl_c else nullcontext():
            library_lock.wait_until_free(folder)
