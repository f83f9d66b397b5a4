"""Reading on a cluster, which here is this process: what comes back, and what is read here instead."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from edgeai.documents import read_cluster
from edgeai.documents.read import read_document
from edgeai.documents.read_cluster import ClusterReader, Plan, Reading, Worker, reads_as
from edgeai.documents.types import Document
from edgeai.errors import DocumentError, OptionError
from tests.inline_cluster import InlineCluster


class Elsewhere(Worker):
    """A machine whose folder lacks one file, and has another text in the second."""

    def __call__(self, name: bytes) -> Reading:
        if name.endswith(b"lacks.md"):
            return super().__call__(name + b".no")
        if name.endswith(b"other.md"):
            path = Path(name.decode())
            return super().__call__(bytes(path.with_suffix(".old")))
        return super().__call__(name)


def taken(paths: list[Path], here: list[Path]) -> list[Document | str]:
    """Documents, or why there are none; `here` gets those that were read here."""

    def read(path: Path) -> Document:
        here.append(path)
        return read_document(path)

    found: list[Document | str] = []
    with closing(ClusterReader(InlineCluster(), paths, read, password=None, ocr="auto")) as reader:
        for _ in paths:
            try:
                found.append(reader.take())
            except DocumentError as exc:
                found.append(str(exc))
    return found


def test_what_cannot_be_read_has_the_same_words(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# One\n\nText.\n")
    (tmp_path / "b.pdf").write_bytes(b"%PDF-1.7 and no more")
    (tmp_path / "c.md").write_text("# Two\n\nText.\n")
    paths = sorted(tmp_path.iterdir())
    here: list[Path] = []
    found = taken(paths, here)
    with pytest.raises(DocumentError) as caught:
        read_document(paths[1])
    assert found == [read_document(paths[0]), str(caught.value), read_document(paths[2])]
    assert here == []


def test_what_the_cluster_does_not_see_as_it_is_here_is_read_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read_cluster, "Worker", Elsewhere)
    names = ["lacks.md", "other.md", "same.md", "gone.md"]
    for name in [*names[:3], "other.old"]:
        (tmp_path / name).write_text(f"# {name}\n\nText.\n")
    paths, here = [tmp_path / name for name in names], list[Path]()
    found = taken(paths, here)
    assert found[:3] == [read_document(path) for path in paths[:3]]
    assert isinstance(found[3], str)
    assert "no such file" in found[3]
    assert here == [paths[0], paths[1], paths[3]]


def test_a_machine_that_reads_otherwise_is_refused() -> None:
    version, ocr = reads_as("never")
    Worker(Plan(None, "never", (version, ocr)), 1)
    with pytest.raises(OptionError, match="expected the same on each"):
        Worker(Plan(None, "never", (version + 1, ocr)), 1)
