"""Stand-ins for what the tests have not: a llama.cpp checkout, a Python with torch, a checkpoint nobody knows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from quantize.base import F32
from quantize.checkpoint import INDEX
from tests.tiny import vocabulary

NAME = "Tiny-Odd-Chat"
_HIDDEN = 64

# It knows one architecture, whose layers are Llama's, and takes the same arguments as the real one.
CONVERTER = """
import argparse, json, logging, sys
from pathlib import Path

import torch, transformers
import gguf
from safetensors.numpy import load_file

parser = argparse.ArgumentParser()
parser.add_argument("model")
parser.add_argument("--outfile")
parser.add_argument("--outtype", choices=["f32", "f16"])
given = parser.parse_args()
logging.basicConfig(level=logging.INFO)
logger = logging.getLogger("hf-to-gguf")
folder = Path(given.model)
config = json.loads((folder / "config.json").read_text())
architecture = config["architectures"][0]
logger.info("Loading model: %s", folder.name)
if architecture != "OddForCausalLM":
    logger.error(f"Model {architecture} is not supported")
    sys.exit(1)
writer = gguf.GGUFWriter(given.outfile, "llama")
writer.add_name(folder.name)
writer.add_context_length(64)
writer.add_embedding_length(config["hidden_size"])
writer.add_block_count(1)
writer.add_feed_forward_length(config["hidden_size"])
writer.add_head_count(2)
writer.add_layer_norm_rms_eps(1e-6)
writer.add_tokenizer_model("gpt2")
writer.add_tokenizer_pre("gpt-2")
writer.add_token_list(list(json.loads((folder / "vocab.json").read_text())))
writer.add_token_merges(["t h"])
writer.add_bos_token_id(0)
writer.add_eos_token_id(0)
names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, 1)
for part in sorted(folder.glob("model*.safetensors")):
    for name, values in load_file(part).items():
        writer.add_tensor(names.get_name(name, try_suffixes=(".weight",)), values.astype("float32"))
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
logger.info("Model successfully exported to %s", given.outfile)
"""


def checkout(folder: Path, code: str = CONVERTER) -> Path:
    """A llama.cpp checkout whose converter does this."""
    folder.mkdir(parents=True)
    (folder / "convert_hf_to_gguf.py").write_text(f"# --outtype\n{textwrap.dedent(code)}", encoding="utf-8")
    return folder


def python_with_torch(folder: Path) -> Path:
    """A virtual environment in which torch and transformers can be imported, and edgeai cannot; its Python."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = Path(
        subprocess.run([python, "-I", "-c", code], check=True, capture_output=True, text=True).stdout.strip()
    )
    for name in ("torch", "transformers"):
        (packages / f"{name}.py").write_text("")
    (packages / "ours.pth").write_text(sysconfig.get_path("purelib"))
    return python


def weights() -> dict[str, F32]:
    """Tensors of one layer, by their names in a checkpoint."""
    rng = np.random.default_rng(5)
    layer = "model.layers.0"
    square = [f"{layer}.self_attn.{name}_proj" for name in "qkvo"] + [f"{layer}.mlp.{n}_proj" for n in ("gate", "up")]
    shapes: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (len(vocabulary()), _HIDDEN),
        "model.norm.weight": (_HIDDEN,),
        f"{layer}.input_layernorm.weight": (_HIDDEN,),
        f"{layer}.post_attention_layernorm.weight": (_HIDDEN,),
        f"{layer}.mlp.down_proj.weight": (_HIDDEN, _HIDDEN),
        **{f"{name}.weight": (_HIDDEN, _HIDDEN) for name in square},
    }
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def odd_checkpoint(folder: Path, *, shards: int = 1, **config: Any) -> Path:
    """A checkpoint of an architecture that only the stand-in knows."""
    folder.mkdir(parents=True)
    known = {"architectures": ["OddForCausalLM"], "hidden_size": _HIDDEN}
    write_json(folder / "config.json", known | config)
    write_json(folder / "vocab.json", {token: place for place, token in enumerate(vocabulary())})
    tensors = weights()
    if shards == 1:
        save_file(tensors, folder / "model.safetensors")
        return folder
    files = [f"model-{shard + 1:05}-of-{shards:05}.safetensors" for shard in range(shards)]
    weight_map = {name: files[place % shards] for place, name in enumerate(sorted(tensors))}
    for file in files:
        save_file({name: tensors[name] for name in tensors if weight_map[name] == file}, folder / file)
    write_json(folder / INDEX, {"weight_map": weight_map})
    return folder


def write_json(path: Path, value: Any) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")
