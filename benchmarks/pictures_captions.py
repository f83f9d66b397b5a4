"""Captions of a folder of photographs: the next one is read while the model works, against one after the other."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

import edgeai
from benchmarks.pictures_model import Seeing
from benchmarks.pictures_speed import N_CTX, picture
from edgeai.vision.caption import captions
from edgeai.vision.caption_file import CaptionFile
from edgeai.vision.picture import PictureReader

MAX_TOKENS = 16
_PROMPT = "Describe this picture."

Caption = Callable[[edgeai.Session, Sequence[Path], CaptionFile], float]


class Timed(NamedTuple):
    """Seconds for all pictures; those of them that reading took, where nothing else ran meanwhile."""

    overlapped_s: float
    in_turn_s: float
    reading_s: float


def overlapped(session: edgeai.Session, paths: Sequence[Path], file: CaptionFile) -> float:
    """As `edgeai caption` does it."""
    made = captions(session, paths, file, _PROMPT, max_tokens=MAX_TOKENS)
    n_made = sum(not isinstance(each, Exception) for _, each in made)
    assert n_made == len(paths)
    return 0.0


def in_turn(session: edgeai.Session, paths: Sequence[Path], _file: CaptionFile) -> float:
    """Read, then asked about, one after the other; seconds of reading."""
    reading_s = 0.0
    with PictureReader() as reader:
        for path in paths:
            started = time.perf_counter()
            medium = reader.load(path).medium
            reading_s += time.perf_counter() - started
            asked = edgeai.Message("user", _PROMPT, media=(medium,))
            session.chat(messages=[asked], temperature=0, max_tokens=MAX_TOKENS).wait()
    return reading_s


def photographs(folder: Path, n: int, size: tuple[int, int]) -> list[Path]:
    """JPEG files of coarse noise, which takes about as long to decode as a photograph."""
    paths = []
    for number in range(n):
        shown = picture(number, size[0] // 8, size[1] // 8)
        paths.append(folder / f"{number}.jpg")
        image = Image.frombytes("RGB", shown.size, shown.data).resize(size, Image.Resampling.BICUBIC)
        image.save(paths[-1], quality=90)
    return paths


def _timed(caption: Caption, files: Seeing, paths: Sequence[Path], n_threads: int, folder: Path) -> tuple[float, float]:
    """In a new session, which knows none of the pictures: seconds, and those of reading."""
    options: dict[str, Any] = {"n_ctx": N_CTX, "n_threads": n_threads, "mmproj_path": str(files.projector)}
    path = folder / "captions.jsonl"
    path.unlink(missing_ok=True)
    with edgeai.Session(files.text, **options) as session, CaptionFile(path) as file:
        session.complete("0", max_tokens=1).wait()
        started = time.perf_counter()
        reading_s = caption(session, paths, file)
        return time.perf_counter() - started, reading_s


def measure(files: Seeing, size: tuple[int, int], n_pictures: int, n_rounds: int, n_threads: int) -> list[Timed]:
    """Rounds of both, by turns."""
    found = []
    with tempfile.TemporaryDirectory(prefix="edgeai-captions-") as name:
        folder = Path(name)
        paths = photographs(folder, n_pictures, size)
        for round_ in range(n_rounds):
            contenders = [overlapped, in_turn][:: 1 if round_ % 2 else -1]
            taken = {each: _timed(each, files, paths, n_threads, folder) for each in contenders}
            found.append(Timed(taken[overlapped][0], *taken[in_turn]))
    return found


def lines(found: Sequence[Timed], n_pictures: int) -> list[str]:
    """The ratio, and the one that would be if reading took nothing from the model's cores."""
    medians = (statistics.median(figures) / n_pictures for figures in zip(*found, strict=True))
    overlapped_s, in_turn_s, reading_s = medians
    ratio = statistics.median(timed.in_turn_s / timed.overlapped_s for timed in found)
    most = in_turn_s / max(in_turn_s - reading_s * (1 - 1 / n_pictures), reading_s)
    return [
        f"captions of {n_pictures} photographs, seconds a picture",
        f"  {'one after the other':<34} {in_turn_s:>10.2f}   of which reading: {reading_s:.2f}",
        f"  {'the next is read meanwhile':<34} {overlapped_s:>10.2f}   times as many a minute: {ratio:.3f}",
        f"  with a core to spare it could be {most:.3f} times as many at most",
    ]
