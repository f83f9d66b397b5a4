"""Reads files on a cluster's machines, which must see the same folders; what they do not see is read here."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from edgeai import regular_file
from edgeai.cluster import Cluster
from edgeai.documents.read import READER_VERSION, read_document
from edgeai.documents.reading.limits import MAX_FILE_BYTES
from edgeai.documents.scans import possible
from edgeai.documents.types import Document, OcrMode
from edgeai.errors import DocumentError, OptionError

_PIECE_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class Plan:
    """What each worker needs to know.

    Attributes:
        password: of encrypted PDFs.
        ocr: which pages are recognised.
        reads_as: what texts depend on besides: see `reads_as`.
    """

    password: str | None
    ocr: OcrMode
    reads_as: tuple[int, str]


@dataclass(frozen=True, slots=True)
class Reading:
    """What a worker made of a file.

    Attributes:
        sha256: of the file there; None where it could not be read at all.
        document: what it holds.
        error: why it is none; the same words as here.
        needs_password: goes with the error.
    """

    sha256: str | None
    document: Document | None = None
    error: str = ""
    needs_password: bool = False


def reads_as(ocr: OcrMode) -> tuple[int, str]:
    """What the text of a file depends on here, besides the file."""
    return READER_VERSION, possible(ocr)


class Worker:
    """Reads files, one after the other."""

    def __init__(self, plan: Plan, _n_cores: int) -> None:
        """
        Raises:
            OptionError: this machine would read otherwise.
        """
        self._plan = plan
        if reads_as(plan.ocr) != plan.reads_as:
            raise OptionError("a machine of the cluster has another edgeai, or other extras: expected the same on each")

    def __call__(self, name: bytes) -> Reading:
        """What is in the file of this name."""
        path = Path(os.fsdecode(name))
        try:
            document = read_document(path, password=self._plan.password, keep_pages=True, ocr=self._plan.ocr)
        except DocumentError as exc:
            return Reading(_sha256(path), None, str(exc), exc.needs_password)
        return Reading(document.sha256, document)


class ClusterReader:
    """What a cluster makes of files that are taken in a known order.

    Attributes:
        n_here: files that were read here, as the cluster does not see them as they are.
    """

    def __init__(
        self,
        cluster: Cluster,
        paths: Sequence[Path],
        read: Callable[[Path], Document],
        *,
        password: str | None,
        ocr: OcrMode,
    ) -> None:
        """Nothing begins before the first file is taken.

        Args:
            cluster: reads them.
            paths: in the order in which they will be taken.
            read: reads a file here: one that the cluster does not see as it is here.
            password: of encrypted PDFs.
            ocr: as for `read_document`.
        """
        self.n_here = 0
        self._paths, self._read = iter(paths), read
        plan = Plan(password, ocr, reads_as(ocr))
        self._readings: Generator[Reading] = cluster.mapped(
            map(os.fsencode, paths), partial(Worker, plan), worker_of="core", in_order=True
        )

    def take(self) -> Document:
        """The next file's document; waits for it.

        Raises:
            DocumentError: it cannot be read.
            OptionError: there is no cluster.
            GenerationError: the cluster has failed.
        """
        path, reading = next(self._paths), next(self._readings)
        if reading.sha256 is None or reading.sha256 != _sha256(path):
            document = self._read(path)
            self.n_here += 1
            return document
        if reading.document is None:
            raise DocumentError(reading.error, needs_password=reading.needs_password)
        return reading.document

    def close(self) -> None:
        """End what is still being read."""
        self._readings.close()


def _sha256(path: Path) -> str | None:
    """Of a file that `read_document` would open; None of anything else."""
    try:
        with regular_file.opened(path, "a document", MAX_FILE_BYTES, DocumentError) as (file, _):
            digest = hashlib.sha256()
            while piece := file.read(_PIECE_BYTES):
                digest.update(piece)
            return digest.hexdigest()
    except (DocumentError, OSError):
        return None
