"""The checksum of a state: of its pieces at once, as it is waited for."""

from __future__ import annotations

import hashlib
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import BinaryIO

from edgeai.machine import usable_cores

PIECE_BYTES = 2**22
_MAX_THREADS = 4


def state_digest(file: BinaryIO) -> tuple[int, str]:
    """The size of a file, and the SHA-256 of its pieces' SHA-256s, in hexadecimal.

    Args:
        file: from where it is read to its end.
    Raises:
        OSError: it cannot be read.
    """
    n_threads = min(_MAX_THREADS, usable_cores())
    whole, n_bytes = hashlib.sha256(), 0
    with ThreadPoolExecutor(n_threads, "edgeai-digest") as pool:
        running = deque[Future[bytes]]()
        while piece := file.read(PIECE_BYTES):
            n_bytes += len(piece)
            running.append(pool.submit(_sha256, piece))
            if len(running) > n_threads:  # no more of the file than this stands in memory
                whole.update(running.popleft().result())
        for future in running:
            whole.update(future.result())
    return n_bytes, whole.hexdigest()


def _sha256(piece: bytes) -> bytes:
    return hashlib.sha256(piece).digest()
