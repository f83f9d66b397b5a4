"""Parquet, through pyarrow: the extra `data`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO

from edgeai.errors import DocumentError, OptionError
from edgeai.records.types import MAX_COLUMNS, BrokenRow, Row
from edgeai.safe_text import one_line

_N_ROWS = 1024
_BUFFER_BYTES = 1 << 20


def arrow() -> Any:
    """pyarrow, with its Parquet.

    Raises:
        OptionError: it is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as exc:
        raise OptionError('Parquet needs the extra `data`: pip install "edgeai[data]"') from exc
    return pyarrow


def parquet_schema(file: BinaryIO) -> tuple[Any, int]:
    """The schema of a Parquet file, and the number of its rows.

    Raises:
        DocumentError: it is none.
    """
    opened = _opened(file)
    return opened.schema_arrow, opened.metadata.num_rows


def parquet_rows(file: BinaryIO) -> Iterator[Row | BrokenRow]:
    """The rows; of a group of rows that is damaged, those before the damage.

    Raises:
        DocumentError: the file is no Parquet.
    """
    opened, n_before = _opened(file), 0
    for group in range(opened.num_row_groups):
        number = n_before
        n_before += opened.metadata.row_group(group).num_rows
        try:
            for batch in opened.iter_batches(batch_size=_N_ROWS, row_groups=[group], use_threads=False):
                for values in _values(batch):
                    number += 1
                    yield Row(number, values)
        except (arrow().ArrowException, OSError, ValueError) as exc:
            yield BrokenRow(number + 1, f"row group {group + 1:,} is damaged from here on ({_short(exc)})")


def _values(batch: Any) -> list[dict[str, Any]]:
    """The rows of a batch. Without pandas, which has nanoseconds, times are cut to microseconds."""
    try:
        return list(batch.to_pylist())
    except ValueError:
        pa, fields = arrow(), list(batch.schema)
        for place, field in enumerate(fields):
            if getattr(field.type, "unit", None) == "ns":
                zone = {"tz": field.type.tz} if pa.types.is_timestamp(field.type) else {}
                kind = pa.timestamp if zone else pa.duration if pa.types.is_duration(field.type) else pa.time64
                fields[place] = field.with_type(kind("us", **zone))
        return list(batch.cast(pa.schema(fields), safe=False).to_pylist())


def _opened(file: BinaryIO) -> Any:
    try:
        opened = arrow().parquet.ParquetFile(file, pre_buffer=False, buffer_size=_BUFFER_BYTES)
        names = opened.schema_arrow.names
    except (arrow().ArrowException, OSError, ValueError) as exc:
        raise DocumentError(f"no Parquet that can be read ({_short(exc)})") from exc
    if len(names) > MAX_COLUMNS or len(set(names)) < len(names):
        raise DocumentError(f"{len(names):,} columns: expected at most {MAX_COLUMNS:,}, with names that differ")
    return opened


def _short(exc: Exception) -> str:
    return one_line(str(exc))[:120]
