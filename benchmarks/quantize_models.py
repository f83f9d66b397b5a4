"""The checkpoints that `benchmarks.quantize` measures on: made once, in a folder that is kept."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from benchmarks.common import model_path
from edgeai.files import free_bytes
from tests.quantize.big_checkpoints import LLAMA_1B, LLAMA_3B, LlamaShape, big_checkpoint
from tests.quantize.smollm2 import SMOLLM2_FOLDER, smollm2_checkpoint

SMOLLM2 = "smollm2"
BIG: Mapping[str, LlamaShape] = {"1b": LLAMA_1B, "3b": LLAMA_3B}
NAMES = (SMOLLM2, *BIG)
MEMORY_ONLY = "3b"
_SMOLLM2_BYTES = 271_200_000
_FILES_A_CHECKPOINT = 3  # itself, the peer's intermediate file, and artifacts of both sides


class Source(NamedTuple):
    """A checkpoint.

    Attributes:
        name: for the report.
        folder: where it is.
    """

    name: str
    folder: Path

    @property
    def weights(self) -> list[Path]:
        """Its files of weights."""
        return sorted(self.folder.glob("*.safetensors"))

    @property
    def n_bytes(self) -> int:
        """Of the weights."""
        return sum(path.stat().st_size for path in self.weights)

    @property
    def largest_f32_bytes(self) -> int:
        """Of the largest tensor as float32, by the files' headers."""
        sizes = []
        for path in self.weights:
            with path.open("rb") as file:
                header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
            header.pop("__metadata__", None)
            sizes += [4 * _product(entry["shape"]) for entry in header.values()]
        return max(sizes)


def prepared(name: str, work: Path) -> Source:
    """A checkpoint of NAMES, made if it is not there yet; the disk is asked first.

    Raises:
        SystemExit: the disk has no room.
    """
    n_bytes = _SMOLLM2_BYTES if name == SMOLLM2 else BIG[name].n_bytes
    folder = work / (SMOLLM2_FOLDER if name == SMOLLM2 else f"Llama-random-{name.upper()}")
    work.mkdir(parents=True, exist_ok=True)
    check_room(work, n_bytes * (_FILES_A_CHECKPOINT - folder.is_dir()))
    if name == SMOLLM2:
        done = folder / "tokenizer_config.json"  # which is written last
        return Source(folder.name, folder if done.is_file() else smollm2_checkpoint(model_path(), folder))
    return Source(folder.name, big_checkpoint(folder, BIG[name], prepared(SMOLLM2, work).folder))


def given(folder: Path, work: Path) -> Source:
    """A checkpoint of the user's.

    Raises:
        SystemExit: it has no weights, or the disk has no room for what is made of it.
    """
    source = Source(folder.resolve().name, folder.resolve())
    if not source.weights:
        raise SystemExit(f"{folder}: no *.safetensors there, expected a Hugging Face folder: check --checkpoint")
    work.mkdir(parents=True, exist_ok=True)
    check_room(work, source.n_bytes * (_FILES_A_CHECKPOINT - 1))
    return source


def check_room(work: Path, n_bytes: int) -> None:
    """Refuse before hours of work what the disk cannot hold."""
    if (free := free_bytes(work)) < n_bytes:
        raise SystemExit(f"{work}: {n_bytes:,} bytes are needed and {free:,} are free: choose another place by --work")


def _product(shape: list[int]) -> int:
    product = 1
    for size in shape:
        product *= size
    return product
