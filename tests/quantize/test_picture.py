from __future__ import annotations

import os
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from edgeai.errors import QuantizeError
from quantize.picture import check_picture, draw
from tests.quantize.reports import made_up

REPORTS = [
    made_up("Q4_K_M", megabytes=105, kld=0.05, decode_tokens_per_s=81),
    made_up("IQ4_NL", megabytes=92, kld=0.06, decode_tokens_per_s=100),
    made_up("Q4_1", megabytes=98, kld=0.3, decode_tokens_per_s=80),
    made_up("F32", megabytes=540, kld=0.0, decode_tokens_per_s=20),
]


def _texts(path: Path) -> list[str]:
    return [text.strip() for text in ET.parse(path).getroot().itertext() if text.strip()]


def test_every_artifact_is_named_in_both_panels(tmp_path: Path) -> None:
    texts = _texts(draw(REPORTS, tmp_path / "a.svg", title="SmolLM2 $1"))
    for report in REPORTS:
        assert texts.count(report.file_type) == 2
    assert "SmolLM2 $1" in texts
    assert [text for text in texts if text.startswith("decode, tokens/s")]


def test_without_speed_there_is_one_panel(tmp_path: Path) -> None:
    texts = _texts(draw([made_up("Q8_0", megabytes=5, decode_tokens_per_s=None)], tmp_path / "a.svg"))
    assert texts.count("Q8_0") == 1
    assert not [text for text in texts if text.startswith("decode")]


def test_the_same_picture_is_the_same_file(tmp_path: Path) -> None:
    one, two = draw(REPORTS, tmp_path / "a.svg"), draw(REPORTS, tmp_path / "b.svg")
    assert one.read_bytes() == two.read_bytes()


def test_a_png_replaces_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a.PNG"
    path.write_bytes(b"old")
    with Image.open(draw(REPORTS, path)) as image:
        assert image.format == "PNG"
        assert image.width > 1000
    assert list(tmp_path.iterdir()) == [path]


def test_other_suffixes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(QuantizeError, match=r"a picture is a \.svg or \.png file"):
        draw(REPORTS, tmp_path / "a.pdf")


def test_nothing_measured_is_nothing_to_draw(tmp_path: Path) -> None:
    with pytest.raises(QuantizeError, match="measure with a reference first"):
        draw([made_up("Q8_0", megabytes=5, kld=None)], tmp_path / "a.svg")


def test_a_missing_library_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(QuantizeError, match=r"pip install 'edgeai\[plot\]'"):
        draw(REPORTS, tmp_path / "a.svg")


def test_it_goes_into_a_new_folder_and_is_for_all_to_see(tmp_path: Path) -> None:
    path = draw(REPORTS, tmp_path / "new" / "a.svg")
    assert path.stat().st_mode & 0o444 == 0o444
    assert list(path.parent.iterdir()) == [path]


def test_a_place_that_will_not_do_is_named(tmp_path: Path) -> None:
    file, folder = tmp_path / "file", tmp_path / "a.svg"
    file.write_bytes(b"")
    folder.mkdir()
    with pytest.raises(QuantizeError, match=r"file/a\.svg: the picture cannot be written"):
        draw(REPORTS, file / "a.svg")
    with pytest.raises(QuantizeError, match=r"a\.svg: is a folder"):
        check_picture(folder)


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_no_link_beside_it_is_followed(tmp_path: Path) -> None:
    mine, out = tmp_path / "mine", tmp_path / "out"
    mine.write_bytes(b"mine")
    out.mkdir()
    for name in (f".a.svg.{os.getpid()}.part", "a.svg"):
        (out / name).symlink_to(mine)
    draw(REPORTS, out / "a.svg")
    assert mine.read_bytes() == b"mine"


def test_two_of_one_mix_have_the_names_of_their_files(tmp_path: Path) -> None:
    one, other = (replace(REPORTS[0], path=tmp_path / f"{name}.gguf") for name in ("日本", "x" * 100))
    texts = _texts(draw([one, other], tmp_path / "a.svg"))
    assert texts.count("日本") == 2
    assert texts.count(f"{'x' * 20}…{'x' * 20}") == 2
    assert "Q4_K_M" not in texts
