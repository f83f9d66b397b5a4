"""Rows written as CSV, JSONL or Parquet: the file is whole, or it is not there."""

from __future__ import annotations

import base64
import csv
import datetime
import io
import json
import math
import os
import secrets
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from edgeai.errors import OptionError
from edgeai.files import sync_dir
from edgeai.records.columns import Column
from edgeai.records.parquet import arrow
from edgeai.records.types import Format
from edgeai.safe_text import one_line

WriteRow = Callable[[Mapping[str, Any]], None]
_N_ROWS = 4096  # of a row group


def check_output(path: Path) -> None:
    """See that a file can be written there, before any work is done.

    Raises:
        OptionError: it cannot.
    """
    shown = one_line(str(path))
    if not path.parent.is_dir():
        raise OptionError(f"{shown}: no such folder: expected a file in a folder that exists; make the folder")
    if os.path.lexists(path) and not path.is_file():
        raise OptionError(f"{shown}: it is no regular file: expected a new or an older file")
    if not os.access(path.parent, os.W_OK):
        raise OptionError(f"{shown}: the folder cannot be written: expected one that you may write to")


@contextmanager
def written(path: Path, format_: Format, columns: Sequence[Column], note: str = "") -> Iterator[WriteRow]:
    """What writes rows into a file, which is in its place when the block ends well, and else is not there.

    Args:
        path: the file; an older one is replaced.
        format_: of it; of "lines" the first column is written.
        columns: a row may lack some, and what else it has is left out.
        note: that Parquet keeps with the rows.
    """
    target = Path(os.path.realpath(path))
    staging = target.with_name(f".{target.name[:200]}.{secrets.token_hex(4)}.part")
    try:
        with staging.open("xb") as file:
            if target.exists():
                staging.chmod(stat.S_IMODE(target.stat().st_mode))
            with _writer(file, format_, columns, note, target.suffix) as write:
                yield write
            file.flush()
            os.fsync(file.fileno())
        staging.replace(target)
        sync_dir(target.parent)
    finally:
        staging.unlink(missing_ok=True)


def _writer(
    file: BinaryIO, format_: Format, columns: Sequence[Column], note: str, suffix: str
) -> AbstractContextManager[WriteRow]:
    if format_ == "parquet":
        return _parquet(file, columns, note)
    if format_ == "csv":
        return _csv(file, columns, "," if suffix.lower() == ".csv" else "\t")
    return _jsonl(file, columns) if format_ == "jsonl" else _lines(file, columns)


@contextmanager
def _csv(file: BinaryIO, columns: Sequence[Column], delimiter: str) -> Iterator[WriteRow]:
    names = [column.name for column in columns]
    with _text(file) as text:
        out = csv.writer(text, delimiter=delimiter, lineterminator="\n")
        out.writerow(names)
        yield lambda values: out.writerow([_cell(values.get(name)) for name in names])


@contextmanager
def _jsonl(file: BinaryIO, columns: Sequence[Column]) -> Iterator[WriteRow]:
    names = [column.name for column in columns]
    with _text(file) as text:
        yield lambda values: print(json_line({name: values[name] for name in names if name in values}), file=text)


@contextmanager
def _lines(file: BinaryIO, columns: Sequence[Column]) -> Iterator[WriteRow]:
    name = columns[0].name
    with _text(file) as text:
        yield lambda values: print(_cell(values.get(name)), file=text)


@contextmanager
def _parquet(file: BinaryIO, columns: Sequence[Column], note: str) -> Iterator[WriteRow]:
    pa = arrow()
    schema = pa.schema([(column.name, _arrow_type(pa, column)) for column in columns])
    schema = schema.with_metadata({"edgeai": note}) if note else schema
    made = {column.name: _MADE[column.kind] for column in columns if column.type is None and column.kind in _MADE}
    waiting: list[dict[str, Any]] = []
    with pa.parquet.ParquetWriter(file, schema) as out:

        def flush() -> None:
            try:
                out.write_table(pa.Table.from_pylist(waiting, schema))
            except pa.ArrowException as exc:
                raise OptionError(f"rows cannot be written as Parquet ({one_line(str(exc))[:200]}): try JSONL") from exc
            waiting.clear()

        def write(values: Mapping[str, Any]) -> None:
            fitted = {name: make(values[name]) for name, make in made.items() if values.get(name) is not None}
            waiting.append({**values, **fitted})
            if len(waiting) >= _N_ROWS:
                flush()

        yield write
        if waiting:
            flush()


def _arrow_type(pa: Any, column: Column) -> Any:
    types = {"int": pa.int64(), "float": pa.float64(), "bool": pa.bool_(), "texts": pa.list_(pa.string())}
    return column.type if column.type is not None else types.get(column.kind, pa.string())


@contextmanager
def _text(file: BinaryIO) -> Iterator[io.TextIOWrapper]:
    text = io.TextIOWrapper(file, "utf-8", errors="replace", newline="")
    try:
        yield text
        text.flush()
    finally:
        text.detach()


def json_line(values: Mapping[str, Any]) -> str:
    """A row as one line of JSON."""
    return json.dumps({name: _plain(value) for name, value in values.items()}, ensure_ascii=False, allow_nan=False)


def _cell(value: Any) -> str:
    value = _plain(value)
    if value is None:
        return ""
    return value if isinstance(value, str) else _json(value)


def _json(value: Any) -> str:
    return json.dumps(_plain(value), ensure_ascii=False)


_MADE: dict[str, Callable[[Any], Any]] = {"json": _json, "float": float}


def _plain(value: Any) -> Any:
    """What JSON can hold: Parquet knows dates, bytes, decimals and numbers that are none."""
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    return str(value)
