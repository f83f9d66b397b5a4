"""A hostile header costs little time and memory, however much it claims."""

from __future__ import annotations

import re
import struct
import sys
import time
from pathlib import Path

import pytest

from edgeai.errors import ModelFormatError
from edgeai.gguf_header import read_header
from tests.gguf_parts import STRING, U64
from tests.gguf_raw import ARCHITECTURE, array_head, file, string_head, text

ONE_TENSOR = text(b"t") + struct.pack("<IQIQ", 1, 32, 0, 0)


def test_hostile_counts_cost_nothing(tmp_path: Path) -> None:
    """A hundred gigabytes of zeros: counts and lengths within the file, so that only the limits stop the loops."""
    path = tmp_path / "huge.gguf"
    file(0, 1, array_head(STRING, 2**21), 100 * 10**9)(path)
    cost(path, "general.architecture = None")


def test_huge_but_consistent_headers_cost_little(tmp_path: Path) -> None:
    """As many strings, long arrays or texts as there may be, all of them really there."""
    strings = array_head(STRING, 2**21) + bytes(8 * 2**21)
    arrays = b"".join(array_head(U64, 512, b"k%d" % key) + b"\x01" * 8 * 512 for key in range(2047))
    texts = b"".join(string_head(b"k%d" % key, 2**20) + b"x" * 2**20 for key in range(9))
    for n_keys, body, says in ((1, strings, "tensor 0"), (2047, arrays, "tensor 0"), (9, texts, "bytes of text")):
        path = tmp_path / "large.gguf"
        file(1, n_keys, body, len(body) + 2**20)(path)
        cost(path, says)
    tokens = array_head(STRING, 2**19 + 1, b"tokenizer.ggml.tokens") + bytes(8 * (2**19 + 1))
    file(1, 3, ARCHITECTURE + string_head(b"tokenizer.ggml.model", 4) + b"gpt2" + tokens + ONE_TENSOR, 2**23)(path)
    cost(path, "524,289 tokens")


def cost(path: Path, says: str) -> None:
    """Reading a file is refused with these words, in less than a second and 80 MB."""
    started = time.process_time()
    with pytest.raises(ModelFormatError, match=says):
        read_header(path)
    assert time.process_time() - started < 1
    if sys.platform == "linux":
        assert extra_bytes(path) < 80 * 2**20


def extra_bytes(path: Path) -> int:
    """How much more memory than before the process had at most while it read a file."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    before = memory_bytes("VmRSS")
    with pytest.raises(ModelFormatError):
        read_header(path)
    return memory_bytes("VmHWM") - before


def memory_bytes(name: str) -> int:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(re.findall(rf"{name}:\s+(\d+) kB", status)[0]) * 1024
