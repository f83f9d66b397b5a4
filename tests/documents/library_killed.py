"""A process that writes into a library until it is killed; says each document that is durably in or out."""

from __future__ import annotations

import random
import sys
from pathlib import Path

from edgeai.documents.library import Library
from edgeai.documents.types import Block, Document


def document(number: int, version: int) -> Document:
    """Several passages, all of which hold words of their own version."""
    blocks = tuple(Block(f"doc{number} version{number}x{version} part{part}. " + "filler " * 110) for part in range(4))
    return Document(Path(f"/killed/{number}.txt"), "text", f"Title {number}", f"{version:064}", blocks)


def main(folder: str, seed: int) -> None:
    rng = random.Random(seed)
    with Library.open(Path(folder)) as library:
        while True:
            number = rng.randrange(12)
            if rng.random() < 0.3:
                print(f"remove {number} 0", flush=True)
                library.remove(Path(f"/killed/{number}.txt"))
            else:
                version = rng.randrange(1, 1_000_000)
                print(f"add {number} {version}", flush=True)
                library.add(document(number, version))
            print("done", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
