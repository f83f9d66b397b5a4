"""Asking about pictures and reading them, part by part, against libmtmd and RapidOCR called bare.

speed     from a picture and a question to the first token: a Session against libmtmd's own calls
again     a second question about the same picture, in the same session and after a restart
captions  a folder of photographs: the next one is read while the model works, against one after the other
ocr       pages a minute that are read, against RapidOCR

The model has SmolVLM-256M's real shapes (benchmarks/pictures_model.py): a square picture is 17 tiles of 64 tokens.
Contenders have the same files, threads and pictures, run in processes of their own and take turns. All of it takes
about twenty minutes on two cores with nothing else to do. A short try: --layers 1 --edge 512 --rounds 1.

    python -m benchmarks.pictures [--only PART …] [--rounds N] [--size W H] [--threads N] [--work FOLDER] [--json]
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import pictures_again, pictures_captions, pictures_ocr, pictures_speed
from benchmarks.common import main_json, model_path, print_machine
from benchmarks.pictures_model import Seeing, seeing_model
from edgeai.machine import usable_cores

N_PAGES, PHOTO = 4, (4000, 3000)
_WORK = Path(tempfile.gettempdir()) / "edgeai-pictures-bench"


class Part(NamedTuple):
    """What a part has found, as lines and as plain data."""

    lines: list[str]
    data: Any


def speed(options: argparse.Namespace) -> Part:
    found = pictures_speed.measure(_model(options), options.size, options.rounds, options.threads)
    data = {name: [{"tokens": n, "seconds": seconds} for n, seconds in asked] for name, asked in found.items()}
    return Part(pictures_speed.lines(found, options.size), data)


def again(options: argparse.Namespace) -> Part:
    found = pictures_again.measure(_model(options), options.size, options.rounds, options.threads)
    data = {name: [pair._asdict() for pair in pairs] for name, pairs in found.items()}
    return Part(pictures_again.lines(found), data)


def captions(options: argparse.Namespace) -> Part:
    found = pictures_captions.measure(_model(options), PHOTO, options.pictures, options.rounds, options.threads)
    return Part(pictures_captions.lines(found, options.pictures), [timed._asdict() for timed in found])


def ocr(_options: argparse.Namespace) -> Part:
    found = pictures_ocr.measure(N_PAGES)
    return Part(pictures_ocr.lines(found), {"pages_a_minute": found.rates, "errors": pictures_ocr.errors(found)})


PARTS: dict[str, Callable[[argparse.Namespace], Part]] = {
    "speed": speed,
    "again": again,
    "captions": captions,
    "ocr": ocr,
}


def _model(options: argparse.Namespace) -> Seeing:
    return seeing_model(options.work, model_path(), n_layers=options.layers, edge=options.edge)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, usage="%(prog)s [options]"
    )
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--size", type=int, nargs=2, default=(1024, 1024), metavar=("W", "H"), help="of pictures asked")
    parser.add_argument("--pictures", type=int, default=3, help="that are captioned in a round")
    parser.add_argument("--threads", type=int, default=usable_cores(), help="default: the cores this process may use")
    parser.add_argument("--work", type=Path, default=_WORK, help="where the model is made and kept")
    parser.add_argument("--layers", type=int, default=12, help="of the model's eyes; fewer for a short try")
    parser.add_argument("--edge", type=int, default=2048, help="pixels; 512 makes one tile of a picture")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    if not options.json:
        print_machine()
    found: dict[str, Any] = {}
    for name in options.only:
        part = PARTS[name](options)
        found[name] = part.data
        if not options.json:
            print(f"\n── {name}", *part.lines, sep="\n", flush=True)
    if options.json:
        main_json(found)


if __name__ == "__main__":
    main()
