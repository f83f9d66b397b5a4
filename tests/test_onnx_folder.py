"""ONNX folders are looked through before ONNX Runtime sees them; what cannot be run is one clear line."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

from edgeai import Session
from edgeai.backends.onnx_graph import read_graph
from edgeai.errors import ModelError, ModelFormatError, ModelNotFoundError, OptionError
from edgeai.onnx_folder import read_folder
from tests.tiny_onnx import N_VOCAB, genai_config, tiny_onnx, write_record


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_onnx(tmp_path_factory.mktemp("tiny") / "tiny")


@pytest.fixture
def folder(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "tiny"))


def test_what_a_folder_says_of_itself(sound: Path) -> None:
    found = read_folder(sound)
    assert read_folder(sound / "model.onnx") == found
    assert (found.name, found.architecture, found.n_ctx_train, found.bits) == ("tiny-onnx", "llama", 512, 32)
    assert (found.decoder.n_layer, found.decoder.n_head, found.decoder.n_head_kv, found.decoder.head_dim) == (
        4,
        4,
        2,
        32,
    )
    assert found.decoder.n_vocab == N_VOCAB
    assert found.tokenizer == "tokenizer.json"
    assert found.licence == "Apache-2.0"
    assert found.n_file_bytes == sum(path.stat().st_size for path in sound.iterdir())
    graph = read_graph(found)
    assert graph.last_only
    assert len(graph.inputs) == len(graph.outputs) + 1 == 10


def test_without_our_record_the_configuration_says_enough(folder: Path) -> None:
    (folder / "edgeai.json").unlink()
    found = read_folder(folder)
    assert (found.name, found.architecture, found.n_ctx_train, found.n_params) == ("tiny", "llama", 512, 0)


def test_a_link_to_the_graph_leads_to_its_folder(sound: Path, tmp_path: Path) -> None:
    (tmp_path / "link.onnx").symlink_to(sound / "model.onnx")
    assert read_folder(tmp_path / "link.onnx").path == sound.resolve()


# --- files


def change(folder: Path, name: str, edit: Callable[[dict[str, Any]], object]) -> None:
    path = folder / name
    values = json.loads(path.read_text())
    edit(values)
    path.write_text(json.dumps(values))


def decoder(edit: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    return lambda folder: change(folder, "genai_config.json", lambda values: edit(values["model"]["decoder"]))


def model(edit: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    return lambda folder: change(folder, "genai_config.json", lambda values: edit(values["model"]))


def record(edit: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    return lambda folder: change(folder, "edgeai.json", edit)


BAD_FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no graph": (lambda folder: (folder / "model.onnx").unlink(), "no model.onnx"),
    "an empty graph": (lambda folder: (folder / "model.onnx").write_bytes(b""), "0 bytes"),
    "no weights": (lambda folder: (folder / "model.onnx.data").unlink(), "model.onnx.data is missing"),
    "cut weights": (lambda folder: os.truncate(folder / "model.onnx.data", 1000), "1,000 bytes, and edgeai.json says"),
    "no configuration": (lambda folder: (folder / "genai_config.json").unlink(), "no genai_config.json"),
    "no JSON": (lambda folder: (folder / "genai_config.json").write_text("{"), "expected JSON"),
    "a list": (lambda folder: (folder / "genai_config.json").write_text("[]"), "found a list"),
    "deep JSON": (lambda folder: (folder / "genai_config.json").write_text("[" * 99999), "expected JSON"),
    "long JSON": (lambda folder: (folder / "genai_config.json").write_text(" " * 2**21), "expected at most"),
    "no tokenizer": (lambda folder: _without_tokenizer(folder), "no tokenizer.json and no vocab.gguf"),
    "a lost tokenizer": (lambda folder: (folder / "tokenizer.json").unlink(), "tokenizer.json is missing"),
    "a pipe": (lambda folder: _pipe(folder / "genai_config.json"), "pipe"),
    "a picture pipeline": (model(lambda m: m.update(vision={})), "a pipeline for pictures or sounds"),
    "an encoder": (model(lambda m: m.update(encoder={})), "an encoder beside a decoder"),
    "no decoder": (model(lambda m: m.pop("decoder")), "no model.decoder"),
    "several graphs": (decoder(lambda d: d.update(pipeline=[])), "several files"),
    "embeddings": (decoder(lambda d: d.update(inputs={"inputs_embeds": "x"})), "takes embeddings"),
    "a path": (decoder(lambda d: d.update(filename="../model.onnx")), "without a folder"),
    "another ending": (decoder(lambda d: d.update(filename="model.so")), "ends in .onnx"),
    "no layers": (decoder(lambda d: d.update(num_hidden_layers=0)), "expected a number from 1"),
    "many layers": (decoder(lambda d: d.update(num_hidden_layers=10**30)), "expected a number from 1"),
    "a text for a number": (decoder(lambda d: d.update(head_size="32")), "expected a number"),
    "heads": (decoder(lambda d: d.update(num_attention_heads=3)), "expected a multiple"),
    "a pattern": (decoder(lambda d: d["inputs"].update(past_key_names="%s%d")), "%d for the layer"),
    "no vocabulary": (model(lambda m: m.pop("vocab_size")), "vocab_size is missing"),
    "an end beyond": (model(lambda m: m.update(eos_token_id=[N_VOCAB])), "eos_token_id"),
    "no end": (model(lambda m: m.pop("eos_token_id")), "eos_token_id"),
    "no window": (model(lambda m: m.update(context_length=0)), "context_length is 0"),
    "a newer format": (record(lambda r: r.update(format=2)), "install a newer edgeai"),
    "a file outside": (record(lambda r: r.update(files={"../x": {"size": 1}})), "without folders"),
    "bos": (record(lambda r: r.update(add_bos="yes")), "expected true or false"),
}


def _without_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    write_record(folder)


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize("how", BAD_FILES)
def test_wrong_files_are_refused_in_one_line(how: str, folder: Path) -> None:
    damage, words = BAD_FILES[how]
    damage(folder)
    with pytest.raises(ModelFormatError) as refused:
        read_folder(folder)
    assert words in str(refused.value)
    assert str(folder) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_changed_byte_of_the_graph_is_told_as_such(folder: Path) -> None:
    data = bytearray((folder / "model.onnx").read_bytes())
    data[len(data) // 2] ^= 1
    (folder / "model.onnx").write_bytes(data)
    with pytest.raises(ModelFormatError, match=r"model\.onnx: its SHA-256 is not the one in edgeai\.json"):
        read_folder(folder)


def test_what_is_no_folder_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError):
        read_folder(tmp_path / "nothing")
    with pytest.raises(ModelNotFoundError, match=r"model\.onnx with genai_config\.json"):
        Session(tmp_path)


@pytest.mark.parametrize("isolation", ["process", "none"])
def test_a_session_says_that_the_graph_is_missing(isolation: str, folder: Path) -> None:
    (folder / "model.onnx").unlink()
    with pytest.raises(ModelFormatError, match=r"tiny: no model\.onnx: expected the graph beside genai_config\.json"):
        Session(folder, isolation=isolation)


# --- graphs


def add_node(name: str, domain: str = "") -> Callable[[onnx.ModelProto], object]:
    return lambda graph: graph.graph.node.append(helper.make_node(name, ["logits"], ["x"], domain=domain))


def external(key: str, value: str) -> Callable[[onnx.ModelProto], None]:
    def edit(graph: onnx.ModelProto) -> None:
        tensor = next(tensor for tensor in graph.graph.initializer if tensor.external_data)
        entry = next((entry for entry in tensor.external_data if entry.key == key), None) or tensor.external_data.add()
        entry.key, entry.value = key, value

    return edit


def side(what: str, name: str, index: int, value: int) -> Callable[[onnx.ModelProto], None]:
    def edit(graph: onnx.ModelProto) -> None:
        found = next(each for each in getattr(graph.graph, what) if each.name == name)
        found.type.tensor_type.shape.dim[index].dim_value = value

    return edit


def inner(edit: Callable[[onnx.GraphProto], object]) -> Callable[[onnx.ModelProto], None]:
    """A graph inside a graph's operator."""

    def add(graph: onnx.ModelProto) -> None:
        body = helper.make_graph([helper.make_node("Identity", ["logits"], ["y"])], "body", [], [])
        edit(body)
        node = helper.make_node("If", ["logits"], ["x"], then_branch=body, else_branch=body)
        graph.graph.node.append(node)

    return add


def far(graph: onnx.GraphProto) -> None:
    tensor = graph.initializer.add(name="far", dims=[1], data_type=1, data_location=1)
    tensor.external_data.add(key="location", value="/etc/passwd")


def constant_far(graph: onnx.ModelProto) -> None:
    tensor = TensorProto(name="far", dims=[1], data_type=1, data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="../passwd")
    graph.graph.node.append(helper.make_node("Constant", [], ["x"], value=tensor))


def unshared(graph: onnx.ModelProto) -> None:
    node = next(node for node in graph.graph.node if node.op_type == "GroupQueryAttention")
    node.input[3], node.input[4] = node.input[4], node.input[3]


BAD_GRAPHS: dict[str, tuple[Callable[[onnx.ModelProto], object], str]] = {
    "a custom operator": (add_node("Evil", "my.domain"), "libraries of operators are never loaded"),
    "compiled code": (add_node("EPContext", "com.microsoft"), "code compiled for one device"),
    "an operator inside": (inner(lambda graph: graph.node.append(helper.make_node("E", [], [], domain="e"))), "'e'"),
    "a function": (lambda graph: graph.functions.append(onnx.FunctionProto(name="f")), "functions of its own"),
    "training": (lambda graph: graph.training_info.add(), "for training"),
    "absolute": (external("location", "/etc/passwd"), "expected a file beside the graph"),
    "above": (external("location", "../model.onnx.data"), "expected a file beside the graph"),
    "in a folder": (external("location", "sub/model.onnx.data"), "expected a file beside the graph"),
    "with backslashes": (external("location", "..\\model.onnx.data"), "expected a file beside the graph"),
    "memory": (external("location", "*/_ORT_MEM_ADDR_/*"), "expected a file beside the graph"),
    "another file": (external("location", "other.data"), "'other.data' is missing"),
    "beyond": (external("offset", str(10**9)), "it was cut off or is another model's"),
    "negative": (external("offset", "-1"), "expected a number"),
    "long": (external("length", str(10**12)), "it was cut off or is another model's"),
    "packed": (external("prepacked_0", "x|0|1|c"), "expected location, offset, length, checksum only"),
    "far inside": (inner(far), "expected a file beside the graph"),
    "far in a constant": (constant_far, "expected a file beside the graph"),
    "an unknown input": (
        lambda graph: graph.graph.input.append(helper.make_tensor_value_info("beams", TensorProto.INT64, ["n"])),
        "'beams', which we do not know",
    ),
    "an unknown output": (
        lambda graph: graph.graph.output.append(helper.make_tensor_value_info("hidden", TensorProto.FLOAT, ["n"])),
        "'hidden', which we do not know",
    ),
    "a missing input": (lambda graph: graph.graph.input.pop(2), "no input 'past_key_values.0.key'"),
    "a missing output": (lambda graph: graph.graph.output.pop(0), "no output 'logits'"),
    "another vocabulary": (side("output", "logits", 2, 99), f"expected float32 or float16 [batch, tokens, {N_VOCAB}]"),
    "other heads": (side("input", "past_key_values.1.value", 1, 3), "as genai_config.json says"),
    "a fixed length": (side("output", "present.1.key", 2, 77), "as genai_config.json says"),
    "no shared buffer": (unshared, "one buffer for past and present"),
    "no graph": (lambda graph: graph.ClearField("graph"), "no graph in it"),
    "sparse": (lambda graph: graph.graph.sparse_initializer.add(), "sparse weights"),
}


def rewritten(folder: Path, edit: Callable[[onnx.ModelProto], object]) -> Path:
    graph = onnx.load(folder / "model.onnx", load_external_data=False)
    edit(graph)
    (folder / "model.onnx").write_bytes(graph.SerializeToString())
    write_record(folder)
    return folder


@pytest.mark.parametrize("how", BAD_GRAPHS)
def test_wrong_graphs_are_refused_before_onnx_runtime_sees_them(how: str, folder: Path) -> None:
    edit, words = BAD_GRAPHS[how]
    rewritten(folder, edit)
    with pytest.raises(ModelFormatError) as refused:
        read_graph(read_folder(folder))
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "data", [b"\0", b"\xff" * 99, b"\x3a\x7f", b"garbage that is long enough", b"\x0b\x0c", b"\x08\x07"]
)
def test_what_is_no_protobuf_is_refused(data: bytes, folder: Path) -> None:
    (folder / "model.onnx").write_bytes(data)
    write_record(folder)
    with pytest.raises(ModelFormatError, match=r"no ONNX graph|no graph in it"):
        read_graph(read_folder(folder))


def test_of_a_graph_that_stands_there_twice_both_are_looked_through(folder: Path) -> None:
    """Protobuf merges the two: the second could bring what the first does not show."""
    path = folder / "model.onnx"
    more = onnx.ModelProto()
    more.graph.node.append(helper.make_node("Evil", [], ["x"], domain="evil"))
    path.write_bytes(path.read_bytes() + more.SerializeToString())
    write_record(folder)
    with pytest.raises(ModelFormatError, match="libraries of operators are never loaded"):
        read_graph(read_folder(folder))


# --- in a session


@pytest.mark.parametrize("isolation", ["process", "none"])
def test_onnx_runtimes_own_refusal_is_one_line(isolation: str, folder: Path) -> None:
    rewritten(folder, lambda graph: graph.graph.node.append(helper.make_node("NotYet", ["logits"], ["later"])))
    with pytest.raises(
        ModelFormatError, match=r"onnxruntime [\d.]+ is too old for the operator NotYet: install a newer"
    ):
        Session(folder, isolation=isolation)
    rewritten(folder, lambda graph: graph.graph.node.pop())
    rewritten(folder, lambda graph: setattr(graph.opset_import[0], "version", 99))
    with pytest.raises(ModelFormatError, match=r"is too old for opset 99"):
        Session(folder, isolation=isolation)
    rewritten(folder, lambda graph: setattr(graph.opset_import[0], "version", 21))
    rewritten(folder, lambda graph: graph.graph.node.pop(0))
    with pytest.raises(ModelFormatError) as refused:
        Session(folder, isolation=isolation)
    assert "ONNX Runtime cannot load it" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_tokenizer_of_another_model_is_refused(folder: Path) -> None:
    def more(values: dict[str, Any]) -> None:
        values["model"]["vocab"].update({f"token{index}": N_VOCAB + index for index in range(9)})

    change(folder, "tokenizer.json", more)
    write_record(folder)
    with pytest.raises(ModelFormatError, match="it is another model's"):
        Session(folder)
    (folder / "tokenizer.json").write_text("{}")
    write_record(folder)
    with pytest.raises(ModelFormatError, match="no tokenizer that can be read"):
        Session(folder)


def test_options_of_llama_cpp_are_refused(sound: Path) -> None:
    for option in ({"type_k": "q8_0"}, {"flash_attn": True}, {"n_gpu_layers": 3}, {"mmproj_path": "x.gguf"}):
        (name,) = option
        with pytest.raises(OptionError, match=f"{name} = .* is for GGUF models"):
            Session(sound, **option)
    with pytest.raises(OptionError, match="expected auto or one of cpu, cuda"):
        Session(sound, provider="tpu")


def test_a_missing_extra_is_named(sound: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    for name in ("onnx", "tokenizers"):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, name, None)
            with pytest.raises(ModelError, match=rf"{name}, which is not installed: pip install 'edgeai\[onnx\]'"):
                Session(sound, isolation="none")


def test_configurations_of_other_writers_open(folder: Path) -> None:
    """Olive leaves names out that are the usual ones."""
    values = genai_config()
    for name in ("inputs", "outputs"):
        del values["model"]["decoder"][name]
    del values["search"]
    (folder / "genai_config.json").write_text(json.dumps(values))
    (folder / "edgeai.json").unlink()
    with Session(folder) as session:
        assert session.complete("Hello", max_tokens=3, temperature=0).usage.completion_tokens == 3
