"""Which documents a conversation is about, as it is stored: paths and hashes, never their text."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeai.documents.types import Document

MAX_DOCUMENTS = 100
"""Of one conversation; a folder with more belongs into a library."""

_SHA256 = re.compile(r"[0-9a-f]{64}")
_MAX_PATH = 4096


@dataclass(frozen=True, slots=True)
class DocumentRef:
    """A document of a conversation.

    Attributes:
        path: absolute.
        sha256: of its bytes when it was last read.
    """

    path: str
    sha256: str

    @classmethod
    def of(cls, document: Document) -> DocumentRef:
        """How a document that was read is stored."""
        return cls(str(absolute(document.path)), document.sha256)

    def to_json(self) -> dict[str, str]:
        """As JSON has it; a name that is no Unicode is not found again, and the next opening says so."""
        return {"path": self.path.encode("utf-8", "replace").decode(), "sha256": self.sha256}


def refs_of(documents: Iterable[Document]) -> tuple[DocumentRef, ...]:
    """How documents are stored, each path once."""
    return tuple({ref.path: ref for ref in map(DocumentRef.of, documents)}.values())


def refs_from_json(value: Any) -> tuple[DocumentRef, ...]:
    """What is stored, as far as it makes sense."""
    if not isinstance(value, list):
        return ()
    refs = [_ref(item) for item in value[:MAX_DOCUMENTS]]
    return tuple({ref.path: ref for ref in refs if ref is not None}.values())


def absolute(path: Path) -> Path:
    """The same file from any folder; links stay as they are, so that its name is the one that was given."""
    return Path.cwd() / path


def _ref(item: object) -> DocumentRef | None:
    if not isinstance(item, dict):
        return None
    path, sha256 = item.get("path"), item.get("sha256")
    if not isinstance(path, str) or not 0 < len(path) <= _MAX_PATH or "\0" in path or not Path(path).is_absolute():
        return None
    return DocumentRef(path, sha256) if isinstance(sha256, str) and _SHA256.fullmatch(sha256) else None
