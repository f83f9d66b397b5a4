"""Rows of CSV, JSONL, Parquet and lines, from files as people have them."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from edgeai.errors import DocumentError, OptionError
from edgeai.records import csv_rows
from edgeai.records.read import ReadOptions, Records
from edgeai.records.source import file_source, stream_source
from edgeai.records.types import MAX_ROW_CHARS, BrokenRow, Format, Row, format_of
from tests.records.parquet import arrow

JAPANESE = "配達が遅れて箱もつぶれていました。もう二度とこのお店では買いません。"
UNICODE_AND_JAPANESE = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp932", "euc_jp")
FRENCH = "Très déçu : le colis est arrivé cassé après une semaine d’été."


def records(path: Path, format_: Format | None = None, **options: Any) -> Records:
    return Records(file_source(path), ReadOptions(format_ or format_of(path), **options))


def told(found: Records) -> list[Any]:
    """Rows as their values, broken ones as their line."""
    return [dict(row.values) if isinstance(row, Row) else row.line for row in found]


def broken(found: Records) -> list[tuple[int, str]]:
    return [(row.line, row.why) for row in found if isinstance(row, BrokenRow)]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found_out(tmp_path: Path, delimiter: str) -> None:
    path = tmp_path / "a.csv"
    rows = [["id", "text"], ["1", "good, but; late|really"], ["2", 'she said "no"\nand left'], ["3", ""]]
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=delimiter).writerows(rows)
    found = records(path)
    assert found.delimiter == delimiter
    assert [(row.line, [*row.values.values()]) for row in found if isinstance(row, Row)] == [
        (2, rows[1]),
        (3, rows[2]),
        (5, rows[3]),
    ]


@pytest.mark.parametrize(
    ("encoding", "text", "n_before"),
    [
        *(
            (*one, n_before)
            for one in (*((name, JAPANESE) for name in UNICODE_AND_JAPANESE), ("cp1252", FRENCH), ("utf-16-be", FRENCH))
            for n_before in (0, 30_000)
        ),
        ("iso2022_jp", JAPANESE, 0),
    ],
)
def test_the_encoding_is_found_out_even_if_its_letters_come_late(
    tmp_path: Path, encoding: str, text: str, n_before: int
) -> None:
    path = tmp_path / "a.csv"
    lines = ["id,text", *("0,plain words" for _ in range(n_before)), *(f"{number},{text}" for number in range(9))]
    path.write_bytes("\r\n".join(lines).encode(encoding))
    rows = [row for row in records(path) if isinstance(row, Row)]
    assert len(rows) == n_before + 9
    assert rows[-1].values == {"id": "8", "text": text}


def test_broken_rows_are_told_by_their_lines_and_the_rest_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(
        "id,text\n1,日本語で書かれた良い行\n".encode()
        + b'2,too,many\n3\n\n4,bad \xff byte\n5,"open quote\n6,still a row\n7,"well"behind\n'
        b'8,"two\nlines"\n9,nul\0byte\n10,last'
    )
    found = records(path)
    assert told(found) == [
        {"id": "1", "text": "日本語で書かれた良い行"}, 3, 4, 6, 7, {"id": "6", "text": "still a row"}, 9,
        {"id": "8", "text": "two\nlines"}, 12, {"id": "10", "text": "last"},
    ]  # fmt: skip
    assert broken(found) == [
        (3, "3 fields: expected 2, as the head has"),
        (4, "1 field: expected 2, as the head has"),
        (6, "byte 0xff at character 7 is not utf-8"),
        (7, "text behind a closing quotation mark (line 9): expected a delimiter; double the marks within a field"),
        (9, "text behind a closing quotation mark: expected a delimiter; double the marks within a field"),
        (12, "a null byte at character 6"),
    ]


def test_a_quotation_mark_that_is_never_closed_costs_one_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.csv"
    path.write_text('id,text\n1,"open\n' + "".join(f"{number},fine\n" for number in range(2, 3000)), encoding="utf-8")
    for most in (MAX_ROW_CHARS, 5000):  # the file ends, or the row gets too long
        monkeypatch.setattr(csv_rows, "MAX_ROW_CHARS", most)
        found = told(records(path))
        assert found[0] == 2
        assert [row["id"] for row in found[1:]] == [str(number) for number in range(2, 3000)]


def test_a_line_that_does_not_end_is_one_broken_row(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("one\n" + "x" * (2 * MAX_ROW_CHARS + 5) + "\ntwo\n", encoding="utf-8")
    assert told(records(path)) == [{"text": "one"}, 2, {"text": "two"}]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_and_their_ends(tmp_path: Path, end: str) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(end.join(["\ufeffone", "", "two words", "三"]).encode())
    assert [(row.line, row.values) for row in records(path) if isinstance(row, Row)] == [
        (1, {"text": "one"}),
        (3, {"text": "two words"}),
        (4, {"text": "三"}),
    ]


def test_jsonl(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(
        '{"text": "a", "n": 1, "tags": ["x"]}\n\n[1]\n{"text": \n"just text"\n{"text": "\\ud800"}\n'
        '{"text": "\\ud83d\\ude00"}\n{"n": NaN}\n' + "[" * 200_000 + "\nnull\n" + '{"n": ' + "9" * 6000 + "}\n",
        encoding="utf-8",
    )
    found = records(path)
    assert told(found) == [{"text": "a", "n": 1, "tags": ["x"]}, 3, 4, 5, 6, {"text": "😀"}, 8, 9, 10, 11]
    reasons = dict(broken(found))
    assert reasons[3] == "an array: expected an object"
    assert reasons[4].startswith("no JSON (Expecting value at character ")
    assert "surrogate" in reasons[6]
    assert reasons[8] == "no JSON (NaN is no number in JSON): expected an object"
    assert reasons[10] == "null: expected an object"


def test_a_json_array_is_told_once(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('[\n {"text": "a"},\n {"text": "b"}\n]\n', encoding="utf-8")
    with pytest.raises(DocumentError, match=r"a\.json: a JSON array: expected one object a line"):
        told(records(path))


def test_parquet(tmp_path: Path) -> None:
    pa = arrow()
    path = tmp_path / "a.parquet"
    table = pa.table({"text": ["a", None, "三"], "n": [1, 2, 3], "tags": [["x"], [], None]})
    pa.parquet.write_table(table, path, row_group_size=2)
    found = records(path)
    assert (found.columns, found.n_rows) == (["text", "n", "tags"], 3)
    assert told(found) == table.to_pylist()


def test_nanoseconds_need_no_pandas(tmp_path: Path) -> None:
    pa = arrow()
    path = tmp_path / "a.parquet"
    types = (pa.timestamp("ns"), pa.timestamp("ns", "Asia/Tokyo"), pa.duration("ns"), pa.time64("ns"))
    pa.parquet.write_table(
        pa.table({f"c{place}": pa.array([1234567891], one) for place, one in enumerate(types)}), path
    )
    code = (
        "import sys\n"
        "class NoPandas:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] == 'pandas': raise ImportError(name)\n"
        "sys.meta_path.insert(0, NoPandas())\n"
        "from pathlib import Path\n"
        "from edgeai.records.read import ReadOptions, Records\nfrom edgeai.records.source import file_source\n"
        "(row,) = Records(file_source(Path(sys.argv[1])), ReadOptions('parquet'))\n"
        "print(*(str(value).replace(' ', 'T') for value in row.values.values()))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True)
    assert done.stdout.split() == [
        "1970-01-01T00:00:01.234567", "1970-01-01T09:00:01.234567+09:00", "0:00:01.234567", "00:00:01.234567",
    ], done.stderr  # fmt: skip


def test_parquet_that_is_damaged_gives_the_rest(tmp_path: Path) -> None:
    pa = arrow()
    path = tmp_path / "a.parquet"
    texts = [f"number {number} of many" for number in range(30)]
    pa.parquet.write_table(pa.table({"text": texts}), path, row_group_size=10, compression="zstd")
    start = pa.parquet.ParquetFile(path).metadata.row_group(1).column(0).dictionary_page_offset
    data = bytearray(path.read_bytes())
    data[start : start + 40] = b"\xff" * 40
    path.write_bytes(data)
    found = told(records(path))
    assert found == [*({"text": text} for text in texts[:10]), 11, *({"text": text} for text in texts[20:])]
    path.write_bytes(data[:-30])
    with pytest.raises(DocumentError, match=r"a\.parquet: no Parquet that can be read \("):
        records(path)


@pytest.mark.parametrize(
    ("name", "data", "options", "words"),
    [
        ("a.csv", b"", {}, "it is empty (0 bytes)"),
        ("a.csv", b"\n\n", {}, "the head of the CSV cannot be read (it is empty)"),
        ("a.csv", b"a,b,a\n1,2,3\n", {}, "the column 'a' stands twice"),
        ("a.csv", b"PK\x03\x04\x00\x00\x00" * 99, {}, "it is binary: expected text"),
        ("a.csv", JAPANESE.encode("cp932") * 9, {"encoding": "utf-8"}, "it is not utf-8, but most likely cp932"),
    ],
)
def test_what_cannot_be_read(tmp_path: Path, name: str, data: bytes, options: dict[str, Any], words: str) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(DocumentError) as caught:
        told(records(path, **options))
    assert str(caught.value).startswith(f"{path}: ")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "words"),
    [({"encoding": "klingon"}, "no such encoding"), ({"delimiter": "ab"}, "expected one character")],
)
def test_options_that_make_no_sense(tmp_path: Path, options: dict[str, Any], words: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(OptionError, match=words):
        records(path, **options)


def test_a_file_without_a_telling_name(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"x\.xlsx: its name tells no format"):
        format_of(Path("x.xlsx"))
    with pytest.raises(OptionError, match="a folder: expected a file"):
        format_of(tmp_path)


def test_a_few_torn_lines_in_the_wanted_encoding_are_broken_rows(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"".join(JAPANESE.encode() + b"\n" for _ in range(50)) + b"torn \xe9\n")
    assert told(records(path, encoding="utf-8"))[-1] == 51


def test_columns_without_a_name_get_a_number(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(",text\n0,a\n", encoding="utf-8")
    assert told(records(path)) == [{"column_1": "0", "text": "a"}]


def test_a_file_that_changes_while_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("a\nb\n", encoding="utf-8")
    found = records(path)
    rows = iter(found)
    next(rows)
    path.write_text("another content\n", encoding="utf-8")
    with pytest.raises(DocumentError, match="it changed while it was read"):
        list(rows)
    with pytest.raises(DocumentError, match="it changed while it was read"):
        list(found)


@pytest.mark.parametrize("keep", [True, False])
def test_a_stream(keep: bool) -> None:
    text = "\n".join([JAPANESE] * 3) + "\n"
    source = stream_source(io.BufferedReader(io.BytesIO(text.encode("cp932"))), keep=keep)
    found = Records(source, ReadOptions("lines"))
    assert told(found) == [{"text": JAPANESE}] * 3
    assert source.is_kept == keep
    if keep:
        assert told(found) == [{"text": JAPANESE}] * 3
    source.close()


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.txt", "a.parquet"])
def test_memory_is_flat(tmp_path: Path, name: str) -> None:
    path, n_rows = tmp_path / name, 30_000
    texts = [f"row number {number} " + "words " * 12 for number in range(n_rows)]
    if path.suffix == ".parquet":
        pa = arrow()
        pa.parquet.write_table(pa.table({"text": texts}), path, row_group_size=5000)
    else:
        line = {".csv": "1,{}\n", ".jsonl": '{{"text": "{}"}}\n', ".txt": "{}\n"}[path.suffix]
        head = "id,text\n" if path.suffix == ".csv" else ""
        path.write_text(head + "".join(line.format(text) for text in texts), encoding="utf-8")
    found = records(path)
    next(iter(found))  # what is imported and kept once
    tracemalloc.start()
    n_found = sum(isinstance(row, Row) for row in found)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert n_found == n_rows
    assert most < 1_500_000, "the file has 3 MB"


def test_a_csv_row_round_trips_whatever_is_in_it(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    values = [
        "=1+1",
        ' "quoted" ',
        "a,b;c\td",
        "\u2028line\u2029",
        "\x1b[31mred",
        "日本語\r\nzwei",
        json.dumps({"a": [1]}),
    ]
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["text"], *([value] for value in values)])
    assert [row["text"] for row in told(records(path, delimiter=","))] == values
