"""Files of the benchmarks: what is read from good ones, and what is said of broken ones."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from edgeai.errors import DocumentError
from edgeai.evaluation.jaster import read_jaster
from edgeai.evaluation.jsonl import read_arc, read_hellaswag
from edgeai.evaluation.mmlu import read_jmmlu, read_mmlu
from edgeai.evaluation.text_pieces import PIECE_CHARS, pieces, read_text
from edgeai.evaluation.types import Choice, Exercise
from tests.evaluation import files

LINE = "Which bone?,the femur,the tibia,the ulna,the radius,A\n"


def test_mmlu_takes_examples_from_dev(tmp_path: Path) -> None:
    anatomy, religions = read_mmlu(files.mmlu(tmp_path / "data"), 5)
    assert (anatomy.name, religions.name) == ("anatomy", "world_religions")
    assert anatomy.questions[0] == Choice(
        1, "Which bone is the longest?", ("the femur", "the tibia", "the ulna", "the radius"), 0
    )
    assert [question.answer for question in anatomy.questions] == [0, 1, 3]  # type: ignore[union-attr]
    assert anatomy.questions[2].choices == ("2, 2", "3, 3", "4, 3", "4, 4")  # type: ignore[union-attr]
    assert [example.text for example in anatomy.examples] == [row[0] for row in files.ANATOMY_DEV]
    assert len(religions.examples) == 1
    assert {Path(path).name for path in anatomy.files} == {"anatomy_test.csv", "anatomy_dev.csv"}
    assert all(len(digest) == 64 for digest in anatomy.files.values())


@pytest.mark.parametrize("part", ["test", "test/anatomy_test.csv"])
def test_mmlu_by_one_of_its_folders_or_files(tmp_path: Path, part: str) -> None:
    first = read_mmlu(files.mmlu(tmp_path) / part, 1)[0]
    assert (first.name, len(first.questions), len(first.examples)) == ("anatomy", 3, 1)


def test_without_a_dev_file_the_first_questions_are_the_examples(tmp_path: Path) -> None:
    path = files.write_csv(tmp_path / "anatomy_test.csv", files.ANATOMY)
    (subject,) = read_mmlu(path, 2)
    assert [example.text for example in subject.examples] == [row[0] for row in files.ANATOMY[:2]]
    assert [question.text for question in subject.questions] == [files.ANATOMY[2][0]]
    with pytest.raises(DocumentError, match="would be examples"):
        read_mmlu(path, 3)


def test_examples_are_not_read_where_none_are_wanted(tmp_path: Path) -> None:
    folder = files.mmlu(tmp_path)
    (folder / "dev" / "anatomy_dev.csv").write_text("broken")
    assert read_mmlu(folder, 0)[0].examples == []
    with pytest.raises(DocumentError, match=r"anatomy_dev\.csv, line 1: 1 fields"):
        read_mmlu(folder, 1)


def test_jmmlu_drops_stray_spaces_and_a_byte_order_mark(tmp_path: Path) -> None:
    path = files.write_csv(tmp_path / "JMMLU" / "japanese_geography.csv", files.JMMLU)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    (subject,) = read_jmmlu(path.parent, 1)
    assert subject.name == "japanese_geography"
    assert subject.examples[0] == Choice(1, "日本で一番高い山は？", ("富士山", "北岳", "槍ヶ岳", "立山"), 0)
    assert [question.answer for question in subject.questions] == [1, 3]  # type: ignore[union-attr]


def test_a_head_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "anatomy.csv"
    path.write_text("question,A,B,C,D,answer\n" + LINE)
    assert [question.line for question in read_jmmlu(path, 0)[0].questions] == [2]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (LINE + "Which?,a,b,c,A\n", "line 2: 5 fields: expected 6"),
        (LINE * 3 + "Which?,a,b,c,d,E\n", "line 4: the answer is 'E': expected one of A, B, C, D"),
        (LINE + '"What\nis\nit?",a,b,c,d,A\n' + "x\n", "line 5: 1 fields"),
        (LINE + "Which?,a, ,c,d,A\n", "line 2: a field is empty"),
        (LINE + '"never closed,a,b,c,d,A\n' + LINE, "line 2: 1 fields"),
        (LINE + "Which?," + "x" * 110_000 + ",b,c,d,A\n", r"line 2: no CSV \(a field of more than 100,000 characters"),
        ("\n\n", "there is no question in it"),
    ],
)
def test_broken_csv(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "anatomy_test.csv"
    path.write_text(text)
    with pytest.raises(DocumentError, match=words) as raised:
        read_mmlu(path, 0)
    assert "anatomy_test.csv" in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", r"it is empty \(0 bytes\)"),
        (LINE.encode() + "Frage\xfc,a,b,c,d,A\n".encode("latin-1"), "line 2: byte 0xfc is not UTF-8"),
        ("question".encode("utf-16"), "line 1: byte 0xff is not UTF-8"),
    ],
)
def test_what_is_no_text(tmp_path: Path, data: bytes, words: str) -> None:
    path = tmp_path / "anatomy_test.csv"
    path.write_bytes(data)
    with pytest.raises(DocumentError, match=words):
        read_mmlu(path, 0)


def test_paths_that_stand_for_nothing(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match="no such file"):
        read_mmlu(tmp_path / "missing.csv", 0)
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(DocumentError, match="no file in this folder is a CSV file"):
        read_mmlu(tmp_path, 0)
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(DocumentError, match="pipe, socket or device"):
        read_mmlu(tmp_path / "pipe.csv", 0)


def test_arc_in_both_layouts(tmp_path: Path) -> None:
    path = files.write_lines(tmp_path / "ARC-Easy-Test.jsonl", files.ARC)
    (subject,) = read_arc(path, 0)
    first, second = subject.questions
    assert first == Choice(
        1, "What melts when it is warmed?", ("ice", "a stone in the garden", "wood"), 0, ("A", "B", "C")
    )
    assert isinstance(second, Choice)
    assert (second.answer, second.labels) == (2, ("1", "2", "3", "4"))
    files.write_lines(tmp_path / "ARC-Easy-Train.jsonl", files.ARC_TRAIN)
    (subject,) = read_arc(tmp_path, 3)
    assert subject.examples == [Choice(1, "What do plants need?", ("light", "noise"), 0, ("A", "B"))]
    assert len(subject.questions) == 2


def test_hellaswag_is_cleaned_as_the_harness_does(tmp_path: Path) -> None:
    path = files.write_lines(tmp_path / "hellaswag_val.jsonl", files.HELLASWAG)
    (subject,) = read_hellaswag(path, 0)
    first, second = subject.questions
    assert isinstance(first, Choice)
    assert isinstance(second, Choice)
    assert first.text == "Baking bread: A woman kneads dough on a table. She"
    assert first.choices[2] == "swims through the lake quickly."
    assert second.text == "Gardening: How to plant a tree. Dig a hole."
    assert (first.answer, second.answer) == (0, 1)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("[1]", "line 2: \\[1\\]: expected a JSON object"),
        ("{", "line 2: no JSON"),
        ("[" * 100_000, "line 2: no JSON"),
        ('{"a": NaN}', "line 2: no JSON \\(NaN is no number"),
        ({}, "line 2: 'question' is missing"),
        ({"answerKey": "D"}, "line 2: 'answerKey' is 'D': expected one of A, B, C"),
        ({"answerKey": 1}, "line 2: 'answerKey' is 1: expected a text"),
        ({"question": {"stem": "x", "choices": []}}, "line 2: 'choices' is \\[\\]: expected a list of 2 to 26"),
        ({"question": {"stem": "x", "choices": [1, 2]}}, "line 2: 'choices' is missing"),
        ({"question": {"stem": " ", "choices": []}}, "line 2: 'stem' is ' ': expected a text"),
        (
            {"question": {"stem": "x", "choices": [{"text": "a", "label": "A"}, {"text": "b", "label": "A"}]}},
            "line 2: 2 choices with the labels",
        ),
    ],
)
def test_broken_arc(tmp_path: Path, row: Any, words: str) -> None:
    path = files.write_lines(tmp_path / "arc.jsonl", files.ARC[:1])
    text = row if isinstance(row, str) else json.dumps({**files.ARC[0], **row} if row else {})
    path.write_text(path.read_text() + text + "\n")
    with pytest.raises(DocumentError, match=words) as raised:
        read_arc(path, 0)
    assert len(str(raised.value)) < 400


@pytest.mark.parametrize("label", ["", "4", -1, 4, True, 1.5, None, "९"])
def test_hellaswag_without_a_label(tmp_path: Path, label: object) -> None:
    path = files.write_lines(tmp_path / "hellaswag_test.jsonl", [{**files.HELLASWAG[0], "label": label}])
    with pytest.raises(DocumentError, match=r"line 1: 'label' is .*: expected the number of an ending, 0 to 3"):
        read_hellaswag(path, 0)


def test_half_a_surrogate_pair_does_not_get_through(tmp_path: Path) -> None:
    path = tmp_path / "arc.jsonl"
    path.write_text(json.dumps(files.ARC[0]).replace("wood", "wo\\ud800od"))
    (subject,) = read_arc(path, 0)
    assert subject.questions[0].choices[2] == "wo?od"  # type: ignore[union-attr]


def test_jaster_keeps_its_own_examples_or_those_beside_it(tmp_path: Path) -> None:
    qa, mawps = read_jaster(files.jaster(tmp_path / "evaluation"), 4)
    assert (qa.metrics, qa.max_tokens, qa.instruction) == (("char_f1",), 12, "質問を入力とし、回答を出力してください。")
    assert qa.questions[1] == Exercise(2, "質問：ドイツの首都は？", "ベルリン")
    assert qa.examples == [Exercise(1, "質問：日本の首都は？", "東京")]
    assert mawps.examples == [Exercise(1, "1 + 1 = ?", "2")]
    assert len(mawps.questions) == 2


def test_jaster_with_a_metric_that_is_not_known(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = files.jaster(tmp_path)
    files.write_json(folder / "alt-e-to-j.json", {**files.MAWPS, "metrics": ["bleu_ja", "comet_wmt22"]})
    assert [subject.name for subject in read_jaster(folder, 0)] == ["jemhopqa", "mawps"]
    words = "alt-e-to-j.json: 'metrics' is ['bleu_ja', 'comet_wmt22']: translations and programs are not scored"
    assert words in caplog.text
    with pytest.raises(DocumentError, match="translations and programs are not scored; expected exact_match, char_f1"):
        read_jaster(folder / "alt-e-to-j.json", 0)


def test_jaster_with_one_metric_of_two(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = files.write_json(tmp_path / "x.json", {**files.MAWPS, "metrics": ["bleu_en", "exact_match"]})
    (subject,) = read_jaster(path, 0)
    assert subject.metrics == ("exact_match",)
    assert "x.json: not scored: ['bleu_en']" in caplog.text


@pytest.mark.parametrize("output", ["", "three", "nan", "inf"])
def test_correlations_need_numbers(tmp_path: Path, output: str) -> None:
    samples = [{"input": "a", "output": "3.5"}, {"input": "b", "output": output}]
    row = {**files.MAWPS, "metrics": ["pearson", "spearman"], "samples": samples}
    path = files.write_json(tmp_path / "jsts.json", row)
    with pytest.raises(DocumentError, match=rf"'output' is '{output}': expected a number, .*\(in samples 2\)"):
        read_jaster(path, 0)
    assert len(read_jaster(files.write_json(path, {**row, "samples": samples[:1]}), 0)[0].questions) == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"output_length": 0}, "'output_length' is 0: expected tokens, 1 to 4,096"),
        ({"output_length": True}, "'output_length' is True"),
        ({"metrics": "char_f1"}, "'metrics' is 'char_f1': expected a list"),
        ({"instruction": None}, "'instruction' is missing"),
        ({"samples": {}}, "'samples' is {}: expected a list"),
        ({"samples": []}, "there is no sample to ask"),
        ({"samples": ["x"]}, "samples 1 is 'x': expected an input and an output"),
        ({"samples": [*files.MAWPS["samples"], {"input": "x"}]}, r"'output' is missing.*\(in samples 3\)"),
    ],
)
def test_broken_jaster(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    path = files.write_json(tmp_path / "mawps.json", {**files.MAWPS, **change})
    with pytest.raises(DocumentError, match=words):
        read_jaster(path, 0)


def test_broken_json_has_its_line(tmp_path: Path) -> None:
    path = tmp_path / "mawps.json"
    path.write_text('{\n"instruction": "x",\n"samples": [}\n')
    with pytest.raises(DocumentError, match=r"mawps\.json, line 3: no JSON"):
        read_jaster(path, 0)


def test_a_text_is_cut_at_lines_and_words_and_nothing_is_lost(tmp_path: Path) -> None:
    text = "".join(f"{number}: some words stand in this line.\n" for number in range(200)) + "x" * 3000
    found = pieces(text)
    assert "".join(found) == text
    assert max(map(len, found)) <= PIECE_CHARS
    assert all(piece.endswith("\n") for piece in found[:5])
    (tmp_path / "a.txt").write_text(text)
    (subject,) = read_text(tmp_path, 0)
    assert [question.text for question in subject.questions] == found
    (tmp_path / "a.txt").write_text(" \n")
    with pytest.raises(DocumentError, match="nothing but space"):
        read_text(tmp_path, 0)
