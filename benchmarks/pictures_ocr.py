"""Pages a minute that are read, and errors, against RapidOCR called bare; side by side, page by page.

python -m benchmarks.pictures_ocr [--pages 4] [--font FILE]
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import jiwer
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from benchmarks.common import print_machine, ratio_lines
from edgeai.machine import usable_cores
from edgeai.media import Medium
from edgeai.vision.ocr import read_text

if TYPE_CHECKING:
    from numpy.typing import NDArray

FONT = Path("/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc")  # Debian: fonts-noto-cjk
_WIDTH, _HEIGHT = 1654, 2339  # A4 at 200 dpi
_SIZES = (25, 28, 33)  # 9, 10 and 12 points
_MARGIN, _N_LINES = 150, 36
_ENGLISH = (
    *("the", "filter", "pump", "valve", "is", "replaced", "cleaned", "every", "month", "500", "hours", "before"),
    *("after", "use", "of", "oil", "and", "water"),
)
_JAPANESE = (
    *("装置", "の", "点検", "は", "毎月", "行い", "結果", "を", "記録", "する", "ポンプ", "交換", "500時間", "ごと"),
    *("に", "油", "と", "水", "温度", "が", "高い", "とき", "停止"),
)

Read = Callable[["NDArray[np.uint8]"], str]


def page(number: int, font_path: Path) -> tuple[NDArray[np.uint8], list[str]]:
    """A page of lines, English and Japanese by turns, with a little noise. [height, width, 3], RGB; its lines."""
    rng = random.Random(number)
    size = _SIZES[number % len(_SIZES)]
    font = ImageFont.truetype(font_path, size)
    picture = Image.new("RGB", (_WIDTH, _HEIGHT), "white")
    pen = ImageDraw.Draw(picture)
    lines = []
    for at in range(_N_LINES):
        words, glue = (_ENGLISH, " ") if at % 2 else (_JAPANESE, "")
        line = rng.choice(words)
        while font.getlength(longer := line + glue + rng.choice(words)) < _WIDTH - 2 * _MARGIN:
            line = longer
        pen.text((_MARGIN, _MARGIN + at * 55), line, font=font, fill=(40, 40, 40))
        lines.append(line)
    noise = np.random.default_rng(number).normal(0, 6, (_HEIGHT, _WIDTH, 1))
    return np.clip(np.asarray(picture) + noise, 0, 255).astype(np.uint8), lines


def ours(pixels: NDArray[np.uint8]) -> str:
    """Through edgeai."""
    return read_text(Medium.picture(pixels.tobytes(), pixels.shape[1], pixels.shape[0])).text


def bare() -> Read:
    """RapidOCR as its README calls it, with as many threads as ours."""
    from rapidocr import RapidOCR

    threads = {"EngineConfig.onnxruntime.intra_op_num_threads": usable_cores()}
    engine: Any = RapidOCR(params={"Global.log_level": "critical", **threads})
    return lambda pixels: "\n".join(engine(np.ascontiguousarray(pixels[:, :, ::-1])).txts or ())


class Pages(NamedTuple):
    """What each reader did with the same pages.

    Attributes:
        rates: pages a minute, one figure a page.
        texts: what was read, without spaces.
        truth: what is written, without spaces.
    """

    rates: dict[str, list[float]]
    texts: dict[str, list[str]]
    truth: list[str]


def measure(n_pages: int, font: Path = FONT) -> Pages:
    """Both readers, by turns on each page."""
    readers: dict[str, Read] = {"edgeai": ours, "RapidOCR": bare()}
    found = Pages({name: [] for name in readers}, {name: [] for name in readers}, [])
    for read in readers.values():  # loads them
        read(np.full((64, 64, 3), 255, np.uint8))
    for number in range(n_pages):
        pixels, written = page(number, font)
        found.truth.append("".join(written).replace(" ", ""))
        for name in list(readers)[:: 1 if number % 2 else -1]:
            began = time.perf_counter()
            text = readers[name](pixels)
            found.rates[name].append(60 / (time.perf_counter() - began))
            found.texts[name].append("".join(text.split()))
    return found


def errors(found: Pages) -> dict[str, float]:
    """The share of wrong characters of each."""
    return {name: float(jiwer.cer(found.truth, texts)) for name, texts in found.texts.items()}


def lines(found: Pages) -> list[str]:
    """Pages a minute, the ratio, and character errors."""
    made = ratio_lines("pages a minute, A4 at 200 dpi", found.rates, "edgeai", higher_is_better=True)
    for name, share in errors(found).items():
        made.append(f"  {name:<34} {100 * share:>9.2f} % of characters wrong, without spaces")
    return made


def main() -> None:
    """Print it all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--pages", type=int, default=4)
    parser.add_argument("--font", type=Path, default=FONT)
    asked = parser.parse_args()
    print_machine()
    print("\n".join(lines(measure(asked.pages, asked.font))))


if __name__ == "__main__":
    main()
