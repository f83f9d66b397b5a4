"""Documents cut into the parts that notes are about, and those into pieces that a prompt can hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edgeai.documents.cuts import pieces, size
from edgeai.documents.types import Block, Document
from edgeai.notes.fixed_words import ENGLISH
from edgeai.safe_text import one_line

_MAX_HEADING_CHARS = 80
_MAX_LEVEL = 6
_LEAST_BYTES = 32


@dataclass(frozen=True, slots=True)
class Part:
    """Some neighbouring blocks of a document.

    Attributes:
        heading: over them; one line, hostile.
        blocks: at least one.
    """

    heading: str
    blocks: tuple[Block, ...]

    @property
    def n_bytes(self) -> int:
        """Of its text."""
        return sum(size(block.text) for block in self.blocks)


def parts_of(document: Document, n_most: int, n_bytes: int, name: str = ENGLISH.part) -> list[Part]:
    """The parts of a document: by its headings, small neighbours joined; without headings, by length.

    Args:
        document: what was read.
        n_most: parts at most.
        n_bytes: what is not longer stays one part, where there are no headings.
        name: of a part without a heading, with {number} and {n_parts}.
    """
    groups = _by_headings(document)
    if len(groups) > 1:
        return [_joined([groups[index] for index in members]) for members in _joined_small(groups, n_most)]
    total = groups[0].n_bytes
    cut = evenly(document.blocks, max(1, min(n_most, -(-total // n_bytes))))
    if len(cut) == 1:
        return [Part(_heading(document.title), tuple(document.blocks))]
    return [Part(name.format(number=number, n_parts=len(cut)), blocks) for number, blocks in enumerate(cut, 1)]


def packed(blocks: Sequence[Block], limit: int) -> list[tuple[Block, ...]]:
    """Neighbours together as long as they take `limit` bytes at most, about evenly; longer blocks are cut."""
    limit = max(limit, _LEAST_BYTES)
    cut = [made for block in blocks for made in _cut(block, limit)]
    sizes = [size(block.text) + 2 for block in cut]
    total = sum(sizes)
    target = min(limit, -(-total // max(1, -(-total // limit))) + max(sizes, default=0) // 2)
    groups: list[list[Block]] = []
    held = 0
    for block, n_bytes in zip(cut, sizes, strict=True):
        if not groups or held + n_bytes > target:
            groups.append([])
            held = 0
        groups[-1].append(block)
        held += n_bytes
    return [tuple(group) for group in groups]


def evenly(blocks: Sequence[Block], n_groups: int) -> list[tuple[Block, ...]]:
    """Neighbours in so many groups of about the same length, or fewer; longer blocks are cut."""
    total = sum(size(block.text) for block in blocks)
    groups: list[list[Block]] = [[] for _ in range(n_groups)]
    n_before = 0
    limit = max(_LEAST_BYTES, total // n_groups // 2)
    for block in (made for whole in blocks for made in _cut(whole, limit)):
        n_bytes = size(block.text)
        groups[min(n_groups - 1, (n_before + n_bytes // 2) * n_groups // max(1, total))].append(block)
        n_before += n_bytes
    return [tuple(group) for group in groups if group]


def n_bytes_a_token(document: Document, count_tokens: Callable[[str], int]) -> float:
    """How long a token of this text is, from samples all over it."""
    texts = [block.text for block in document.blocks]
    sample = "\n\n".join(texts[:: max(1, len(texts) // 60)])[:60_000]
    return max(1.0, size(sample) / max(1, count_tokens(sample)))


def place(path: Path, blocks: Sequence[Block]) -> str:
    """Where blocks stand: `manual.pdf p. 12-14`, `notes.txt l. 40-80`, or the name alone."""
    pages = [block.page for block in blocks if block.page is not None]
    if pages:
        return place_label(path, "p.", min(pages), max(pages))
    with_lines = [(block.line, block.text) for block in blocks if block.line is not None]
    if with_lines:
        last = max(line + text.count("\n") for line, text in with_lines)
        return place_label(path, "l.", min(line for line, _ in with_lines), last)
    return one_line(path.name)


def place_label(path: Path, unit: str, first: int, last: int) -> str:
    """`manual.pdf p. 12-14`."""
    return f"{one_line(path.name)} {unit} {first}" + (f"-{last}" if last > first else "")


def _cut(block: Block, limit: int) -> Iterator[Block]:
    for piece in pieces(block, limit):
        yield replace(block, text=piece.text, line=piece.first_line)


def _by_headings(document: Document) -> list[Part]:
    """One part for each heading of the outermost level that has several."""
    blocks = document.blocks
    counts = [0] * _MAX_LEVEL
    for block in blocks:
        if block.kind == "heading" and len(block.headings) < _MAX_LEVEL:
            counts[len(block.headings)] += 1
    level = next((level for level, count in enumerate(counts) if count > 1), None)
    if level is None:
        return [Part(_heading(document.title), blocks)]
    starts = [i for i, block in enumerate(blocks) if block.kind == "heading" and len(block.headings) <= level]
    ends = [*starts[1:], len(blocks)]
    groups = [Part(_heading(document.title), blocks[: starts[0]])] if starts[0] else []
    groups += [Part(_heading(blocks[start].text), blocks[start:end]) for start, end in zip(starts, ends, strict=True)]
    return groups


def _joined_small(groups: list[Part], n_most: int) -> list[list[int]]:
    """Places of neighbours, joined until there are `n_most`, small ones first, and whatever is a heading alone."""
    sizes, bare = [group.n_bytes for group in groups], [_is_bare(group) for group in groups]
    least = 200
    while True:
        made: list[list[int]] = []
        held = 0
        for index, n_bytes in enumerate(sizes):
            if made and (held < least or bare[index - 1]):
                made[-1].append(index)
            else:
                made.append([index])
                held = 0
            held += n_bytes
        if len(made) > 1 and held < least // 2:
            last = made.pop()
            made[-1] += last
        if len(made) <= max(1, n_most):
            return made
        least += least // 4


def _is_bare(part: Part) -> bool:
    return all(block.kind == "heading" for block in part.blocks)


def _joined(members: list[Part]) -> Part:
    """A bare title above the first real heading names nothing."""
    names = [part.heading for part in members if not _is_bare(part)] or [members[0].heading]
    blocks = tuple(block for part in members for block in part.blocks)
    together = ", ".join(names)
    if len(together) > _MAX_HEADING_CHARS and len(names) > 1:
        together = f"{names[0]} … {names[-1]}"
    return Part(together, blocks)


def _heading(text: str) -> str:
    text = " ".join(one_line(text).split()).strip("#* ")
    return text if len(text) <= _MAX_HEADING_CHARS else f"{text[:_MAX_HEADING_CHARS].rstrip()}…"
