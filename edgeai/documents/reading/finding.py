"""Files, folders and globs to the documents that they stand for."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from edgeai.documents.reading.kinds import is_readable
from edgeai.errors import DocumentError
from edgeai.finding import Sought, find_files

_DOCUMENTS = Sought("document", ".pdf, .docx, .md", is_readable, DocumentError)


def find_documents(paths: Iterable[str | os.PathLike[str]]) -> Iterator[Path | DocumentError]:
    """The documents that paths stand for; see `edgeai.finding.find_files`."""
    return find_files(paths, _DOCUMENTS)
