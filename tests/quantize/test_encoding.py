"""Tensors encoded piece by piece: the pieces make the whole, and memory does not grow with it."""

from __future__ import annotations

import subprocess
import sys
import threading
import weakref
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgeai.errors import CheckpointError, QuantizeError
from quantize import encoding
from quantize.base import Tensor
from quantize.encoding import encoded, weights_of
from quantize.ggml import encode
from quantize.gguf_format import tensor_bytes
from quantize.gguf_source import GGUFTensor
from quantize.pipeline import Model, Options, open_model, quantize_model
from quantize.plan import Planned, write_sparse_header
from tests.quantize.float_files import float_file
from tests.quantize.tiny_weights import F32

TALL = 2**17  # rows of 256: a tensor of 134 MB


def planned(values: F32, qtype: str, name: str = "blk.0.ffn_up.weight") -> Planned:
    tensor = Tensor(name, values.shape, "F32", lambda: values)
    return Planned(tensor, qtype, tensor_bytes(values.shape, qtype), "")


def normal(*shape: int, seed: int = 0) -> F32:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def joined(items: list[Planned], weights: F32 | None = None, *, n_threads: int = 2, check: bool = True) -> bytes:
    """All bytes of the tensors."""
    by_name = {} if weights is None else {items[0].tensor.name: weights}
    return b"".join(piece.tobytes() for _, piece in encoded(items, by_name, n_threads, check=check))


@pytest.mark.parametrize("shape", [(), (7,), (9, 32), (3, 5, 32), (2, 2, 3, 64), (1, 1, 32), (0, 32), (4, 1)])
@pytest.mark.parametrize("piece_bytes", [1, 500, 2**20])
def test_the_pieces_make_the_whole(shape: tuple[int, ...], piece_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoding, "_PIECE_BYTES", piece_bytes)
    values = normal(*shape)
    qtype = "Q8_0" if shape and shape[-1] % 32 == 0 else "F16"
    rows = values.reshape(-1, shape[-1] if shape else 1)
    assert joined([planned(values, qtype)]) == encode(rows, qtype).tobytes()


@pytest.mark.parametrize("n_threads", [1, 2, 7])
@pytest.mark.parametrize("large_bytes", [1, 2**20])
def test_tensors_come_in_order_by_any_number_of_threads(
    n_threads: int, large_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoding, "_PIECE_BYTES", 256 * 4)
    monkeypatch.setattr(encoding, "_LARGE_BYTES", large_bytes)
    tensors = [normal(rows, 256, seed=rows) for rows in (1, 9, 4, 30, 2)]
    items = [planned(values, "Q4_K", f"blk.{index}.ffn_up.weight") for index, values in enumerate(tensors)]
    expected = b"".join(encode(values, "Q4_K").tobytes() for values in tensors)
    assert joined(items, n_threads=n_threads) == expected


def test_threads_end_where_nobody_wants_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoding, "_PIECE_BYTES", 1)
    before = threading.active_count()
    pieces = encoded([planned(normal(1000, 32), "Q8_0")], {}, 3, check=True)
    next(pieces)
    pieces.close()
    assert threading.active_count() == before


def test_a_large_tensor_is_gone_when_the_next_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoding, "_LARGE_BYTES", 1)
    read: list[weakref.ref[F32]] = []

    def large(name: str) -> Planned:
        def values() -> F32:
            assert not any(ref() is not None for ref in read)
            array = normal(64, 256)
            read.append(weakref.ref(array))
            return array

        item = planned(np.empty((64, 256), np.float32), "Q8_0", name)
        return replace(item, tensor=replace(item.tensor, read=values))

    joined([large("blk.0.attn_q.weight"), large("blk.0.attn_k.weight"), large("blk.1.attn_q.weight")])
    assert len(read) == 3


def test_more_threads_have_smaller_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    item = planned(normal(4096, 256), "F32")  # 4 MB
    for n_threads, n_pieces in ((1, 4), (2, 4), (4, 4), (8, 8), (10**6, 64)):
        monkeypatch.setattr(encoding, "_PIECE_BYTES", 2**20)
        monkeypatch.setattr(encoding, "_IN_WORK_BYTES", 2**22)
        pieces = [piece for _, piece in encoded([item], {}, n_threads, check=True)]
        assert len(pieces) == n_pieces
        assert b"".join(piece.tobytes() for piece in pieces) == item.tensor.read().tobytes()


def test_what_is_in_flight_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the first piece waits, no more is read than the bound allows, whatever the number of threads."""
    first, n_read = threading.Event(), 0
    lock = threading.Lock()

    def counted(read: object, *_: object) -> np.ndarray:
        nonlocal n_read
        with lock:
            n_read += 1
            is_first = n_read == 1
        if is_first:
            first.wait(30)
        return np.zeros((1, 2**16), np.uint8)

    monkeypatch.setattr(encoding, "_encode", counted)
    monkeypatch.setattr(encoding, "_IN_WORK_BYTES", 2**20)
    pieces = encoded([planned(normal(2**14, 256), "F32")], {}, 1000, check=True)  # 16 MB
    threading.Timer(0.5, first.set).start()
    next(pieces)
    assert n_read <= (encoding._PIECES_A_THREAD + 1) * 16 + 1  # 16 threads, each with a piece of 64 KiB
    pieces.close()


def test_each_matrix_of_a_stack_has_its_own_importance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoding, "_PIECE_BYTES", 3 * 256 * 4)
    values = normal(4, 5, 256)
    item = planned(values, "IQ4_XS")
    importance = np.random.default_rng(1).uniform(0.1, 9, 4 * 256).astype(np.float32)
    weights = weights_of([item], {item.tensor.name: importance}, "IQ4_XS")[item.tensor.name]
    made = joined([item], weights)
    expected = [encode(values[place], "IQ4_XS", importance[place * 256 :][:256]) for place in range(4)]
    assert made == b"".join(rows.tobytes() for rows in expected)


def test_an_importance_matrix_of_another_model_is_refused() -> None:
    item, embedding = planned(normal(4, 256), "Q4_K"), planned(normal(4, 256), "Q4_K", "token_embd.weight")
    wrong = np.ones(128, np.float32)
    with pytest.raises(QuantizeError, match=r"has 128 numbers for blk\.0\.ffn_up\.weight, expected 256"):
        weights_of([item], {item.tensor.name: wrong}, "Q4_K_M")
    assert weights_of([embedding], {"token_embd.weight": wrong}, "Q4_K_M") == {}  # as llama.cpp passes over it
    for bad in (np.nan, np.inf, -1):
        with pytest.raises(QuantizeError, match="negative or not finite"):
            weights_of([item], {item.tensor.name: np.full(256, bad, np.float32)}, "Q4_K_M")


def test_a_tensor_that_is_not_as_large_as_it_said_is_refused(tmp_path: Path) -> None:
    model = open_model(float_file(tmp_path, "llama"))
    last = model.tensors[-1]
    assert isinstance(last, GGUFTensor)
    short = replace(last, read_encoded=lambda start, stop: last.read_encoded(start, stop)[:, :-4].copy())
    lying = Model(model.metadata, [*model.tensors[:-1], short])
    with pytest.raises(CheckpointError, match=f"{last.name} came with .* bytes, expected .*; start again"):
        quantize_model(lying, tmp_path / "a.gguf", Options(ftype="F32"))
    assert not (tmp_path / "a.gguf").exists()


@pytest.mark.parametrize(("value", "qtype", "advice"), [(np.nan, "Q4_0", "allow-nan"), (1e6, "F16", "--tensor-type")])
def test_bad_numbers_are_named_with_what_to_do(value: float, qtype: str, advice: str) -> None:
    values = normal(4, 32)
    values[3, 31] = value
    with pytest.raises(CheckpointError, match=rf"blk\.0\.ffn_up\.weight: it holds .*{advice}"):
        joined([planned(values, qtype)])


def test_what_is_allowed_and_still_cannot_be_says_so() -> None:
    values = normal(4, 256)
    values[0, 0] = np.nan
    assert len(joined([planned(values, "Q4_K")], check=False)) == 4 * 144
    with pytest.raises(CheckpointError, match="IQ3_S has nothing for that, choose another type"):
        joined([planned(values, "IQ3_S")], check=False)


def test_memory_does_not_grow_with_a_tensor_that_is_read_by_rows(tmp_path: Path) -> None:
    """A file whose largest tensor has 134 MB as float32."""
    source = tmp_path / "tall.gguf"
    model = _tall(open_model(float_file(tmp_path, "llama")))
    write_sparse_header(source, model.metadata, model.tensors)
    code = (
        "import resource, sys\n"
        "from quantize import Options, quantize\n"
        "quantize(sys.argv[1], sys.argv[2], Options(ftype='Q8_0', n_threads=1))\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "quantize(sys.argv[3], sys.argv[4], Options(ftype='Q8_0', n_threads=2))\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    paths = (tmp_path / "llama-F32.gguf", tmp_path / "a.gguf", source, tmp_path / "b.gguf")
    child = subprocess.run([sys.executable, "-c", code, *paths], capture_output=True, timeout=120, check=True)
    assert int(child.stdout) * 1024 < 0.75 * 4 * 256 * TALL


def _tall(model: Model) -> Model:
    """The same model with a very wide feed-forward part, of which nothing is in memory."""
    metadata = [
        replace(meta, value=TALL) if meta.key == "llama.feed_forward_length" else meta for meta in model.metadata
    ]
    tensors = [
        Tensor(tensor.name, tuple(TALL if size == 320 else size for size in tensor.shape), "F32", tensor.read)
        for tensor in model.tensors
        if "blk.1" not in tensor.name
    ]
    return Model([replace(meta, value=1) if meta.key == "llama.block_count" else meta for meta in metadata], tensors)
