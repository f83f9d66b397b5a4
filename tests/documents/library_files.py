"""Libraries and documents for tests, made by hand."""

from __future__ import annotations

import hashlib
from pathlib import Path

from edgeai.documents.types import Block, Document
from edgeai.errors import DocumentError


def document(name: str, *texts: str, folder: Path = Path("/made")) -> Document:
    """A document of paragraphs."""
    joined = "\n\n".join(texts)
    digest = hashlib.sha256(joined.encode()).hexdigest()
    return Document(folder / f"{name}.txt", "text", name, digest, tuple(map(Block, texts)), n_bytes=len(joined))


class Reader:
    """Reads plain text, and remembers what it read."""

    def __init__(self) -> None:
        self.read: list[Path] = []

    def __call__(self, path: Path) -> Document:
        self.read.append(path)
        text = path.read_text()
        if "unreadable" in text:
            raise DocumentError(f"{path}: expected readable text: save it anew")
        return Document(
            path,
            "text",
            path.name,
            hashlib.sha256(text.encode()).hexdigest(),
            (Block(text, line=1),),
            n_bytes=len(text),
        )
