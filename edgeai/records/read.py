"""Rows of a file, as often as they are wanted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any, BinaryIO

from edgeai.errors import DocumentError, OptionError
from edgeai.records.csv_rows import csv_records, csv_rows, guess_delimiter, head_of
from edgeai.records.jsonl_rows import jsonl_rows
from edgeai.records.lines import Line, lines_of, text_encoding
from edgeai.records.parquet import parquet_rows, parquet_schema
from edgeai.records.source import Source
from edgeai.records.types import TEXT, BrokenRow, Format, Row


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How rows are read.

    Attributes:
        format: of the file.
        encoding: of text; None finds it out.
        delimiter: of CSV; None finds it out.
        column: that is wanted, which helps to find the delimiter.
    """

    format: Format
    encoding: str | None = None
    delimiter: str | None = None
    column: str | None = None


class Records:
    """The rows of a source; iterate over them, again too where the source is kept.

    Attributes:
        source: of the bytes.
        format: of them.
        encoding: of text; "" of Parquet.
        delimiter: of CSV; "" of others.
        columns: their names; None of JSONL, where each row has its own.
        n_rows: about so many; 0 where that is not known.
        schema: of Parquet, an Arrow schema; None of others.
    """

    def __init__(self, source: Source, options: ReadOptions) -> None:
        """
        Raises:
            DocumentError: the source cannot be read so.
            OptionError: an option makes no sense, or Parquet without its library.
        """
        self.source, self.format = source, options.format
        self.encoding = self.delimiter = ""
        self.columns: list[str] | None = None
        self.schema: Any = None
        self.n_rows = source.n_lines
        if options.format == "parquet":
            with self._named(), source.open() as file:
                self.schema, self.n_rows = parquet_schema(file)
            self.columns = list(self.schema.names)
            return
        self.encoding = text_encoding(source, options.encoding)
        if options.format == "csv":
            self._look_at_csv(options)
        elif options.format == "lines":
            self.columns = [TEXT]

    def __iter__(self) -> Iterator[Row | BrokenRow]:
        with self._named():
            file = self.source.open()
            try:
                yield from self._rows(file)
                self.source.check(file)
            finally:
                if self.source.is_kept:
                    file.close()

    def _rows(self, file: BinaryIO) -> Iterator[Row | BrokenRow]:
        if self.format == "parquet":
            yield from parquet_rows(file)
            return
        with closing(lines_of(file, self.encoding)) as lines:
            if self.format == "csv":
                yield from csv_rows(lines, self.delimiter)
            elif self.format == "jsonl":
                yield from jsonl_rows(lines)
            else:
                yield from _plain(lines)

    def _look_at_csv(self, options: ReadOptions) -> None:
        sample = self.source.sample.decode(self.encoding, "replace").removeprefix("\ufeff")
        first = sample.splitlines(keepends=True)
        whole = first[:-1] if len(first) > 1 else first  # the last one may be cut
        self.delimiter = options.delimiter or guess_delimiter(whole, options.column)
        if len(self.delimiter) != 1 or self.delimiter in '"\r\n\0':
            raise OptionError(f"--delimiter {self.delimiter[:20]!r}: expected one character, as in ';' or 'tab'")
        with self._named():
            lines = (Line(number, text) for number, text in enumerate(whole, 1))
            self.columns = head_of(csv_records(lines, self.delimiter))
        self.n_rows = max(self.n_rows - 1, 0)

    def _named(self) -> _Named:
        return _Named(self.source.name)


class _Named:
    """Puts the file's name before what is wrong with it."""

    def __init__(self, name: str) -> None:
        self._prefix = f"{name}: "

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, DocumentError) and not str(error).startswith(self._prefix):
            raise DocumentError(f"{self._prefix}{error}") from error


def _plain(lines: Iterator[Line]) -> Iterator[Row | BrokenRow]:
    for line in lines:
        if line.why:
            yield BrokenRow(line.number, line.why)
        elif text := line.text.rstrip("\r\n"):
            yield Row(line.number, {TEXT: text})
