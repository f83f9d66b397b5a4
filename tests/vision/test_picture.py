"""Pictures of every format and mode, as a model takes them in; the reference is what they were made of."""

from __future__ import annotations

import base64
import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps

from edgeai.media import MAX_PICTURE_PIXELS, MAX_PICTURE_SIDE
from edgeai.vision.convert import fitting
from edgeai.vision.decode import decode
from edgeai.vision.finding import find_pictures
from edgeai.vision.picture import LoadedPicture, PictureReader, load_picture
from tests.vision.picture_files import BLUE, FORMATS, RED, SIZE, encoded, frames, halves, written

Pixels = NDArray[np.uint8]
WHITE = (255, 255, 255)
HEIC = base64.b64decode(
    "AAAAHGZ0eXBoZWljAAAAAG1pZjFoZWljbWlhZgAAAchtZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAAAAAAAAAAAA"
    "ADRpbG9jAAAAAERAAAIAAQAAAAAB7AABAAAAAAAAAGoAAgAAAAACVgABAAAAAAAAACQAAAA4aWluZgAAAAAAAgAAABVpbmZlAgAA"
    "AAABAABodmMxAAAAABVpbmZlAgAAAQACAABFeGlmAAAAAA5waXRtAAAAAAABAAABB2lwcnAAAADmaXBjbwAAAHZodmNDAQNwAAAA"
    "kAAAAAAAHvAA/P34+AAADwNgAAEAGEABDAH//wNwAAADAJAAAAMAAAMAHroCQGEAAQAqQgEBA3AAAAMAkAAAAwAAAwAeoCCBBZbq"
    "5Ka5uAhoMCAAAAMDIAAAAwAhYgABAAZEAcFzwIkAAAATY29scm5jbHgAAQANAAaAAAAAFGlzcGUAAAAAAAAAQAAAAEAAAAAoY2xh"
    "cAAAAEAAAAABAAAAIAAAAAEAAAAAAAAAAv///+AAAAACAAAAEHBpeGkAAAAAAwgICAAAAAlpcm90AwAAABlpcG1hAAAAAAAAAAEA"
    "AQaBAgMFhIYAAAAaaXJlZgAAAAAAAAAOY2RzYwACAAEAAQAAAJZtZGF0AAAAZigBrxOA+BDhp//8TSj/+nXPD9PMiYn/+tNSR/hU"
    "O//WicPySkWzrHl9nv8H4h1KpEq3xpK+HfM2sf+d4tvFAhneIy6JZXLEP+zlxMa+qdw77mN6fapRbf83mqG4xuGn3Gx6O58SuAAA"
    "AAZFeGlmAABNTQAqAAAACAABARIAAwAAAAEABgAAAAAAAA=="
)
"""Red left of blue, 64 x 32, and turned a quarter clockwise by its EXIF orientation; made with pillow-heif 1.8."""


def here(data: bytes) -> Pixels:
    """A file's pixels, [height, width, 3], decoded in this process."""
    decoded = decode(data)
    width, height = fitting(decoded.width, decoded.height)
    return np.frombuffer(decoded.pixels, np.uint8).reshape(height, width, 3)


def pixels(picture: LoadedPicture) -> Pixels:
    width, height = picture.medium.size
    return np.frombuffer(picture.medium.data, np.uint8).reshape(height, width, 3)


def near(found: Pixels, expected: object, tolerance: int = 6) -> bool:
    return bool(np.abs(found.astype(int) - np.asarray(expected, int)).max() <= tolerance)


def test_every_format_is_read_in_the_sandbox(tmp_path: Path) -> None:
    with PictureReader() as reader:
        for name in FORMATS:
            path = written(tmp_path, f"a.{name.lower()}", encoded(halves(), name))
            picture = reader.load(path)
            assert (picture.name, picture.format) == (path.name, name)
            assert (picture.width, picture.height) == picture.medium.size == SIZE
            assert picture.notes == ()
            shown = pixels(picture)
            assert near(shown[8:24, 4:20], RED, 12), name
            assert near(shown[8:24, 28:44], BLUE, 12), name


def test_paths_bytes_and_pillows_pictures_are_the_same(tmp_path: Path) -> None:
    data = encoded(halves(), "PNG")
    path = written(tmp_path, "ä\n b.png", data)
    opened = Image.open(io.BytesIO(data))
    found = [load_picture(source) for source in (path, str(path), data, halves(), opened)]
    assert len({picture.medium.sha256 for picture in found}) == 1
    assert [(picture.name, picture.format) for picture in found] == [
        ("ä  b.png", "PNG"),
        ("ä  b.png", "PNG"),
        ("", "PNG"),
        ("", ""),
        ("", "PNG"),
    ]
    assert pixels(found[0]).tolist() == np.asarray(halves()).tolist()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_exif_orientation(name: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = halves()
    image.paste((0, 200, 0), (0, 0, 16, 16))  # no two of the eight are alike
    tagged = image.copy()
    tagged.info["exif"] = exif.tobytes()
    data = encoded(image, name, exif=exif.tobytes())
    upright = ImageOps.exif_transpose(tagged)
    decoded = decode(data)
    assert (decoded.width, decoded.height) == upright.size
    found = here(data).astype(int)
    assert np.abs(found - np.asarray(upright, int)).mean() < 12
    other = np.asarray(ImageOps.mirror(upright), int)
    assert np.abs(found - other).mean() > 30


def test_a_program_s_picture_is_turned_upright_too() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = load_picture(Image.open(io.BytesIO(encoded(halves(), "PNG", exif=exif))))
    assert (picture.width, picture.height) == picture.medium.size == SIZE[::-1]
    assert near(pixels(picture)[4, 4], RED)
    assert near(pixels(picture)[-4, 4], BLUE)


def test_damaged_exif_is_no_matter() -> None:
    for exif in (b"Exif\0\0" + b"\xff" * 40, b"Exif\0\0II*\0\x08\0\0\0\xff\xff", b"Exif\0\0"):
        assert near(here(encoded(halves(), "JPEG", exif=exif))[8, 8], RED, 12)


def test_transparency_is_shown_on_white() -> None:
    image = halves().convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(SIZE))
    expected = Image.alpha_composite(Image.new("RGBA", SIZE, "white"), image).convert("RGB")
    for name in ("PNG", "WEBP", "TIFF"):
        options = {"lossless": True} if name == "WEBP" else {}
        assert near(here(encoded(image, name, **options)), np.asarray(expected), 2), name
    grey = Image.merge("LA", (Image.new("L", SIZE, 0), Image.linear_gradient("L").resize(SIZE)))
    shown = here(encoded(grey, "PNG"))
    assert near(shown, np.repeat(255 - np.asarray(grey.getchannel("A"))[..., None], 3, axis=2), 1)


def test_transparency_of_palettes_and_single_colours() -> None:
    palette = halves().quantize(4)
    transparent = palette.getpixel((2, 2))
    for name in ("PNG", "GIF"):
        shown = here(encoded(palette, name, transparency=transparent))
        assert near(shown[4, 4], WHITE)
        assert near(shown[4, 40], BLUE)
    keyed = here(encoded(halves(), "PNG", transparency=RED))
    assert near(keyed[4, 4], WHITE)
    assert near(keyed[4, 40], BLUE)
    many = here(encoded(palette, "PNG", transparency=bytes([128] * 4)))
    assert near(many[4, 4], [(channel + 255) // 2 for channel in RED])


def test_transparent_edges_do_not_bleed_when_made_smaller() -> None:
    image = Image.new("RGBA", (20_000, 40), (0, 255, 0, 0))  # green that is not seen
    image.paste((*RED, 255), (0, 0, 10_000, 40))
    shown = pixels(load_picture(image))
    greenest = shown[..., 1].astype(int) - shown[..., 0]
    assert greenest.max() <= 0


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "I;16", "I", "F", "LA", "PA", "RGBX", "YCbCr", "HSV"])
def test_every_mode_of_a_program_s_pictures(mode: str) -> None:
    ramp = np.linspace(0, 255, 64).astype(np.uint8)
    grey = Image.fromarray(np.tile(ramp, (8, 1)))
    if mode == "I;16":
        image = Image.fromarray(np.tile(ramp.astype(np.uint16) * 257, (8, 1)))
    elif mode == "I":
        image = Image.fromarray(np.tile(ramp.astype(np.int32) * 257, (8, 1)))
    elif mode == "F":
        image = Image.fromarray(np.tile(ramp.astype(np.float32) / 255, (8, 1)))
    elif mode in ("P", "PA"):
        image = grey.convert("P").convert(mode)
    else:
        image = (grey.convert("RGB") if mode in ("CMYK", "RGBX", "YCbCr", "HSV") else grey).convert(mode)
    assert image.mode == mode
    shown = pixels(load_picture(image))
    if mode == "1":
        assert set(np.unique(shown)) == {0, 255}
        assert shown[:, :8].mean() < 60 < 200 < shown[:, -8:].mean()
    else:
        assert near(shown, np.repeat(np.asarray(grey)[..., None], 3, axis=2), 3)


def test_16_bits_and_floating_point_from_files() -> None:
    ramp = np.tile(np.linspace(0, 1, 64, dtype=np.float32), (8, 1))
    expected = np.repeat((ramp * 255).astype(np.uint8)[..., None], 3, axis=2)
    deep = Image.fromarray((ramp * 65_535).astype(np.uint16))
    for name in ("PNG", "TIFF", "PPM"):
        assert near(here(encoded(deep, name)), expected, 2), name
    assert near(here(encoded(Image.fromarray(ramp), "TIFF")), expected, 2)
    wild = ramp * 1000 - 300
    wild[0, :3] = np.nan, np.inf, -np.inf
    shown = here(encoded(Image.fromarray(wild), "TIFF"))
    assert (shown[4, 0, 0], shown[4, -1, 0]) == (0, 255)


def test_cmyk_of_files_and_printers_inverted_ones() -> None:
    cyan = Image.new("CMYK", SIZE, (255, 0, 0, 0))
    for name in ("JPEG", "TIFF"):
        assert near(here(encoded(cyan, name)), (0, 255, 255), 12)


def test_a_colour_profile_is_followed() -> None:
    """Source: Lab is device-independent, and Pillow's own transform of the whole picture is the reference."""
    lab = ImageCms.createProfile("LAB")
    srgb = ImageCms.createProfile("sRGB")
    image = ImageCms.profileToProfile(halves(), srgb, lab, outputMode="LAB")
    assert image is not None
    image.info["icc_profile"] = ImageCms.ImageCmsProfile(lab).tobytes()
    assert near(pixels(load_picture(image)), np.asarray(halves()), 16)  # eight bits of Lab are coarse
    tagged = encoded(halves(), "PNG", icc_profile=ImageCms.ImageCmsProfile(srgb).tobytes())
    assert here(tagged).tolist() == np.asarray(halves()).tolist()
    assert here(encoded(halves(), "PNG", icc_profile=b"no profile")).tolist() == np.asarray(halves()).tolist()


@pytest.mark.parametrize(
    ("name", "parts"), [("GIF", "frames"), ("WEBP", "frames"), ("PNG", "frames"), ("TIFF", "pages")]
)
def test_of_several_frames_the_first(name: str, parts: str) -> None:
    picture = load_picture(frames(name, 12))
    assert picture.notes == (f"first of 12 {parts}",)
    assert near(pixels(picture)[8, 8], RED, 12)


def test_a_wrong_name_is_said(tmp_path: Path) -> None:
    picture = load_picture(written(tmp_path, "a.PNG", encoded(halves(), "JPEG")))
    assert (picture.format, picture.notes) == ("JPEG", ("called .png, but it is JPEG",))
    assert load_picture(written(tmp_path, "photo", encoded(halves(), "JPEG"))).notes == ()


def test_telephones_second_pictures_are_left_alone() -> None:
    """MPO: a JPEG file with further ones behind it."""
    data = encoded(halves(), "MPO", save_all=True, append_images=[Image.new("RGB", (5, 5))])
    picture = load_picture(data)
    assert (picture.format, picture.medium.size, picture.notes) == ("JPEG", SIZE, ())


@pytest.mark.parametrize(
    ("size", "smaller"),
    [((1, 1), (1, 1)), ((30_000, 10), (16_384, 5)), ((1, 17_000), (1, 16_384))],
)
def test_sizes(size: tuple[int, int], smaller: tuple[int, int]) -> None:
    picture = load_picture(encoded(Image.new("L", size, 90), "PNG"))
    assert picture.medium.size == smaller
    assert (picture.width, picture.height) == size
    assert smaller[0] * smaller[1] <= MAX_PICTURE_PIXELS
    assert picture.notes == ((f"made smaller from {size[0]:,} x {size[1]:,}",) if size != smaller else ())
    assert set(picture.medium.data) == {90}


def test_fitting_keeps_the_ratio_and_the_limits() -> None:
    for width, height in [
        (9000, 7000),
        (7000, 9000),
        (128_000_000, 1),
        (16_384, 1024),
        (16_385, 1024),
        (11_313, 11_313),
    ]:
        found = fitting(width, height)
        assert found == fitting(height, width)[::-1]
        assert max(found) <= MAX_PICTURE_SIDE
        assert found[0] * found[1] <= MAX_PICTURE_PIXELS
        assert abs(found[0] / found[1] / (width / height) - 1) < 0.01 or min(found) == 1
    assert fitting(16_384, 1024) == (16_384, 1024)


def test_a_large_photograph_is_decoded_smaller() -> None:
    """A JPEG decoder's own reduction, and then the filter: the mean of the picture stays, also where it is turned."""
    exif = Image.Exif()
    exif[0x0112] = 6
    image = halves((34_000, 300))
    picture = load_picture(encoded(image, "JPEG", exif=exif))
    assert (picture.width, picture.height) == (300, 34_000)
    assert picture.medium.size == fitting(300, 34_000)
    shown = pixels(picture)
    assert near(shown[: shown.shape[0] // 2 - 8], RED, 12)
    assert near(shown[shown.shape[0] // 2 + 8 :], BLUE, 12)


def test_heic_where_its_library_is_installed() -> None:
    pytest.importorskip("pi_heif")
    picture = load_picture(HEIC)
    assert (picture.format, picture.width, picture.height) == ("HEIF", 32, 64)
    assert near(pixels(picture)[4, 4], (254, 0, 0))
    assert near(pixels(picture)[-4, 4], (0, 0, 254))


def test_finding_pictures(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for name in ("b.jpg", "a.PNG", "sub/c.webp", "notes.txt", ".hidden.png", "x.pdf"):
        (tmp_path / name).write_bytes(b"x")
    found = list(find_pictures([tmp_path, tmp_path / "b.jpg", tmp_path / "none", str(tmp_path / "*.gif")]))
    assert [path.name for path in found if isinstance(path, Path)] == ["a.PNG", "b.jpg", "c.webp"]
    assert [str(error).partition(": ")[2] for error in found if not isinstance(error, Path)] == [
        "no such file or folder: expected a picture, a folder or a glob; check the path",
        "matches no picture: expected files like .jpg, .png, .webp; check the pattern",
    ]


def test_importing_it_loads_no_library() -> None:
    code = "import sys, json, edgeai.vision.picture, edgeai.vision.finding; print(json.dumps(sorted(sys.modules)))"
    loaded = {name.partition(".")[0] for name in json.loads(subprocess.check_output([sys.executable, "-c", code]))}
    assert not loaded & {"PIL", "numpy", "msgspec", "textual"}
