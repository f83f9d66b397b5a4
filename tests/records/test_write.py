"""Rows written: whole or not at all, and the same when they are read again."""

from __future__ import annotations

import datetime
import decimal
import errno
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from edgeai.errors import OptionError
from edgeai.records.columns import Column, ColumnKinds
from edgeai.records.read import ReadOptions, Records
from edgeai.records.source import file_source
from edgeai.records.types import Row, format_of
from edgeai.records.write import check_output, json_line, written
from tests.records.parquet import arrow

ROWS: list[dict[str, Any]] = [
    {"text": 'a, "b"\nc', "n": 1, "share": 0.25, "ok": True, "mixed": {"a": [1]}},
    {"text": "日本", "n": None, "share": 2, "ok": False, "mixed": "word"},
    {"text": "", "n": 2**40},
]


def columns() -> list[Column]:
    kinds = ColumnKinds()
    for row in ROWS:
        kinds.see(row)
    return kinds.columns()


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    with written(path, format_of(path), columns(), "note") as put:
        for row in rows:
            put(row)


def read(path: Path) -> list[dict[str, Any]]:
    found = Records(file_source(path), ReadOptions(format_of(path)))
    return [dict(row.values) for row in found if isinstance(row, Row)]


def test_the_kinds_of_columns() -> None:
    assert [(column.name, column.kind) for column in columns()] == [
        ("text", "text"),
        ("n", "int"),
        ("share", "float"),
        ("ok", "bool"),
        ("mixed", "json"),
    ]


def test_jsonl_keeps_values_as_they_are(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", ROWS)
    assert read(tmp_path / "a.jsonl") == ROWS


@pytest.mark.parametrize("name", ["a.csv", "a.tsv"])
def test_csv_has_texts(tmp_path: Path, name: str) -> None:
    write(tmp_path / name, ROWS)
    assert [list(row.values()) for row in read(tmp_path / name)] == [
        ['a, "b"\nc', "1", "0.25", "true", '{"a": [1]}'],
        ["日本", "", "2", "false", "word"],
        ["", str(2**40), "", "", ""],
    ]
    assert ("\t" in (tmp_path / name).read_text(encoding="utf-8")) == name.endswith("tsv")


def test_parquet_has_types(tmp_path: Path) -> None:
    pa = arrow()
    path = tmp_path / "a.parquet"
    write(path, ROWS)
    table = pa.parquet.read_table(path)
    assert [str(field.type) for field in table.schema] == ["string", "int64", "double", "bool", "string"]
    assert table.schema.metadata == {b"edgeai": b"note"}
    assert read(path)[:2] == [{**ROWS[0], "mixed": '{"a": [1]}'}, {**ROWS[1], "mixed": '"word"'}]


def test_whole_numbers_among_others_are_written(tmp_path: Path) -> None:
    pa = arrow()
    kinds = ColumnKinds()
    rows: list[dict[str, Any]] = [{"n": 1.5}, {"n": 2**60}, {"n": None}]
    for row in rows:
        kinds.see(row)
    with written(tmp_path / "a.parquet", "parquet", kinds.columns()) as put:
        for row in rows:
            put(row)
    assert pa.parquet.read_table(tmp_path / "a.parquet")["n"].to_pylist() == [1.5, float(2**60), None]


def test_a_value_that_does_not_fit_is_one_line(tmp_path: Path) -> None:
    pa = arrow()
    with (
        pytest.raises(OptionError, match="rows cannot be written as Parquet"),
        written(tmp_path / "a.parquet", "parquet", [Column("n", "text", pa.int8())]) as put,
    ):
        put({"n": 1000})
    assert not list(tmp_path.iterdir())


def test_what_json_does_not_know() -> None:
    day, price = datetime.date(2026, 1, 2), decimal.Decimal("1.50")
    assert json_line({"a": float("nan"), "b": day, "c": price, "d": b"\xff", "e": [day]}) == (
        '{"a": null, "b": "2026-01-02", "c": "1.50", "d": "/w==", "e": ["2026-01-02"]}'
    )


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet"])
def test_a_full_disk_leaves_the_old_file(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if name.endswith("parquet"):
        arrow()
    path = tmp_path / name
    path.write_text("old")
    path.chmod(0o640)

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            write(path, ROWS)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
    write(path, ROWS)
    assert len(read(path)) == 3
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_an_exception_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), written(tmp_path / "a.csv", "csv", columns()) as put:
        put({**ROWS[0], "n": 1 // 0})
    assert not list(tmp_path.iterdir())


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    real, link = tmp_path / "real.jsonl", tmp_path / "a.jsonl"
    real.write_text("old")
    link.symlink_to(real)
    write(link, ROWS)
    assert link.is_symlink()
    assert read(real) == ROWS


def test_places_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    for path, words in ((tmp_path / "folder.csv", "no regular file"), (tmp_path / "none" / "a.csv", "no such folder")):
        with pytest.raises(OptionError, match=words):
            check_output(path)
