from __future__ import annotations

import struct
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgeai.errors import QuantizeError
from quantize.imatrix import Entry, Imatrix, read_imatrix, write_imatrix
from tests.quantize.make_imatrix_oracle import DATASET, ORACLE

FILES = [ORACLE / f"imatrix-{name}.{suffix}" for name in ("llama", "experts") for suffix in ("imatrix", "dat")]


def entry(sums: list[float], counts: list[int]) -> Entry:
    return Entry(np.array(sums, dtype=np.float32), np.array(counts))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_official_files_are_read(path: Path) -> None:
    imatrix = read_imatrix(path)
    assert imatrix.datasets == (DATASET,)
    assert imatrix.n_chunks == 3
    assert imatrix.chunk_size == (128 if path.suffix == ".imatrix" else 0)
    assert "blk.3.attn_output.weight" in imatrix.entries


@pytest.mark.parametrize("name", ["llama", "experts"])
def test_both_formats_say_the_same(name: str) -> None:
    new, old = (read_imatrix(ORACLE / f"imatrix-{name}.{suffix}").importance() for suffix in ("imatrix", "dat"))
    assert new.keys() == old.keys()
    for key, values in new.items():
        np.testing.assert_allclose(old[key], values, rtol=1e-5)


@pytest.mark.parametrize("name", ["llama", "experts"])
def test_a_file_is_written_as_llama_imatrix_writes_it(name: str, tmp_path: Path) -> None:
    official = ORACLE / f"imatrix-{name}.imatrix"
    write_imatrix(read_imatrix(official), tmp_path / "copy.gguf")
    assert (tmp_path / "copy.gguf").read_bytes() == official.read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["copy.gguf"]


def test_importance_is_the_mean_square() -> None:
    np.testing.assert_array_equal(entry([2, 4, 6], [2]).importance(), [1, 2, 3])


def test_an_expert_without_tokens_has_importance_1() -> None:
    importance = entry([2, 4, 0, 0], [2, 0]).importance()
    np.testing.assert_array_equal(importance, [1, 2, 1, 1])
    assert importance.dtype == np.float32


def test_the_keys_are_those_of_llama_quantize() -> None:
    imatrix = Imatrix({"blk.0.ffn_up.weight": entry([1], [1])}, ("text.txt", "b"), 7, 512)
    assert {meta.key: meta.value for meta in imatrix.metadata("あ" * 50)} == {
        "quantize.imatrix.file": "あ" * 42,  # 127 bytes of text are kept
        "quantize.imatrix.dataset": "text.txt",
        "quantize.imatrix.entries_count": 1,
        "quantize.imatrix.chunks_count": 7,
    }


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    imatrix = Imatrix({"b": entry([1, 2, 3, 4], [5, 6]), "a": entry([0], [9])}, (), 2, 64)
    write_imatrix(imatrix, tmp_path / "a.gguf")
    back = read_imatrix(tmp_path / "a.gguf")
    assert list(back.entries) == ["a", "b"]
    np.testing.assert_array_equal(back.entries["b"].counts, [5, 6])
    np.testing.assert_array_equal(back.entries["b"].sums, [1, 2, 3, 4])
    assert (back.n_chunks, back.chunk_size) == (2, 64)


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(QuantizeError, match=r"/file: cannot be written"):
        write_imatrix(Imatrix({"a": entry([0], [9])}, (), 2, 64), tmp_path / "file" / "a.gguf")


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(QuantizeError, match=r"none\.gguf: the importance matrix cannot be read: No such file"):
        read_imatrix(tmp_path / "none.gguf")


def dat(
    *, n_entries: int = 1, name: bytes = b"w", n_values: int = 2, values: bytes = struct.pack("<2f", 1, 2)
) -> bytes:
    return struct.pack("<2i", n_entries, len(name)) + name + struct.pack("<2i", 3, n_values) + values


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "the file ends inside the number of entries"),
        (b"not a matrix", "the number of entries is"),
        (dat(n_entries=2), "the file ends inside the length of the name of entry 2 of 2"),
        (dat(n_values=2**31 - 1), "the file ends inside the values of entry 1 of 1"),
        (dat(n_values=-1), "the size of entry 1 of 1 is -1"),
        (dat(values=struct.pack("<2f", 1, float("nan"))), "w has sums of squares that are negative, infinite"),
        (dat(values=struct.pack("<2f", 1, -1)), "w has sums of squares that are negative, infinite"),
    ],
)
def test_a_damaged_dat_file_is_refused(data: bytes, reason: str, tmp_path: Path) -> None:
    (tmp_path / "a.dat").write_bytes(data)
    with pytest.raises(QuantizeError, match=reason):
        read_imatrix(tmp_path / "a.dat")


def test_a_dat_file_may_end_after_its_entries(tmp_path: Path) -> None:
    (tmp_path / "a.dat").write_bytes(dat())
    imatrix = read_imatrix(tmp_path / "a.dat")
    np.testing.assert_allclose(imatrix.importance()["w"], [1 / 3, 2 / 3])
    assert (imatrix.datasets, imatrix.n_chunks) == ((), 0)


def test_a_model_is_no_importance_matrix(tmp_path: Path) -> None:
    data = (ORACLE / "imatrix-llama.imatrix").read_bytes()
    (tmp_path / "a.gguf").write_bytes(data.replace(b"imatrix.chunk_size", b"imatrix.chunk_sise"))
    with pytest.raises(QuantizeError, match=r"a GGUF file without the keys imatrix\.datasets"):
        read_imatrix(tmp_path / "a.gguf")


@pytest.mark.parametrize("key", [b"imatrix.chunk_count", b"imatrix.chunk_size"])
def test_a_count_that_could_not_be_written_again_is_refused(key: bytes, tmp_path: Path) -> None:
    data = (ORACLE / "imatrix-llama.imatrix").read_bytes()
    place = data.index(key) + len(key)
    (tmp_path / "a.gguf").write_bytes(data[:place] + struct.pack("<Ii", 5, -1) + data[place + 8 :])  # an int32
    with pytest.raises(QuantizeError, match=r"\.chunk_count and \.chunk_size of 32 bits"):
        read_imatrix(tmp_path / "a.gguf")


def test_sums_without_counts_are_refused(tmp_path: Path) -> None:
    data = (ORACLE / "imatrix-llama.imatrix").read_bytes()
    (tmp_path / "a.gguf").write_bytes(data.replace(b"blk.0.attn_k.weight.counts", b"blk.0.attn_k.weight.kounts"))
    with pytest.raises(QuantizeError, match=r"the tensor blk\.0\.attn_k\.weight\.counts is missing"):
        read_imatrix(tmp_path / "a.gguf")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 255)), max_size=6), cut=st.integers(0, 50_000))
def test_a_hostile_file_is_refused_or_harmless(
    path: Path, changes: list[tuple[int, int]], cut: int, tmp_path: Path
) -> None:
    data = bytearray(path.read_bytes())
    for place, value in changes:
        data[place] = value
    hostile = tmp_path / "hostile"
    hostile.write_bytes(data[: max(cut, 64)])
    with suppress(QuantizeError):
        assert all(np.isfinite(values).all() for values in read_imatrix(hostile).importance().values())
