"""A state's checksum: of all its bytes, whatever threads work it out."""

from __future__ import annotations

import hashlib
import io

import pytest

from edgeai.kv_store.digest import PIECE_BYTES, state_digest

SIZES = (0, 1, PIECE_BYTES, PIECE_BYTES + 1, 7 * PIECE_BYTES + 123)


@pytest.mark.parametrize("n_bytes", SIZES)
def test_it_is_the_hash_of_the_pieces_hashes(n_bytes: int) -> None:
    data = bytes(range(251)) * (n_bytes // 251 + 1)
    data = data[:n_bytes]
    pieces = [data[start : start + PIECE_BYTES] for start in range(0, n_bytes, PIECE_BYTES)]
    expected = hashlib.sha256(b"".join(hashlib.sha256(piece).digest() for piece in pieces)).hexdigest()
    assert state_digest(io.BytesIO(data)) == (n_bytes, expected)


@pytest.mark.parametrize("place", [0, PIECE_BYTES - 1, PIECE_BYTES, 6 * PIECE_BYTES + 5])
def test_a_flipped_bit_and_pieces_in_another_order_show(place: int) -> None:
    data = bytearray(range(256)) * (7 * PIECE_BYTES // 256)
    for n, start in enumerate(range(0, len(data), PIECE_BYTES)):
        data[start] = n
    whole = state_digest(io.BytesIO(bytes(data)))
    swapped = data[PIECE_BYTES : 2 * PIECE_BYTES] + data[:PIECE_BYTES] + data[2 * PIECE_BYTES :]
    assert state_digest(io.BytesIO(bytes(swapped))) != whole
    data[place] ^= 1
    assert state_digest(io.BytesIO(bytes(data))) != whole
