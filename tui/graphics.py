"""What a terminal can show beside text: it is asked, and given a moment to answer."""

from __future__ import annotations

import functools
import os
import re
import sys
import time
from dataclasses import dataclass
from typing import Literal

_ANSWER_S = 0.6  # a terminal at the other end of a slow line; one that knows no question is waited for in vain
_KITTY_QUESTION = "\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\"
_CELL_QUESTION = "\x1b[16t"
_WHO_QUESTION = "\x1b[c"  # every terminal answers this, so that the end of the answers is known
_WHO = re.compile(rb"\x1b\[\?([\d;]*)c")
_CELL = re.compile(rb"\x1b\[6;(\d{1,3});(\d{1,3})t")
_SIXEL = "4"
_CANNOT = ("", "dumb", "linux")
_MAX_ANSWER_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Graphics:
    """How a terminal shows pictures.

    Attributes:
        way: "kitty" and "sixel" are protocols for pixels, "blocks" are half blocks.
        cell: width and height of a cell, pixels.
    """

    way: Literal["kitty", "sixel", "blocks"] = "blocks"
    cell: tuple[int, int] = (10, 20)

    def pixels(self, columns: int, rows: int) -> tuple[int, int]:
        """Width and height of so many cells."""
        return columns * self.cell[0], rows * self.cell[1]


@functools.cache
def graphics() -> Graphics:
    """What this program's terminal can show, asked once. Before an application of Textual's runs, which reads all keys.

    It takes at most a second, also where nobody answers, and nothing is asked where no terminal is on both sides, where
    this process is in the background, or where the terminal would show the question.
    """
    if os.environ.get("TERM", "") in _CANNOT or os.environ.get("TERM_PROGRAM") == "Apple_Terminal":
        return Graphics()
    try:
        import termios  # noqa: F401 - Windows has none

        if not (sys.stdin.isatty() and sys.stdout.isatty()):
            return Graphics()
        return read_answer(_ask(sys.stdin.fileno(), sys.stdout.fileno()))
    except (ImportError, OSError, ValueError):  # ValueError: a closed or replaced stream
        return Graphics()


def read_answer(answer: bytes) -> Graphics:
    """What a terminal's answers to the questions mean."""
    cell = Graphics().cell
    if (found := _CELL.search(answer)) and int(found[1]) and int(found[2]):
        cell = int(found[2]), int(found[1])
    if b"\x1b_Gi=31;OK\x1b\\" in answer:
        return Graphics("kitty", cell)
    who = _WHO.search(answer)
    if who and _SIXEL in who[1].decode().split(";")[1:]:
        return Graphics("sixel", cell)
    return Graphics("blocks", cell)


def _ask(stdin: int, stdout: int) -> bytes:
    import termios
    import tty

    if _is_in_background(stdin):
        return b""  # to change the terminal's settings would stop this process
    before = termios.tcgetattr(stdin)
    try:
        tty.setcbreak(stdin, termios.TCSADRAIN)
        asks_kitty = not os.environ.get("STY")  # GNU screen shows what it does not know
        question = (_KITTY_QUESTION if asks_kitty else "") + _CELL_QUESTION + _WHO_QUESTION
        os.write(stdout, question.encode())
        return _answer(stdin)
    finally:
        termios.tcsetattr(stdin, termios.TCSADRAIN, before)


def _is_in_background(stdin: int) -> bool:
    try:
        return os.tcgetpgrp(stdin) != os.getpgrp()
    except OSError:  # a terminal without job control
        return False


def _answer(stdin: int) -> bytes:
    import select

    answer, end = b"", time.monotonic() + _ANSWER_S
    while not _WHO.search(answer) and len(answer) < _MAX_ANSWER_BYTES:
        left_s = end - time.monotonic()
        if left_s <= 0 or not select.select([stdin], [], [], left_s)[0]:
            break
        piece = os.read(stdin, 1024)
        if not piece:
            break
        answer += piece
    return answer
