"""Scanned pages of PDFs, read by the real engine while the document is read."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
from PIL import Image

from edgeai.documents.library import Library
from edgeai.documents.read import read_document
from edgeai.documents.reading import limits
from edgeai.errors import DocumentError, OptionError
from edgeai.kv_store.room import states_dir
from edgeai.media import Medium
from edgeai.vision import ocr
from edgeai.vision.ocr import PictureText, TextBlock
from tests.documents.pdf_files import pdf
from tests.vision.drawn_text import drawn, scanned_pdf

FIRST = ["Maintenance of the pump", "The filter is replaced every 500 hours."]
SECOND = ["Lubrication of the bearing", "Grease is applied each January."]


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEAI_HOME", str(tmp_path / "home"))


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    """Two pages without any text of their own."""
    path = tmp_path / "scan.pdf"
    path.write_bytes(scanned_pdf(page(lines) for lines in (FIRST, SECOND)))
    return path


@pytest.fixture
def recognized(monkeypatch: pytest.MonkeyPatch) -> list[Medium]:
    """The pages that an engine got which reads their size from each."""
    seen: list[Medium] = []

    def read_text(picture: Medium) -> PictureText:
        seen.append(picture)
        return PictureText(blocks=(TextBlock("text", ((f"{picture.width} x {picture.height}",),)),))

    monkeypatch.setattr(ocr, "read_text", read_text)
    return seen


def page(lines: Iterable[str]) -> Image.Image:
    return drawn(620, 130, [(20, 20 + 45 * n, line) for n, line in enumerate(lines)], 28)


def test_a_scan_is_found_and_cited_by_its_page(scan: Path, tmp_path: Path) -> None:
    document = read_document(scan)
    assert [(block.page, block.text) for block in document.blocks] == [(1, "\n".join(FIRST)), (2, "\n".join(SECOND))]
    assert (document.pages_without_text, document.ocr) == ((), "auto")
    with Library.open(tmp_path / "library") as library:
        library.add(document)
        hit, *_ = library.search("when is grease applied")
        assert (hit.passage.first_page, hit.passage.last_page) == (2, 2)
        assert "January" in hit.passage.text


def test_pages_come_as_pictures_of_200_dpi(scan: Path, recognized: list[Medium]) -> None:
    read_document(scan)
    assert [picture.size for picture in recognized] == [(620, 130)] * 2


def test_only_pages_without_text_are_recognised_where_nothing_else_is_asked(
    tmp_path: Path, recognized: list[Medium]
) -> None:
    path = tmp_path / "mixed.pdf"
    path.write_bytes(pdf([["Written words"], []], outline=[("A drawing", 2)]))
    document = read_document(path)
    assert [(block.page, block.text) for block in document.blocks] == [
        *((1, "Written words"), (2, "A drawing"), (2, "1653 x 2339"))
    ]
    assert document.blocks[-1].headings == ("A drawing",)
    assert len(recognized) == 1
    document = read_document(path, ocr="always")
    assert [block.page for block in document.blocks if block.kind == "text"] == [1, 2]
    assert len(recognized) == 3
    document = read_document(path, ocr="never")
    assert (len(recognized), document.pages_without_text, document.ocr) == (3, (2,), "never")


def test_pages_alone_are_kept_where_that_is_asked(scan: Path, recognized: list[Medium]) -> None:
    for _ in range(2):
        read_document(scan, keep_pages=True)
    assert len(recognized) == len(list(states_dir().glob("texts/*"))) == 2


def test_what_was_recognised_is_kept_page_by_page(scan: Path, recognized: list[Medium]) -> None:
    def stop(n_done: int, n_total: int) -> None:
        assert (n_done, n_total) == (1, 2)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        read_document(scan, keep=True, on_progress=stop)
    assert len(recognized) == 1
    told: list[tuple[int, int]] = []
    document = read_document(scan, keep=True, on_progress=lambda *progress: told.append(progress))
    assert [picture.sha256 for picture in recognized[:1]] != [picture.sha256 for picture in recognized[1:]]
    assert len(recognized) == 2
    assert {(1, 2), (2, 2)} <= set(told)
    assert read_document(scan, keep=True) == document
    assert len(recognized) == 2


def test_a_text_kept_without_recognition_is_another(scan: Path, recognized: list[Medium]) -> None:
    with pytest.raises(DocumentError, match="--ocr auto"):
        read_document(scan, keep=True, ocr="never")
    assert read_document(scan, keep=True).blocks
    with pytest.raises(DocumentError):
        read_document(scan, keep=True, ocr="never")
    assert len(recognized) == 2


def test_nothing_is_kept_where_it_is_not_asked_or_a_password_is(scan: Path, recognized: list[Medium]) -> None:
    read_document(scan)
    read_document(scan, keep=True, keep_pages=True, password="x")
    assert not list(states_dir().glob("texts/*"))


def test_without_the_extra_it_says_how_to_get_it(scan: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ocr, "is_installed", lambda: False)
    with pytest.raises(DocumentError, match=r"pip install 'edgeai\[ocr\]'"):
        read_document(scan)
    with pytest.raises(OptionError, match=r"pip install 'edgeai\[ocr\]'"):
        read_document(scan, ocr="always")
    with pytest.raises(OptionError, match="auto, always or never"):
        read_document(scan, ocr="sometimes")  # type: ignore[arg-type]


def test_an_engine_that_cannot_be_loaded_leaves_scans_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def read_text(picture: Medium) -> PictureText:
        raise ocr.not_installed("libGL.so.1: cannot open shared object file")

    monkeypatch.setattr(ocr, "read_text", read_text)
    path = tmp_path / "mixed.pdf"
    path.write_bytes(pdf([["Written words"], [], []]))
    document = read_document(path)
    assert (document.pages_without_text, document.ocr) == ((2, 3), "never")
    assert len(caplog.records) == 1
    with pytest.raises(OptionError, match="libGL"):
        read_document(path, ocr="always")


def test_a_page_without_writing_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ocr, "read_text", lambda picture: PictureText())
    path = tmp_path / "mixed.pdf"
    path.write_bytes(pdf([["Written words"], []]))
    document = read_document(path)
    assert (document.pages_without_text, document.ocr) == ((2,), "auto")


def test_a_poster_is_drawn_smaller(tmp_path: Path, recognized: list[Medium]) -> None:
    path = tmp_path / "poster.pdf"
    for box in (b"[0 0 9000 9000]", b"[0 0 9000 90000]", b"[0 0 9 14400]"):
        path.write_bytes(pdf([["x"], []]).replace(b"[0 0 595 842]", box))
        read_document(path)
    sizes = [picture.size for picture in recognized]
    assert sizes[0][0] == sizes[0][1]
    assert 3900 < sizes[0][0] <= 4096
    assert all(width * height > 0 for width, height in sizes)


def test_libraries_read_scans_that_they_could_not_read_before(
    tmp_path: Path, recognized: list[Medium], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mixed.pdf"
    path.write_bytes(pdf([["Written words"], []]))
    with Library.open(tmp_path / "library") as library:
        with monkeypatch.context() as patch:
            patch.setattr(ocr, "is_installed", lambda: False)
            assert library.update([path], read=read_document).added == (path,)
            assert library.update(read=read_document).unchanged == 1
        assert library.update(read=lambda path: read_document(path, ocr="never"), ocr="never").unchanged == 1
        assert library.update(read=read_document).reread == (path,)
        assert library.update(read=read_document).unchanged == 1
        assert len(recognized) == 1
        update = library.update(read=lambda path: read_document(path, ocr="always"), ocr="always")
        assert (update.reread, len(recognized)) == ((path,), 3)
        assert library.update(read=read_document, ocr="always").unchanged == 1
        assert library.update(read=read_document).unchanged == 1


def test_time_for_recognition_is_none_of_the_reading_process(
    scan: Path, recognized: list[Medium], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr("edgeai.documents.reading.process.time.monotonic", lambda: now[0])

    def slow(picture: Medium) -> PictureText:
        now[0] += 10 * limits.total_s(0, 2, is_scanned=True)
        return PictureText(blocks=(TextBlock("text", (("read",),)),))

    monkeypatch.setattr(ocr, "read_text", slow)
    assert len(read_document(scan).blocks) == 2
