"""A model of SmolVLM-256M's shapes, for timing: its text model is SmolLM2-135M's own weights, its eyes are random.

SmolVLM-256M is SmolLM2-135M with 128 tokens more, and SigLIP base of patches of 16 at 512 pixels, whose 1,024 patches a
tile become 64 tokens (its config.json on Hugging Face: HuggingFaceTB/SmolVLM-256M-Instruct).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from gguf import GGUFReader, GGUFValueType, GGUFWriter, TokenType
from numpy.typing import NDArray

from edgeai.files import STAGING_PREFIX

N_NEW_TOKENS = 128
_N_EMBD, _N_HEAD, _N_FF, _N_TEXT = 768, 12, 3072, 576
_IMAGE, _PATCH, _MERGE = 512, 16, 4
_TILES = [f"<row_{row}_col_{column}>" for row in range(1, 7) for column in range(1, 7)]
WORDS = ["<fake_token_around_image>", "<image>", "<end_of_utterance>", "<global-img>", *_TILES]


class Seeing(NamedTuple):
    """The files of a model that sees."""

    text: Path
    projector: Path


def seeing_model(folder: Path, base: Path, *, n_layers: int = 12, edge: int = 2048) -> Seeing:
    """The two files, made where they are not there yet: 100 and 190 MB.

    Args:
        folder: where they lie.
        base: the file of SmolLM2-135M, whose weights they take.
        n_layers: of the eyes; fewer for a short try.
        edge: to which the longer side of a picture is brought, pixels: 512 is one tile.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = Seeing(folder / "smolvlm-256m.gguf", folder / f"mmproj-smolvlm-256m-{n_layers}-{edge}.gguf")
    writers: tuple[Callable[[Path], None], ...] = (
        functools.partial(_write_text, base=base),
        functools.partial(_write_projector, n_layers=n_layers, edge=edge),
    )
    for path, write in zip(files, writers, strict=True):
        if not path.exists():
            staging = path.with_name(STAGING_PREFIX + path.name)
            write(staging)
            staging.replace(path)
    return files


def _write_text(path: Path, *, base: Path) -> None:
    """The model with more tokens, whose rows are those of its first ones."""
    read, writer = GGUFReader(base), GGUFWriter(path, "llama")
    for key, field in read.fields.items():
        if not key.startswith("GGUF.") and key != "general.architecture":
            value, kinds = field.contents(), field.types
            writer.add_key_value(key, _longer(key, value), kinds[0], kinds[1] if len(kinds) > 1 else None)
    for tensor in read.tensors:
        data = tensor.data
        if tensor.name == "token_embd.weight":
            data = np.concatenate([data, data[:N_NEW_TOKENS]])
        writer.add_tensor(tensor.name, data, raw_dtype=tensor.tensor_type)
    _finish(writer)


def _longer(key: str, value: Any) -> Any:
    names = [*WORDS, *(f"<unused_{number}>" for number in range(N_NEW_TOKENS - len(WORDS)))]
    if key == "tokenizer.ggml.tokens":
        return [*value, *names]
    if key == "tokenizer.ggml.token_type":
        return [*value, *[int(TokenType.CONTROL)] * N_NEW_TOKENS]
    return value + N_NEW_TOKENS if key == "llama.vocab_size" else value


def _write_projector(path: Path, *, n_layers: int, edge: int) -> None:
    writer = GGUFWriter(path, "clip")
    writer.add_bool("clip.has_vision_encoder", True)
    writer.add_string("clip.projector_type", "idefics3")
    writer.add_bool("clip.use_gelu", True)
    sizes = {
        "projection_dim": _N_TEXT,
        "image_size": _IMAGE,
        "patch_size": _PATCH,
        "embedding_length": _N_EMBD,
        "feed_forward_length": _N_FF,
        "block_count": n_layers,
        "attention.head_count": _N_HEAD,
        "projector.scale_factor": _MERGE,
        "preproc_image_size": edge,
    }
    for key, number in sizes.items():
        writer.add_uint32(f"clip.vision.{key}", number)
    writer.add_float32("clip.vision.attention.layer_norm_epsilon", 1e-6)
    for key in ("image_mean", "image_std"):
        writer.add_key_value(f"clip.vision.{key}", [0.5] * 3, GGUFValueType.ARRAY, GGUFValueType.FLOAT32)
    for name, values in _eyes(np.random.default_rng(0), n_layers):
        writer.add_tensor(name, values)
    _finish(writer)


def _eyes(rng: np.random.Generator, n_layers: int) -> Iterator[tuple[str, NDArray[Any]]]:
    """Tensors by their names: matrices in 16 bits, all else in 32, as `quantize` writes them."""

    def matrix(*shape: int) -> NDArray[Any]:
        values: NDArray[Any] = rng.standard_normal(shape, np.float32) * float(np.prod(shape[1:])) ** -0.5
        return values.astype(np.float16)

    yield "v.patch_embd.weight", matrix(_N_EMBD, 3, _PATCH, _PATCH)
    yield "v.patch_embd.bias", np.zeros(_N_EMBD, np.float32)
    yield "v.position_embd.weight", rng.standard_normal(((_IMAGE // _PATCH) ** 2, _N_EMBD), np.float32)
    linears = dict.fromkeys(("attn_q", "attn_k", "attn_v", "attn_out"), (_N_EMBD, _N_EMBD))
    linears |= {"ffn_up": (_N_FF, _N_EMBD), "ffn_down": (_N_EMBD, _N_FF)}
    for layer in range(n_layers):
        for norm in ("ln1", "ln2"):
            yield f"v.blk.{layer}.{norm}.weight", np.ones(_N_EMBD, np.float32)
            yield f"v.blk.{layer}.{norm}.bias", np.zeros(_N_EMBD, np.float32)
        for name, shape in linears.items():
            yield f"v.blk.{layer}.{name}.weight", matrix(*shape)
            yield f"v.blk.{layer}.{name}.bias", np.zeros(shape[0], np.float32)
    yield "v.post_ln.weight", np.ones(_N_EMBD, np.float32)
    yield "v.post_ln.bias", np.zeros(_N_EMBD, np.float32)
    yield "mm.model.fc.weight", matrix(_N_TEXT, _N_EMBD * _MERGE**2)


def _finish(writer: GGUFWriter) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
