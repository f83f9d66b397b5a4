"""genai_config.json, which tells of a graph: what goes in and comes out, and the sizes of the model.

Source of its keys: ONNX Runtime GenAI's src/config.h.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeai.errors import ModelFormatError
from edgeai.onnx_json import Fields, read_json

GRAPH_NAME, CONFIG_NAME = "model.onnx", "genai_config.json"
MAX_CONFIG_BYTES = 2**20

_MAX_LAYERS, _MAX_WIDTH, _MAX_VOCAB, _MAX_HEADS = 512, 2**20, 2**20, 2**12
_MAX_END_IDS = 64
_OTHER_PARTS = {
    **dict.fromkeys(("vision", "embedding", "speech"), "a pipeline for pictures or sounds"),
    **dict.fromkeys(("encoder", "encoder_decoder_init"), "an encoder beside a decoder"),
}


@dataclass(frozen=True, slots=True)
class Decoder:
    """The graph as its configuration tells of it.

    Attributes:
        n_layer: layers with a K and a V.
        n_head: attention heads.
        n_head_kv: heads of K and V.
        head_dim: width of a head.
        n_embd: width of the model.
        n_vocab: logits of a token.
        inputs: what its inputs are called: input_ids, attention_mask, position_ids.
        logits: what its output is called.
        past: names of the inputs that hold K and V; `%d` is the layer.
        present: of the outputs, likewise.
    """

    n_layer: int
    n_head: int
    n_head_kv: int
    head_dim: int
    n_embd: int
    n_vocab: int
    inputs: Mapping[str, str]
    logits: str
    past: tuple[str, str]
    present: tuple[str, str]


def is_graph(path: Path) -> bool:
    """Whether a path names a graph, by its ending."""
    return path.suffix.lower() == ".onnx"


def read_config(folder: Path) -> Fields:
    """The `model` of a folder's configuration.

    Raises:
        ModelFormatError: there is none.
    """
    if not (folder / CONFIG_NAME).exists():
        raise ModelFormatError(
            f"{folder}: no {CONFIG_NAME}: expected a folder that `quantize --format onnx`, ONNX Runtime GenAI's "
            "builder or Olive has written; build it with one of these"
        )
    return Fields(folder / CONFIG_NAME, read_json(folder / CONFIG_NAME, MAX_CONFIG_BYTES)).table("model")


def decoder_table(config: Fields) -> Fields:
    """The decoder in it.

    Raises:
        ModelFormatError: it is a model of another kind.
    """
    for name, what in _OTHER_PARTS.items():
        if name in config:
            config.fail(f"model.{name}: this is {what}", "choose a decoder, which writes text token by token")
    if "decoder" not in config:
        config.fail("it has no model.decoder", "choose a decoder, which writes text token by token")
    table = config.table("decoder")
    if "pipeline" in table:
        table.fail("model.decoder.pipeline: a graph in several files", "choose a decoder of one graph")
    return table


def graph_name(table: Fields) -> str:
    """The name of the decoder's file."""
    name = table.text("filename", GRAPH_NAME, bare=True)
    if not is_graph(Path(name)):
        table.fail(f"model.decoder.filename = {name[:60]!r}, expected a name that ends in .onnx")
    return name


def read_decoder(config: Fields, table: Fields) -> Decoder:
    """What the graph looks like.

    Raises:
        ModelFormatError: a number or a name that cannot be.
    """
    inputs, outputs = table.table("inputs", optional=True), table.table("outputs", optional=True)
    if "inputs_embeds" in inputs and "input_ids" not in inputs:
        inputs.fail("the graph takes embeddings, not tokens", "choose a decoder, which takes input_ids")
    n_head = table.number("num_attention_heads", 1, _MAX_HEADS)
    n_head_kv = table.number("num_key_value_heads", 1, _MAX_HEADS, n_head)
    if n_head % n_head_kv:
        table.fail(f"num_attention_heads = {n_head}, num_key_value_heads = {n_head_kv}: expected a multiple of it")
    n_embd = table.number("hidden_size", 1, _MAX_WIDTH)
    return Decoder(
        n_layer=table.number("num_hidden_layers", 1, _MAX_LAYERS),
        n_head=n_head,
        n_head_kv=n_head_kv,
        head_dim=table.number("head_size", 1, _MAX_WIDTH, n_embd // n_head or None),
        n_embd=n_embd,
        n_vocab=config.number("vocab_size", 1, _MAX_VOCAB),
        inputs={name: inputs.text(name, name) for name in ("input_ids", "attention_mask", "position_ids")},
        logits=outputs.text("logits", "logits"),
        past=(
            inputs.pattern("past_key_names", "past_key_values.%d.key"),
            inputs.pattern("past_value_names", "past_key_values.%d.value"),
        ),
        present=(
            outputs.pattern("present_key_names", "present.%d.key"),
            outputs.pattern("present_value_names", "present.%d.value"),
        ),
    )


def end_ids(config: Fields, n_vocab: int) -> tuple[int, ...]:
    """The tokens that end an answer."""
    given = config.get("eos_token_id")
    listed = given if isinstance(given, list) else [given]
    ids = tuple(each for each in listed[:_MAX_END_IDS] if _is_id(each, n_vocab))  # some name tokens that have no row
    if not ids:
        config.fail(f"eos_token_id = {str(given)[:60]}, expected one or more of 0 to {n_vocab - 1:,}")
    return ids


def optional_id(config: Fields, name: str, n_vocab: int) -> int | None:
    """A token that may be there."""
    value = config.get(name)
    if value is None or value == -1:
        return None
    if not _is_id(value, n_vocab):
        config.fail(f"{name} = {str(value)[:60]}, expected 0 to {n_vocab - 1:,}")
    return int(value)


def _is_id(value: Any, n_vocab: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < n_vocab
