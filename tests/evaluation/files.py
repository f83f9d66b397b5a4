"""Small files in the layouts in which the benchmarks' authors publish theirs, with questions of our own."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

ANATOMY_DEV = [
    ["How many bones has an adult's body?", "106", "206", "306", "406", "B"],
    ["Which organ pumps the blood?", "the liver", "the lung", "the heart", "the spleen", "C"],
]
ANATOMY = [
    ["Which bone is the longest?", "the femur", "the tibia", "the ulna", "the radius", "A"],
    ["Where is the cornea?", "in the ear", "in the eye", "in the knee", "in the hand", "B"],
    ["How many chambers has the heart, and how many valves?", "2, 2", "3, 3", "4, 3", "4, 4", "D"],
]
RELIGIONS_DEV = [["Who wrote the 95 theses?", "Calvin", "Luther", "Zwingli", "Knox", "B"]]
RELIGIONS = [
    ["Which river is holy to Hindus?", "the Ganges", "the Nile", "the Rhine", "the Po", "A"],
    ["What is the first month of the Islamic calendar?", "Safar", "Rajab", "Muharram", "Ramadan", "C"],
]
JMMLU = [
    ["日本で一番高い山は？", " 富士山 ", " 北岳 ", " 槍ヶ岳 ", " 立山 ", "A"],
    ["一円玉の重さは？", "0.5 g", "1 g", "2 g", "3 g", "B"],
    ["人口が「1,000,000人」を超える市は？", "鳥取市", "松江市", "甲府市", "仙台市", "D"],
]
ARC: list[dict[str, Any]] = [
    {
        "id": "E1",
        "question": {
            "stem": "What melts when it is warmed?",
            "choices": [
                {"text": "ice", "label": "A"},
                {"text": "a stone in the garden", "label": "B"},
                {"text": "wood", "label": "C"},
            ],
        },
        "answerKey": "A",
    },
    {
        "id": "E2",
        "question": {
            "stem": "Which of these is a planet?",
            "choices": [
                {"text": "the Sun", "label": "1"},
                {"text": "the Moon", "label": "2"},
                {"text": "the planet Mars", "label": "3"},
                {"text": "Ceres and the other ones", "label": "4"},
            ],
        },
        "answerKey": "3",
    },
]
ARC_TRAIN: list[dict[str, Any]] = [
    {
        "id": "T1",
        "question": "What do plants need?",
        "choices": {"text": ["light", "noise"], "label": ["A", "B"]},
        "answerKey": "A",
    }
]
HELLASWAG: list[dict[str, Any]] = [
    {
        "ind": 1,
        "activity_label": "Baking bread",
        "ctx_a": "A woman kneads dough on a table.",
        "ctx_b": "she",
        "ctx": "A woman kneads dough on a table. she",
        "split": "val",
        "split_type": "indomain",
        "label": 0,
        "endings": [
            "puts it into the oven.",
            "throws the table away and laughs.",
            "swims through the lake [substeps] quickly.",
            "reads the dough a book.",
        ],
        "source_id": "activitynet~v_1",
    },
    {
        "ind": 2,
        "activity_label": "Gardening",
        "ctx_a": "[header] How to plant a tree [title] Dig a hole.",
        "ctx_b": "",
        "ctx": "[header] How to plant a tree [title] Dig a hole.",
        "label": "1",
        "endings": ["Sell the hole.", "Put the tree in.", "Close your eyes.", "Call the fire brigade."],
    },
]
JEMHOPQA: dict[str, Any] = {
    "instruction": "質問を入力とし、回答を出力してください。",
    "output_length": 12,
    "metrics": ["char_f1"],
    "few_shots": [{"input": "質問：日本の首都は？", "output": "東京"}],
    "samples": [
        {"input": "質問：フランスの首都は？", "output": "パリ"},
        {"input": "質問：ドイツの首都は？", "output": "ベルリン"},
    ],
}
MAWPS: dict[str, Any] = {
    "instruction": "Answer with a number.",
    "output_length": 4,
    "metrics": ["exact_match"],
    "samples": [{"input": "2 + 3 = ?", "output": "5"}, {"input": "7 - 4 = ?", "output": "3"}],
}


def write_csv(path: Path, rows: list[list[str]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


def write_lines(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def write_json(path: Path, data: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data, ensure_ascii=False, indent=1), encoding="utf-8")
    return path


def mmlu(folder: Path) -> Path:
    """MMLU's folder `data`, with two subjects."""
    write_csv(folder / "dev" / "anatomy_dev.csv", ANATOMY_DEV)
    write_csv(folder / "test" / "anatomy_test.csv", ANATOMY)
    write_csv(folder / "dev" / "world_religions_dev.csv", RELIGIONS_DEV)
    write_csv(folder / "test" / "world_religions_test.csv", RELIGIONS)
    return folder


def jaster(folder: Path) -> Path:
    """Jaster's folder `evaluation/test`, with two tasks; one keeps its examples in `train`."""
    write_json(folder / "test" / "jemhopqa.json", JEMHOPQA)
    write_json(folder / "test" / "mawps.json", MAWPS)
    write_json(folder / "train" / "mawps.json", {**MAWPS, "samples": [{"input": "1 + 1 = ?", "output": "2"}]})
    return folder / "test"
