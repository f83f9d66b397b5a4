"""`edgeai ocr`, run as a person runs it, on real pictures; once with the real engine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgeai.media import Medium
from edgeai.vision import ocr
from edgeai.vision.ocr import PictureText, TextBlock, TextLine
from tests.vision.drawn_text import drawn, scanned_pdf
from tui.cli import main

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of pictures, which is the current one."""
    made = tmp_path / "photos"
    (made / "sub").mkdir(parents=True)
    drawn(320, 60, [(10, 15, "Serial No. 4711-B")]).save(made / "label.png")
    drawn(99, 50, []).save(made / "sub/other.jpg")
    (made / "scan.pdf").write_bytes(scanned_pdf([drawn(320, 60, [(10, 15, text)]) for text in ("One", "Two")]))
    monkeypatch.chdir(made)
    return made


@pytest.fixture
def _sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that reads the size of each picture."""

    def read_text(picture: Medium) -> PictureText:
        text = f"|{picture.width}"
        box = ((0.0, 0.0), (9.0, 0.0), (9.0, 9.0), (0.0, 9.0))
        return PictureText((TextLine(text, box, 0.5),), (TextBlock("text", ((text,),)),))

    monkeypatch.setattr(ocr, "read_text", read_text)


def test_a_picture_is_printed_and_nothing_else(folder: Path, capsys: Capture) -> None:
    assert main(["ocr", "label.png"]) == 0
    assert capsys.readouterr() == ("Serial No. 4711-B\n", "")


@pytest.mark.usefixtures("_sizes")
def test_pages_of_a_pdf_are_drawn(folder: Path, capsys: Capture) -> None:
    assert main(["ocr", "scan.pdf", "--markdown"]) == 0
    assert capsys.readouterr() == ("\\|320\n\\|320\n", "")
    assert main(["ocr", "scan.pdf", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["file"] == "scan.pdf"
    line = {"text": "|320", "box": [[0, 0], [9, 0], [9, 9], [0, 9]], "score": 0.5}
    assert found["pages"] == [{"page": page, "width": 320, "height": 60, "lines": [line]} for page in (1, 2)]


@pytest.mark.usefixtures("_sizes")
def test_a_bad_file_is_one_line_and_the_rest_goes_on(folder: Path, capsys: Capture) -> None:
    (folder / "empty.png").touch()
    (folder / "cut.pdf").write_bytes(b"%PDF-1.4 cut short")
    assert main(["ocr", "nowhere.jpg", "empty.png", "cut.pdf", "label.png"]) == 1
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert [line.split(":")[0] for line in lines] == ["error"] * 3 + ["note"]
    assert all(name in line for name, line in zip(("nowhere.jpg", "empty.png", "cut.pdf"), lines, strict=False))
    assert lines[-1] == "note: 3 files of 4 could not be read"
    assert out == "|320\n"


@pytest.mark.usefixtures("_sizes")
def test_a_folder_goes_into_files(folder: Path, capsys: Capture) -> None:
    assert main(["ocr", ".", "-o", "out"]) == 0
    assert sorted(capsys.readouterr().out.splitlines()) == ["out/label.txt", "out/other.txt", "out/scan.txt"]
    assert (folder / "out/scan.txt").read_text() == "|320\n\n|320\n"
    assert main(["ocr", "label.png", "-o", "out"]) == 1
    assert "--force" in capsys.readouterr().err
    assert main(["ocr", "label.png", "-o", "out", "--force"]) == 0


def test_a_picture_without_text_is_said_to_have_none(
    folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ocr, "read_text", lambda picture: PictureText())
    assert main(["ocr", "sub/other.jpg"]) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("note: sub/other.jpg: nothing")


def test_without_the_extra_it_says_what_to_install(
    folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ocr, "is_installed", lambda: False)
    assert main(["ocr", "label.png"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert "pip install 'edgeai[ocr]'" in err


@pytest.mark.parametrize("arguments", [["--json", "--markdown", "x.png"], ["--force", "x.png"], []])
def test_wrong_usage_exits_2(folder: Path, arguments: list[str]) -> None:
    assert main(["ocr", *arguments]) == 2
