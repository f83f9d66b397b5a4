"""What quantize does not know goes through llama.cpp's converter: what that gets, and what becomes of its results."""

from __future__ import annotations

import json
import os
import pickle
import re
import sys
from pathlib import Path

import gguf
import numpy as np
import pytest

from edgeai.errors import CheckpointError, QuantizeError, UnsupportedArchitectureError
from quantize import Options, quantize, writer
from quantize.converter import float_gguf
from tests.quantize.converter_stand_ins import (
    CONVERTER,
    NAME,
    checkout,
    odd_checkpoint,
    python_with_torch,
    weights,
    write_json,
)

SHOW = """
import json, sys
from pathlib import Path
folder = Path(sys.argv[-1])
files = {path.relative_to(folder).as_posix(): path.read_bytes().decode("latin-1")
         for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix != ".safetensors"}
for name, text in files.items():
    print("FILE", json.dumps([name, text[:1000]]))
for path in sorted(folder.glob("*.safetensors")):
    print("WEIGHTS", path.name, len(path.read_bytes()))
sys.exit(3)
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return python_with_torch(tmp_path_factory.mktemp("python") / "venv")


def failure(tmp_path: Path, python: Path, code: str, error: type[QuantizeError] = CheckpointError) -> str:
    """The one line with which a converter of this code ends; nothing is left of it."""
    source = tmp_path / NAME if (tmp_path / NAME).exists() else odd_checkpoint(tmp_path / NAME)
    out = tmp_path / "out"
    with pytest.raises(QuantizeError) as caught:
        float_gguf(source, checkout(tmp_path / "llama.cpp", code), out / "a.gguf", python=python)
    assert type(caught.value) is error
    assert not list(out.iterdir())
    message = str(caught.value)
    assert message.isprintable()
    return message


def shown(tmp_path: Path, python: Path, source: Path) -> tuple[dict[str, str], list[str]]:
    """The files that the converter sees, and those of weights."""
    lines: list[str] = []
    with pytest.raises(CheckpointError, match="exit code 3"):
        float_gguf(
            source, checkout(tmp_path / "show", SHOW), tmp_path / "out.gguf", python=python, on_line=lines.append
        )
    files = dict(json.loads(line.removeprefix("FILE ")) for line in lines if line.startswith("FILE "))
    return files, [line.removeprefix("WEIGHTS ") for line in lines if line.startswith("WEIGHTS ")]


@pytest.mark.parametrize("shards", [1, 3])
def test_an_unknown_architecture_becomes_an_artifact(shards: int, tmp_path: Path, python: Path) -> None:
    source = odd_checkpoint(tmp_path / NAME, shards=shards)
    lines: list[str] = []
    path = float_gguf(
        source, checkout(tmp_path / "llama.cpp"), tmp_path / "out" / "{x}.gguf", python=python, on_line=lines.append
    )
    assert lines[0] == f"INFO:hf-to-gguf:Loading model: {NAME}"
    assert lines[-1].startswith("INFO:hf-to-gguf:Model successfully exported")
    assert list(path.parent.iterdir()) == [path]
    reader, expected = gguf.GGUFReader(path), weights()
    assert reader.fields["general.name"].contents() == NAME
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, 1)
    by_name = {names.get_name(name, try_suffixes=(".weight",)): values for name, values in expected.items()}
    assert {tensor.name for tensor in reader.tensors} == set(by_name)
    for tensor in reader.tensors:
        assert np.array_equal(tensor.data, by_name[tensor.name])
    artifact = quantize(path, tmp_path / "a.gguf", Options(ftype="Q8_0"))
    for tensor in gguf.GGUFReader(artifact.path).tensors:
        values, original = gguf.quants.dequantize(tensor.data, tensor.tensor_type), by_name[tensor.name]
        assert np.abs(values.reshape(original.shape) - original).max() <= np.abs(original).max() / 127


def test_code_and_pickles_are_not_handed_on(tmp_path: Path, python: Path) -> None:
    own_code = {"AutoConfig": "odd.Config", "AutoTokenizer": ["odd.Tokenizer", None]}
    source = odd_checkpoint(tmp_path / NAME, auto_map=own_code, text_config={"auto_map": own_code, "kept": [1.5, None]})
    write_json(
        source / "tokenizer_config.json",
        {
            "auto_map": own_code,
            "tokenizer_class": "OddTokenizer",
            "vocab_file": "/etc/passwd",
            "init_inputs": ["/etc/passwd"],
            "extra": [{"auto_map": own_code}],
        },
    )
    write_json(source / "generation_config.json", {"custom_generate": "evil", "temperature": 0.5})
    write_json(source / "vocab.json", {"auto_map": 0, "vocab_file": 1})
    write_json(source / "1_Pooling" / "config.json", {"auto_map": own_code, "pooling_mode_cls_token": True})
    (source / "README.md").write_text("---\nlicense: mit\n---\n")
    (source / "chat_template.jinja").write_text("{{ messages }}")
    for name in ("odd.py", "pytorch_model.bin", "mask_embedding.pt", "vocab.pkl", ".hidden.json"):
        (source / name).write_bytes(pickle.dumps({}))
    files, stored = shown(tmp_path, python, source)
    assert json.loads(files["config.json"])["text_config"] == {"kept": [1.5, None]}
    assert json.loads(files["tokenizer_config.json"]) == {"tokenizer_class": "OddTokenizer", "extra": [{}]}
    assert json.loads(files["generation_config.json"]) == {"temperature": 0.5}
    assert json.loads(files["vocab.json"]) == {"auto_map": 0, "vocab_file": 1}  # tokens
    assert json.loads(files["1_Pooling/config.json"]) == {"pooling_mode_cls_token": True}
    assert files["README.md"] == "---\nlicense: mit\n---\n"
    assert set(files) == {
        *("config.json", "tokenizer_config.json", "generation_config.json", "vocab.json", "1_Pooling/config.json"),
        *("README.md", "chat_template.jinja"),
    }
    assert stored == [f"model.safetensors {(source / 'model.safetensors').stat().st_size}"]


def test_a_failure_beside_code_of_its_own_says_that_it_is_never_run(tmp_path: Path, python: Path) -> None:
    odd_checkpoint(tmp_path / NAME, auto_map={"AutoConfig": "odd.Config"})
    assert "code of its own (auto_map), which is never run" in failure(tmp_path, python, "raise KeyError('x')")


def test_only_weights_that_were_checked_are_handed_on(tmp_path: Path, python: Path) -> None:
    source = odd_checkpoint(tmp_path / NAME, shards=2)
    (source / "model-extra.safetensors").write_bytes(b"no header")
    files, stored = shown(tmp_path, python, source)
    assert [line.split()[0] for line in stored] == [f"model-0000{n}-of-00002.safetensors" for n in (1, 2)]
    assert "model.safetensors.index.json" in files
    whole = odd_checkpoint(tmp_path / "whole")
    write_json(whole / "model.safetensors.index.json", {"weight_map": {"x": "elsewhere.safetensors"}})
    (tmp_path / "show").rename(tmp_path / "shown")
    files, stored = shown(tmp_path, python, whole)
    assert set(files) == {"config.json", "vocab.json"}
    assert len(stored) == 1


def test_a_json_file_of_somebodys_own_may_be_broken(tmp_path: Path, python: Path) -> None:
    source = odd_checkpoint(tmp_path / NAME)
    (source / "trainer_state.json").write_text("{")
    assert set(shown(tmp_path, python, source)[0]) == {"config.json", "vocab.json"}
    (source / "tokenizer_config.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"tokenizer_config\.json': is not JSON"):
        float_gguf(source, tmp_path / "show", tmp_path / "out.gguf", python=python)


@pytest.mark.parametrize("name", ["tokenizer.model", "README.md"])
def test_links_out_of_the_folder_are_refused(name: str, tmp_path: Path, python: Path) -> None:
    source = odd_checkpoint(tmp_path / NAME)
    (tmp_path / "secret").write_text("secret")
    (source / name).symlink_to(tmp_path / "secret")
    with pytest.raises(CheckpointError, match="expected a file inside the folder"):
        float_gguf(source, checkout(tmp_path / "llama.cpp"), tmp_path / "a.gguf", python=python)
    assert not list(tmp_path.glob(".*"))


def test_a_checkpoint_of_pickles_is_refused_before_anything_runs(tmp_path: Path) -> None:
    source = odd_checkpoint(tmp_path / NAME)
    (source / "model.safetensors").unlink()
    (source / "pytorch_model.bin").write_bytes(pickle.dumps({}))
    with pytest.raises(CheckpointError, match="pickles"):
        float_gguf(source, checkout(tmp_path / "llama.cpp"), tmp_path / "a.gguf")


def test_the_environment_is_clean(tmp_path: Path, python: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PYTHONPATH", "HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "LD_PRELOAD_NOT", "PYTHONSTARTUP"):
        monkeypatch.setenv(name, str(tmp_path))
    code = (
        "import json, os, sys, tempfile\n"
        "print(json.dumps([dict(os.environ), sys.path, sys.stdin.read(), os.getcwd(), tempfile.gettempdir()]))"
    )
    lines: list[str] = []
    with pytest.raises(CheckpointError, match="wrote no file"):
        float_gguf(
            odd_checkpoint(tmp_path / NAME),
            checkout(tmp_path / "llama.cpp", code),
            tmp_path / "a.gguf",
            python=python,
            on_line=lines.append,
        )
    found, path, stdin, cwd, temporary = json.loads("".join(lines))
    assert str(tmp_path) not in found.values()
    assert not [name for name in found if name.startswith(("PYTHON", "AWS"))]
    assert [found[name] for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "TOKENIZERS_PARALLELISM")] == [
        *("1", "1", "false")
    ]
    assert path[0] == str(tmp_path / "llama.cpp")
    assert str(tmp_path) not in path
    assert "" not in path
    assert stdin == ""
    assert Path(cwd).is_relative_to(tmp_path)
    assert Path(temporary).is_relative_to(cwd)


def test_what_the_converter_does_not_know_is_said(tmp_path: Path, python: Path) -> None:
    odd_checkpoint(tmp_path / NAME, architectures=["NobodyForCausalLM"])
    message = failure(tmp_path, python, CONVERTER, UnsupportedArchitectureError)
    assert "Model NobodyForCausalLM is not supported" in message
    assert "newer llama.cpp" in message


@pytest.mark.parametrize(
    ("code", "error", "words"),
    [
        ("{}['rotary_pct']", CheckpointError, "KeyError: 'rotary_pct'"),
        ("import torch.nothing", QuantizeError, "pip install -r"),
        ("import nothing_of_this_name", QuantizeError, "No module named 'nothing_of_this_name'"),
        ("raise OSError(28, 'No space left on device')", QuantizeError, "make room"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", CheckpointError, "ended by SIGSEGV"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", QuantizeError, "memory may have run out"),
        ("raise ValueError('two\\nlines')", CheckpointError, "ValueError: two"),
        ("import sys; sys.exit(7)", CheckpointError, "it said nothing"),
        ("pass", CheckpointError, "it wrote no file"),
        ("open('model.gguf', 'wb').write(b'GGUF half'); 1 / 0", CheckpointError, "ZeroDivisionError"),
        ("raise NotImplementedError('BPE pre-tokenizer was not recognized')", CheckpointError, "pre-tokenizer"),
    ],
)
def test_how_it_failed_is_one_line(
    code: str, error: type[QuantizeError], words: str, tmp_path: Path, python: Path
) -> None:
    if "SIG" in code and os.name == "nt":
        pytest.skip("signals of POSIX")
    assert words in failure(tmp_path, python, code, error)


def test_garbage_reaches_nobody_as_it_is(tmp_path: Path, python: Path) -> None:
    code = r"""
        import os, sys
        os.write(1, b"\x1b[2J\xff\xfe\x00 \xe2\x80\xae cursor\r 10%\r 20%\r\n\n\n")
        os.write(2, b"x" * 1_000_000)
        os.write(1, b"\n" * 1_000_000 + b"end")
        sys.exit(1)
    """
    lines: list[str] = []
    with pytest.raises(CheckpointError, match=r"\): end;") as caught:
        float_gguf(
            odd_checkpoint(tmp_path / NAME),
            checkout(tmp_path / "llama.cpp", code),
            tmp_path / "a.gguf",
            python=python,
            on_line=lines.append,
        )
    assert str(caught.value).isprintable()
    assert lines[1:3] == ["10%", "20%"]
    assert re.fullmatch("\ufffd\ufffd +cursor", lines[0])
    assert "".join(lines[3:]) == "x" * 1_000_000 + "end"
    assert max(map(len, lines)) <= 4000
    assert all(line.isprintable() for line in lines)


def test_what_is_there_is_kept(tmp_path: Path, python: Path) -> None:
    source, target = odd_checkpoint(tmp_path / NAME), tmp_path / "a.gguf"
    target.write_text("mine")
    with pytest.raises(QuantizeError, match="exists"):
        float_gguf(source, checkout(tmp_path / "llama.cpp"), target, python=python)

    def appear(_line: str) -> None:
        (tmp_path / "b.gguf").write_text("another's")

    with pytest.raises(QuantizeError, match="meanwhile"):
        float_gguf(source, tmp_path / "llama.cpp", tmp_path / "b.gguf", python=python, on_line=appear)
    assert [(tmp_path / name).read_text() for name in ("a.gguf", "b.gguf")] == ["mine", "another's"]
    assert not list(tmp_path.glob(".*"))


def test_room_is_looked_for_before(tmp_path: Path, python: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    n_bytes = 4 * sum(values.size for values in weights().values())
    monkeypatch.setattr(writer, "free_bytes", lambda _folder: n_bytes)
    with pytest.raises(QuantizeError, match=rf"{n_bytes + 2**20:,} bytes are needed"):
        float_gguf(
            odd_checkpoint(tmp_path / NAME),
            checkout(tmp_path / "llama.cpp"),
            tmp_path / "out" / "a.gguf",
            python=python,
        )
    assert not (tmp_path / "out").exists()


def test_a_named_python_without_torch_says_what_to_install(tmp_path: Path) -> None:
    message = failure(tmp_path, Path(sys.executable), CONVERTER, QuantizeError)
    assert "missing here: torch, transformers" in message
    assert "pip install -r" in message


@pytest.mark.parametrize("depth", [480, 100_000])
def test_deep_json_is_refused(depth: int, tmp_path: Path, python: Path) -> None:
    source = odd_checkpoint(tmp_path / NAME)
    text = (source / "config.json").read_text()
    (source / "config.json").write_text(f'{text[:-1]}, "x": {"[" * depth}{"]" * depth}}}')
    with pytest.raises(CheckpointError, match=r"config\.json"):
        float_gguf(source, checkout(tmp_path / "llama.cpp"), tmp_path / "a.gguf", python=python)
    assert not list(tmp_path.glob(".*"))
