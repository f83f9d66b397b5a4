"""An answer printed as it is made: harmless text, ended by exactly one newline."""

from __future__ import annotations

import sys
from collections.abc import Callable

from edgeai import EdgeAIError, Response
from edgeai.safe_text import plain
from tui.progress_line import ProgressLine


def print_answer(response: Response, line: ProgressLine, on_piece: Callable[[], None] = lambda: None) -> bool:
    """Print an answer to stdout, each piece at once. Ctrl-C ends the answer; what was made of it stays.

    Args:
        response: the answer.
        line: taken away before the first text.
        on_piece: called after each piece.
    Returns:
        Whether it was made to its end.
    Raises:
        GenerationError: the engine failed; the text so far is printed.
    """
    writer = _Writer()
    has_failed = False
    try:
        for piece in response:
            line.clear()
            writer.write(piece)
            on_piece()
    except KeyboardInterrupt:
        response.cancel()
        response.wait()
        return False
    except EdgeAIError:
        has_failed = True
        raise
    finally:
        line.clear()
        if writer.has_shown or not has_failed:  # whoever reads stdout gets no empty line for an answer
            writer.end()
    return True


class _Writer:
    """Holds newlines back until something follows them.

    Attributes:
        has_shown: some text stands on stdout.
    """

    def __init__(self) -> None:
        self.has_shown = False
        self._held = ""

    def write(self, piece: str) -> None:
        text = self._held + plain(piece)
        shown = text.rstrip("\n")
        self._held = text[len(shown) :]
        self.has_shown = self.has_shown or bool(shown)
        sys.stdout.write(shown)
        sys.stdout.flush()

    def end(self) -> None:
        sys.stdout.write("\n")
        sys.stdout.flush()
