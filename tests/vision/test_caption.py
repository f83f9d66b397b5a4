"""Captions of many pictures: durable one by one, and never twice."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from PIL import Image

from edgeai import PictureError, Session, UnsupportedModalityError
from edgeai.vision.caption import captions, prompt_in
from edgeai.vision.caption_file import Caption, CaptionFile
from tests.fakes import FakeBackend
from tui.cli import main


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    folder = tmp_path / "photos"
    folder.mkdir()
    paths = [folder / name for name in ("a.png", "b.png", "c.png")]
    for number, path in enumerate(paths):
        Image.new("RGB", (8, 8 + number)).save(path)
    return paths


def texts(path: Path) -> list[tuple[str, str]]:
    lines = map(json.loads, path.read_text("utf-8").splitlines())
    return [(line["file_name"], line["text"]) for line in lines]


def test_each_picture_is_captioned_once(photos: list[Path]) -> None:
    backend = FakeBackend(sees=True).enqueue("a\nred one", "赤い丸", "three", "new")
    session, path = Session(backend=backend), photos[0].parent / "captions.jsonl"
    with CaptionFile(path) as file:
        made = captions(session, photos, file, prompt_in("ja"))
        assert next(made)[1].text == "a red one"  # type: ignore[union-attr]
        assert texts(path) == [("a.png", "a red one")], "it is there before the next one begins"
        made.close()
    with CaptionFile(path) as file:
        assert len(list(captions(session, photos, file, prompt_in("ja")))) == 2
    assert texts(path) == [("a.png", "a red one"), ("b.png", "赤い丸"), ("c.png", "three")]
    assert "この画像を一文で説明してください。" in backend.detokenize(backend.requests[0].tokens)
    Image.new("RGB", (9, 9)).save(photos[1])  # it has changed
    os.utime(photos[1], ns=(1, 1))
    with CaptionFile(path) as file:
        ((changed, _),) = captions(session, photos, file, prompt_in("German"))
        assert changed == photos[1]
    assert texts(path)[-1] == ("b.png", "new")
    assert "Answer in German." in backend.detokenize(backend.requests[-1].tokens)


def test_a_bad_picture_is_told_and_the_rest_goes_on(photos: list[Path], tmp_path: Path) -> None:
    photos[1].write_bytes(photos[1].read_bytes()[:40])
    with CaptionFile(tmp_path / "c.jsonl") as file:
        made = dict(captions(Session(backend=FakeBackend(sees=True)), photos, file, "What?"))
        assert isinstance(made[photos[1]], PictureError)
        assert file.n_captions == 2
    assert [name for name, _ in texts(tmp_path / "c.jsonl")] == ["photos/a.png", "photos/c.png"]


def test_what_a_kill_left_half_written_goes(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    with CaptionFile(path) as file:
        file.add(Caption("a.png", "x", 1, 2))
    whole = path.read_bytes()
    for left in (whole[:5], whole[:-1], b'{"file_name": "b'):
        path.write_bytes(whole + left)
        with CaptionFile(path) as file:
            assert file.n_captions == 1
        assert path.read_bytes() == whole


@pytest.mark.parametrize("content", [b"my notes", b"my notes\n", b'{"file_name": 5, "x": 1}\n', b"[]\n", b"\0" * 9])
def test_a_file_of_something_else_stays_as_it_is(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    with pytest.raises(PictureError, match=r"notes\.txt: expected captions in it, found something else"):
        CaptionFile(path)
    assert path.read_bytes() == content


def test_two_processes_do_not_write_into_one_file(tmp_path: Path) -> None:
    with CaptionFile(tmp_path / "c.jsonl"), pytest.raises(PictureError, match="another process writes"):
        CaptionFile(tmp_path / "c.jsonl")


def test_a_model_without_eyes_captions_nothing(photos: list[Path], tmp_path: Path) -> None:
    with CaptionFile(tmp_path / "c.jsonl") as file, pytest.raises(UnsupportedModalityError, match="sees no pictures"):
        next(captions(Session(backend=FakeBackend()), photos, file, "What?"))


def test_the_command(photos: list[Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    backend = FakeBackend(sees=True)
    monkeypatch.setattr("tui.commands.caption.open_session", lambda _model, **_options: Session(backend=backend))
    photos[2].write_text("no picture")
    path = photos[0].parent / "captions.jsonl"
    assert main(["caption", str(photos[0].parent), str(photos[0].parent / "gone.png"), "-o", str(path)]) == 1
    err = capsys.readouterr().err
    assert "gone.png" in err
    assert "c.png" in err
    assert "2 captions new, 0 before" in err
    assert [name for name, _ in texts(path)] == ["a.png", "b.png"]
