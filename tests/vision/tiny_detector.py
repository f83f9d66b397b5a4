"""Tiny detectors as ONNX folders: networks without weights whose answers follow from the picture and the words.

The network finds what is red in the picture that it is given, so that its boxes tell whether pictures are prepared, and
boxes read, as the kind wants it. It has four boxes: two round the red thing, which overlap, one of all, one of nothing.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

WORDS = ("[PAD]", "[BOS]", "[EOS]", "[UNK]", ".", "red", "all", "circle", "nothing")
WANTED = ("red", "red", "all", "nothing")
"""The word that each box is of."""
LOGITS = (4.0, 2.0, 1.0, 3.0)
NO = -9.0
INPUTS = {
    "owlvit": ("input_ids", "pixel_values", "attention_mask"),
    "owlv2": ("input_ids", "pixel_values", "attention_mask"),
    "grounding-dino": ("pixel_values", "input_ids", "token_type_ids", "attention_mask", "pixel_mask"),
}


def tiny_detector(
    folder: Path, kind: str, *, preprocessor: dict[str, Any] | None = None, nodes: list[Any] | None = None
) -> Path:
    """Write a folder.

    Args:
        folder: where; it need not exist.
        kind: config.json's model_type.
        preprocessor: preprocessor_config.json, where it is to be another.
        nodes: put behind the network's own.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config = {"model_type": kind, "text_config": {"max_position_embeddings": 16}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor or _preprocessor(kind)))
    tokenizer(is_joined=kind == "grounding-dino").save(str(folder / "tokenizer.json"))
    onnx.save(network(kind, nodes or []), folder / "model.onnx")
    return folder


def _preprocessor(kind: str) -> dict[str, Any]:
    if kind == "grounding-dino":
        return {"size": {"shortest_edge": 80, "longest_edge": 133}, "resample": 2}
    return {"size": {"height": 96, "width": 96}, "resample": 3}


def tokenizer(*, is_joined: bool) -> Tokenizer:
    """One token a word; BERT's or CLIP's way of beginning and ending a text. It cuts and fills up, as real ones do."""
    made = Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    if is_joined:
        made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.post_processor = processors.TemplateProcessing(
        single="[BOS] $A [EOS]", special_tokens=[("[BOS]", 1), ("[EOS]", 2)]
    )
    made.enable_truncation(8)
    made.enable_padding(length=8)
    return made


def network(kind: str, more: list[Any]) -> onnx.ModelProto:
    """The model."""
    is_joined = kind == "grounding-dino"
    nodes = [*_red_box(), *_boxes(), *_logits(is_joined=is_joined), *more]
    constants = {
        "i0": np.array(0), "i1": np.array(1), "i2": np.array(2), "i3": np.array(3), "axis0": np.array([0]),
        "axis1": np.array([1]), "one_f": np.array([1], np.float32), "half": np.array([0.5], np.float32),
        "threshold": np.array(1, np.float32), "all_box": np.array([[0.5, 0.5, 1, 1]], np.float32),
        "no_box": np.array([[0.5, 0.5, 0, 0.2]], np.float32),
        "wanted": np.array([[WORDS.index(word)] for word in WANTED]),
        "levels": np.array([[level - NO] for level in LOGITS], np.float32), "no": np.array(NO, np.float32),
    }  # fmt: skip
    shapes: dict[str, list[str | int | None]] = {"pixel_values": [1, 3, "h", "w"], "pixel_mask": [1, "h", "w"]}
    inputs = [
        helper.make_tensor_value_info(
            name,
            TensorProto.FLOAT if name == "pixel_values" else TensorProto.INT64,
            shapes.get(name) or ["texts", "tokens"],
        )
        for name in INPUTS[kind]
    ]
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("logits", "pred_boxes")]
    given = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, given)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def _red_box() -> list[Any]:
    """Edges of what is red, in shares of what the network sees: left, right, top, bottom; each [1]."""
    make = helper.make_node
    nodes = [
        make("Squeeze", ["pixel_values", "axis0"], ["colours"]),
        make("Gather", ["colours", "i0"], ["reds"], axis=0),
        make("Gather", ["colours", "i1"], ["greens"], axis=0),
        make("Sub", ["reds", "greens"], ["difference"]),
        make("Greater", ["difference", "threshold"], ["is_red"]),
        make("Cast", ["is_red"], ["red_map"], to=TensorProto.FLOAT),
        make("Shape", ["red_map"], ["map_shape"]),
        make("Cast", ["map_shape"], ["map_sides"], to=TensorProto.FLOAT),
    ]
    for axis, (first, last, side) in enumerate((("left", "right", "i1"), ("top", "bottom", "i0"))):
        nodes += [
            make("ReduceMax", ["red_map"], [f"line{axis}"], axes=[axis], keepdims=0),
            make("ArgMax", [f"line{axis}"], [f"first{axis}"], axis=0),
            make("ArgMax", [f"line{axis}"], [f"last{axis}"], axis=0, select_last_index=1),
            make("Gather", ["map_sides", side], [f"side{axis}"], axis=0),
            make("Cast", [f"first{axis}"], [f"first_f{axis}"], to=TensorProto.FLOAT),
            make("Cast", [f"last{axis}"], [f"last_f{axis}"], to=TensorProto.FLOAT),
            make("Add", [f"last_f{axis}", "one_f"], [f"end_f{axis}"]),
            make("Div", [f"first_f{axis}", f"side{axis}"], [first]),
            make("Div", [f"end_f{axis}", f"side{axis}"], [last]),
        ]
    return nodes


def _boxes() -> list[Any]:
    make = helper.make_node
    nodes = []
    for first, last, middle, size in (("left", "right", "cx", "w"), ("top", "bottom", "cy", "h")):
        nodes += [
            make("Sub", [last, first], [size]),
            make("Add", [last, first], [f"{middle}2"]),
            make("Mul", [f"{middle}2", "half"], [middle]),
        ]
    return [
        *nodes,
        make("Concat", ["cx", "cy", "w", "h"], ["red_flat"], axis=0),
        make("Unsqueeze", ["red_flat", "axis0"], ["red_box"]),
        make("Concat", ["red_box", "red_box", "all_box", "no_box"], ["boxes"], axis=0),
        make("Unsqueeze", ["boxes", "axis0"], ["pred_boxes"]),
    ]


def _logits(*, is_joined: bool) -> list[Any]:
    """[1, 4, texts], of each text's first word; or [1, 4, tokens]."""
    make = helper.make_node
    return [
        make("Gather", ["input_ids", "i0" if is_joined else "i1"], ["words"], axis=0 if is_joined else 1),
        make("Equal", ["wanted", "words"], ["is_wanted"]),
        make("Cast", ["is_wanted"], ["wanted_f"], to=TensorProto.FLOAT),
        make("Mul", ["wanted_f", "levels"], ["raised"]),
        make("Add", ["raised", "no"], ["logits_flat"]),
        make("Unsqueeze", ["logits_flat", "axis0"], ["logits"]),
    ]
