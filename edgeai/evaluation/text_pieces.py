"""A text cut into pieces that are the same for every model, so that models with other tokens can be compared."""

from __future__ import annotations

from pathlib import Path

from edgeai.evaluation.source import files_in, printable, read_source
from edgeai.evaluation.types import Passage, Subject

PIECE_CHARS = 1024
_SHORTEST = 0.5  # of a piece: where no line or word ends after it, it is cut in the middle of one
_WHAT = "a text file (.txt or .md)"


def read_text(data: Path, _n_examples: int) -> list[Subject]:
    """Texts, in pieces of about a thousand characters; a subject each.

    Args:
        data: a file of text, or a folder of them.
    Raises:
        DocumentError: a file is missing, or no text.
    """
    found = []
    for path in files_in(data, lambda path: path.suffix.lower() in (".txt", ".md"), _WHAT):
        source = read_source(path, _WHAT)
        passages = [Passage(number, piece) for number, piece in enumerate(pieces(printable(source.text)), 1)]
        if not passages:
            raise source.wrong(None, "there is nothing but space in it: expected a text")
        found.append(Subject(path.stem, source.files, passages))
    return found


def pieces(text: str) -> list[str]:
    """The text in pieces of PIECE_CHARS characters at most, cut at the end of a line or word where there is one."""
    found, start = [], 0
    while start < len(text):
        end = min(start + PIECE_CHARS, len(text))
        if end < len(text):
            least = start + int(PIECE_CHARS * _SHORTEST)
            cut = max(text.rfind("\n", least, end), -1) + 1 or text.rfind(" ", least, end) + 1
            end = cut or end
        if (piece := text[start:end]).strip():
            found.append(piece)
        start = end
    return found
