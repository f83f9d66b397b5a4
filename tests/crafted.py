"""Crafted model files: one for each published weakness of GGUF readers that we know of.

Each stands for what its source says of the weakness; none is a copy of anybody's exploit. They are small, or sparse
where their point is a large size.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.crafted_bytes import PARSING
from tests.crafted_models import HARMLESS, MEANING


@dataclass(frozen=True, slots=True)
class Crafted:
    """A crafted file.

    Attributes:
        name: of the case.
        cve: the CVE that it stands for, or "".
        what: what is wrong with it.
        path: the file.
        source: where the weakness is described: an advisory `GHSA-…` of GitHub, a report `TALOS-…` of
            talosintelligence.com, the CVE's record in CVEProject/cvelistV5, a thread `owner/project#n` at GitHub.
        says: what the error says of it: the key or tensor, or the number.
        refused: whether `read_header` refuses it; else it is harmless.
    """

    name: str
    cve: str
    what: str
    path: Path
    source: str
    says: str
    refused: bool = True


def crafted_files(folder: Path) -> Iterator[Crafted]:
    """Write all crafted files into a folder, one after the other."""
    for case in (*PARSING, *MEANING):
        path = folder / f"{case.name}.gguf"
        case.write(path)
        yield Crafted(case.name, case.cve, case.what, path, case.source, case.says, case.name not in HARMLESS)
