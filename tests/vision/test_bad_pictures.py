"""Pictures that are hostile, damaged or none, and a decoder that misbehaves: one line for each, and nothing is left."""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path

import psutil
import pytest
from PIL import Image

from edgeai.errors import EngineCrashedError, PictureError
from edgeai.vision import decode as decoding
from edgeai.vision import limits, process
from edgeai.vision.decode import decode
from edgeai.vision.picture import PictureReader, load_picture
from tests.sandbox.inside import linux_only, needs_landlock
from tests.vision.picture_files import (
    FORMATS,
    encoded,
    frames,
    gif_of_size,
    halves,
    png_of_zeros,
    webp_of_size,
    written,
)

BEGIN = "import sys\nsys.path[:] = sys.argv[2:]\n"
DECODER = (
    BEGIN + "from edgeai.vision import child, decode as real\nfrom edgeai.vision.wire import *\ndef decode(data):\n"
)
"""The real process, but pictures are decoded by what follows."""
START = "\nchild.decode = decode\nchild.main(int(sys.argv[1]))\n"
IMPOSTOR = (
    BEGIN
    + """
import time
from edgeai.engine.wire import Pipe
from edgeai.vision.wire import *
pipe = Pipe(Request, sys.stdin.buffer, sys.stdout.buffer)
def raw(data): sys.stdout.buffer.write(data); sys.stdout.buffer.flush()
def say(width=2, height=1, pixels=bytes(6), format="PNG", n_frames=1):
    pipe.send(Decoded(format, width, height, n_frames, pixels))
pipe.receive(); n_bytes = pipe.receive().n_bytes
while n_bytes: n_bytes -= len(pipe.receive().data)
"""
)
"""The other end of the pipe, which has got the file and says what it likes."""
PNG = encoded(halves(), "PNG")


def problem(source: Path | bytes) -> str:
    """What is said of a picture that cannot be read; no process is left."""
    with pytest.raises(PictureError) as caught:
        load_picture(source)
    text = str(caught.value)
    assert text.startswith(f"{source}: " if isinstance(source, Path) else "the picture: ")
    assert not set("\n\x1b") & set(text)
    assert "expected" in text
    assert not psutil.Process().children(recursive=True)
    return text


def instead(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """From now on this runs instead of decoding."""
    monkeypatch.setattr(process, "_START", DECODER + "".join(f"    {line}\n" for line in code.splitlines()) + START)


def refused(data: bytes) -> str:
    """What is said of bytes, in this process."""
    with pytest.raises(PictureError) as caught:
        decode(data)
    return str(caught.value)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"%PDF-1.7\n", "it is a PDF: expected a picture"),
        (b'<?xml version="1.0"?>\n<!-- x --><svg xmlns="http://www.w3.org/2000/svg"/>', "it is an SVG drawing"),
        (b"<!DOCTYPE html><html><svg></svg></html>", "it is an HTML page"),
        ("ただの文章".encode() * 1000, "it is text"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom", "it is a video"),
        (b"\0\0\0\x14ftypqt  \0\0\0\0qt  ", "it is a video"),
        (b"\x1a\x45\xdf\xa3" + bytes(60), "it is a video"),
        (b"RIFF\0\0\0\0AVI LIST", "it is a video"),
        (b"RIFF\0\0\0\0WAVEfmt ", "it is a sound"),
        (b"\0\0\0\x18ftypcrx \0\0\0\x01crx isom", "it is a camera's raw data"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 1 1\n", "it is a PostScript drawing"),
        (b"8BPS\0\1" + bytes(20), "it is a picture editor's own file"),
        (b"PK\x03\x04" + bytes(30), "it is a ZIP archive or Office file"),
        (b"GGUF\x03\0\0\0", "it is a model"),
        (bytes(1000), "it is of no known kind"),
        (random.Random(1).randbytes(1000), "it is of no known kind"),
        (b"BM, said the wizard, is no bitmap.", "it is text"),
        (b"\xff\x0a" + bytes(60), "it is a JPEG XL picture"),
    ],
)
def test_what_is_no_picture_is_named(data: bytes, words: str) -> None:
    assert words in refused(data)


def test_heic_without_its_library_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "_HEIF_LIBRARIES", ("no_such_library",))
    data = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100)
    assert "reading HEIC needs pi-heif, which is not installed: pip install 'edgeai[heif]'" in refused(data)


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_cut_short_is_an_error_and_no_half_picture(name: str) -> None:
    """Wherever it is cut: an error, or all of the picture where only what follows its pixels is missing."""
    image = Image.effect_noise((64, 64), 60).convert("RGB")
    data = encoded(image, name)
    whole = decode(data).pixels
    n_errors = 0
    for share in range(1, 20):
        cut = data[: len(data) * share // 20]
        try:
            assert decode(cut).pixels == whole
        except PictureError:
            n_errors += 1
    assert n_errors >= 18


@pytest.mark.parametrize("name", FORMATS)
def test_damaged_files_are_errors_or_pictures(name: str) -> None:
    chance = random.Random(name)
    data = frames(name) if name in ("GIF", "WEBP", "PNG", "TIFF") else encoded(halves(), name)
    for _ in range(40):
        damaged = bytearray(data)
        for _ in range(chance.randint(1, 6)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        try:
            decoded = decode(bytes(damaged))
        except (PictureError, MemoryError):
            continue
        assert decoded.width * decoded.height <= limits.MAX_PIXELS


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (png_of_zeros(100_000, 100_000, 1000), "100,000 x 100,000 pixels"),
        (png_of_zeros(2**31 - 1, 1, 0), "2,147,483,647 x 1 pixels"),
        (gif_of_size(65_535, 65_535, (1, 1)), "65,535 x 65,535 pixels"),
        (gif_of_size(1, 1, (65_535, 65_535)), "4,294,836,225 pixels"),
        (webp_of_size(16_384, 16_384), "268,435,456 pixels"),
        (b"P6 65535 65535 255\n", "65,535 x 65,535 pixels"),
        (b"qoif" + (60_000).to_bytes(4, "big") * 2 + b"\3\0", "60,000 x 60,000 pixels"),
    ],
)
def test_bombs_are_refused_by_their_header(data: bytes, size: str, tmp_path: Path) -> None:
    said = problem(written(tmp_path, "bomb.png", data))
    assert f"{size}: expected at most 128,000,000 in all; make it smaller first" in said


def test_a_bomb_of_a_permitted_size_is_a_picture() -> None:
    picture = load_picture(png_of_zeros(20_000, 1600, 1600))
    assert (picture.width, picture.height) == (20_000, 1600)
    assert not any(picture.medium.data)


def test_what_is_no_file(tmp_path: Path) -> None:
    assert "no such file: expected a picture" in problem(tmp_path / "missing.png")
    assert "it is a folder: expected a picture" in problem(tmp_path)
    assert "it is empty (0 bytes): expected a picture" in problem(written(tmp_path, "empty.png", b""))
    os.mkfifo(tmp_path / "pipe.png")
    assert "it is a pipe, socket or device" in problem(tmp_path / "pipe.png")
    assert "it is a pipe, socket or device" in problem(Path("/dev/zero"))
    (tmp_path / "ring.png").symlink_to("ring.png")
    assert "cannot be opened" in problem(tmp_path / "ring.png")
    with (tmp_path / "huge.png").open("wb") as file:
        file.truncate(2**40)
    assert "it has 1,099,511,627,776 bytes: expected at most" in problem(tmp_path / "huge.png")
    with pytest.raises(PictureError, match="cannot be opened"):
        load_picture("nul\0.png")
    assert "0 bytes" in problem(b"")
    for wrong in (None, 5, ["a.png"], object()):
        with pytest.raises(PictureError, match="expected a path, a file's bytes or a PIL"):
            load_picture(wrong)  # type: ignore[arg-type]
    with pytest.raises(PictureError, match="0 x 5 pixels: expected one at least"):
        load_picture(Image.new("RGB", (0, 5)))


def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    path = written(tmp_path, "a.png", PNG)
    monkeypatch.setattr("edgeai.regular_file.os.open", refuse)  # root may read whatever its permissions say
    assert "no permission to read it" in problem(path)


def test_a_program_s_damaged_picture(tmp_path: Path) -> None:
    path = written(tmp_path, "a.png", PNG[:100])
    with pytest.raises(PictureError, match="the picture: it cannot be taken over"), Image.open(path) as image:
        load_picture(image)


def test_a_file_that_changes_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, n_calls = os.fstat, 0

    def other_time(number: int) -> os.stat_result:
        nonlocal n_calls
        n_calls += 1
        found = real(number)
        return os.stat_result((*found[:1], found.st_ino + n_calls, *found[2:10]))

    monkeypatch.setattr("edgeai.regular_file.os.fstat", other_time)
    assert "it changed while it was read" in problem(written(tmp_path, "a.png", PNG))


PROBE = """
import mmap, os, socket, subprocess
from pathlib import Path
path = Path({path!r})
def kind(attempt):
    try:
        attempt()
    except (OSError, MemoryError) as exc:
        return type(exc).__name__
    return "done"
raise child.PictureError(" ".join(kind(attempt) for attempt in (
    path.read_bytes,
    lambda: os.listdir(path.parent),
    lambda: Path("/etc/passwd").read_text(),
    lambda: (path.parent / "new").write_text(""),
    lambda: socket.socket(),
    lambda: socket.socket(socket.AF_UNIX),
    lambda: subprocess.run(["/bin/true"]),
    os.fork,
    lambda: os.kill(os.getppid(), 0),
    lambda: mmap.mmap(-1, 2**33),
    lambda: None,
)) + " expected")
"""


@linux_only
@needs_landlock(1)
def test_the_decoder_reaches_nothing_not_even_the_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, "a.png", PNG)
    instead(monkeypatch, PROBE.format(path=str(path)))
    *refusals, last, _expected = problem(path).partition(": ")[2].split()
    assert last == "done"
    assert len(refusals) == 10
    assert "done" not in refusals


@linux_only
def test_memory_has_a_limit_and_the_process_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "_MEMORY_BYTES", 2**28)
    monkeypatch.setattr(limits, "MAX_FILE_BYTES", 2**20)
    instead(
        monkeypatch, "if len(data) > 9: return real.decode(data)\nparts = []\nwhile True: parts.append(bytes(2**26))"
    )
    with PictureReader() as reader:
        with pytest.raises(PictureError, match="decoding it takes more memory than a picture may"):
            reader.load(b"GIF89a")
        (child,) = psutil.Process().children()
        assert reader.load(PNG).format == "PNG"
        assert psutil.Process().children() == [child]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import os; os.abort()", "crashed (SIGABRT)"),
        ("import ctypes; ctypes.string_at(0)", "crashed (SIGSEGV)"),
        ("import os; os._exit(3)", "crashed (exit code 3)"),
        ("while True: pass", "made no progress for 1 s"),
    ],
)
def test_a_decoder_that_crashes_or_hangs_is_one_line_and_the_next_picture_is_read(
    monkeypatch: pytest.MonkeyPatch, code: str, words: str
) -> None:
    instead(monkeypatch, f"if len(data) > 9: return real.decode(data)\n{code}")
    with PictureReader() as reader:
        assert reader.load(PNG).format == "PNG"
        monkeypatch.setattr(limits, "STALL_S", 1.0 if "progress" in words else 60.0)
        with pytest.raises(PictureError) as caught:
            reader.load(b"GIF89a")
        assert words in str(caught.value)
        assert isinstance(caught.value.__cause__, EngineCrashedError)
        monkeypatch.setattr(limits, "STALL_S", 60.0)
        assert reader.load(PNG).format == "PNG"
    assert not psutil.Process().children()


@pytest.mark.parametrize(
    "code",
    [
        "raw(b'garbage, and more of it')",
        "raw((2**31).to_bytes(4, 'little'))",
        "say(pixels=bytes(5))",
        "say(pixels=b'')",
        "say(width=2**30, height=2**30)",
        "say(width=0)",
        "say(format='EPS')",
        "say(n_frames=0)",
        "say(width=6, height=1)",
    ],
)
def test_a_process_that_lies_is_ended(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    monkeypatch.setattr(process, "_START", IMPOSTOR + code + "\ntime.sleep(60)\n")
    assert "sent what cannot be" in problem(PNG)


def test_hostile_words_from_the_process_are_made_harmless(monkeypatch: pytest.MonkeyPatch) -> None:
    code = "pipe.send(Refused('a\\nb\\x1b[31m\\u202e expected' + 'x' * 10_000))\n"
    monkeypatch.setattr(process, "_START", IMPOSTOR + code)
    assert problem(PNG).startswith("the picture: a b expectedxxx")
    assert len(problem(PNG)) < 1000


def test_no_process_can_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    assert "no process can be started to decode it in" in problem(PNG)


def test_many_pictures_take_one_process(tmp_path: Path) -> None:
    with PictureReader() as reader:
        reader.load(PNG)
        (child,) = psutil.Process().children()
        for data in (b"no picture", PNG[:60], gif_of_size(65_535, 65_535, (1, 1))):
            with pytest.raises(PictureError):
                reader.load(data)
        assert reader.load(written(tmp_path, "a.png", PNG)).medium == reader.load(PNG).medium
        assert psutil.Process().children() == [child]
        reader.close()
        assert not psutil.Process().children()
        assert reader.load(PNG).format == "PNG"
