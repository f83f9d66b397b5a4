"""What the official tools gave for the tiny checkpoints: `oracle/CASE.json` and `oracle/logits.npz`.

`make_oracle` writes them. A case's JSON has

- `checkpoint`: the arguments of `tiny_checkpoint`; `files`: SHA-256 of each file it wrote;
- `metadata`: of the f32 file of the official converter, in its order: key → [type, value as `recorded` gives it];
- `tensors`: of the same file, in its order: name → `shape` (numpy's order of axes), `types` (ftype → type's name) and
  `sha256` (type's name → digest of the bytes of that type; they depend on values, type and importance alone);
- `quantized`: ftype → `metadata`, the keys that `llama_model_quantize` changed, and `order`, the places in `tensors`
  of the file's tensors one by one;
- `converter`: what the official converter itself gave for the checkpoint's own dtype, where it differs from
  `llama_model_quantize` on the f32 file;
- `projectors`: of a model that sees, "F16" and "Q8_0" → what the official converter's `--mmproj` gave: `sha256` of the
  whole file, `metadata` as above, and `tensors`, in its order: name → [type's name, shape, digest of the bytes];
- `tokens`, `top1`, `margins`: a text, the most probable next token at each place by transformers, and how far it is
  ahead of the second, relative to the largest logit. `llama_cpp_error` and `llama_cpp_same`: how far llama.cpp's logits
  of the official files are from transformers', by the same measure, and at how many places the most probable token is
  the same. A random model has no convictions: at Q8_0 it changes its mind where a margin is small.

An ftype that ends in "+imatrix" was quantized with `importance`. Bytes of quantized types were made on x86-64: a
compiler that contracts multiplications and additions may round them otherwise, so compare them elsewhere with what
`llama_model_quantize` gives there.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.quantize.tiny_weights import F32, Weights, draw

ORACLE = Path(__file__).with_name("oracle")
LOGITS = ORACLE / "logits.npz"
N_SHORT = 48  # tokens: three windows
N_LONG = 300  # tokens: beyond the 256 from which Phi-3's long factors count
_LONG_ARRAY = 16


def oracle(case: str) -> dict[str, Any]:
    """What is recorded for a case of `tiny_checkpoints.CASES`."""
    recorded: dict[str, Any] = json.loads((ORACLE / f"{case}.json").read_text(encoding="utf-8"))
    return recorded


def logits(case: str) -> F32:
    """transformers' logits at the last places of the case's `tokens`, rounded to 12 bits. [n_rows, n_vocab]

    A case with long-context factors has a second text, `CASE-long`; of a model that sees, `CASE-picture` is what its
    text model gets in the place of `picture(case)`. [n_tokens, width]
    """
    with np.load(LOGITS) as file:
        values: F32 = file[case]
    return values


def text(n: int) -> list[int]:
    """A sequence of `n` ordinary tokens that every tiny vocabulary has."""
    return [20 + (index * 37 + index * index % 11) % 440 for index in range(n)]


def picture(case: str) -> NDArray[np.uint8]:
    """A picture that libmtmd does not resize; of Idefics 3, which it shows whole and in tiles, one colour. [n, n, 3]"""
    sizes = {"gemma3": 48, "idefics3": 64, "smolvlm2": 64, "qwen2.5": 112, "qwen3": 128}
    n = sizes[case.partition("-")[0]]
    places = np.arange(n)
    values = places[:, None, None] * 7 + places[None, :, None] * 13 + np.arange(3) * 90
    if n == sizes["idefics3"]:
        values = np.broadcast_to([200, 60, 120], values.shape)
    return (values % 256).astype(np.uint8)


def importance(tensor: str, n: int) -> F32:
    """A fixed importance matrix's row for a tensor of the GGUF: mean squares of `n` inputs."""
    return np.asarray(draw(f"importance of {tensor}", Weights((n,), 1.0), 0) ** 2 + np.float32(0.01), dtype=np.float32)


def has_importance(tensor: str) -> bool:
    """Whether the fixed importance matrix speaks of a tensor: all matrices but the embedding, as in real ones."""
    return tensor.endswith(".weight") and "norm" not in tensor and tensor != "token_embd.weight"


def recorded(type_name: str, value: Any, item_type: str | None = None) -> list[Any]:
    """A metadata value as the JSON has it: [type, value], or [type, item type, values] for an array.

    float32 are what they are as Python floats; of an array longer than 16 there are its length and a digest of its
    values' JSON.

    Args:
        type_name: of gguf.GGUFValueType: "UINT32", "STRING", "ARRAY" …
        value: a number, bool or str; a sequence of them for an array.
        item_type: of an array's elements.
    """
    if type_name != "ARRAY":
        return [type_name, _plain(type_name, value)]
    assert item_type is not None
    values = [_plain(item_type, item) for item in value]
    if len(values) <= _LONG_ARRAY:
        return [type_name, item_type, values]
    text = json.dumps(values, ensure_ascii=False, separators=(",", ":"))
    return [type_name, item_type, {"n": len(values), "sha256": sha256(text.encode())}]


def sha256(data: bytes | NDArray[Any]) -> str:
    """A digest in hexadecimal."""
    return hashlib.sha256(data if isinstance(data, bytes) else data.tobytes()).hexdigest()


def file_digests(folder: Path) -> dict[str, str]:
    """SHA-256 of each file of a folder, by name."""
    return {path.name: sha256(path.read_bytes()) for path in sorted(folder.iterdir())}


def rounded(values: Sequence[F32] | F32) -> F32:
    """float32 to 12 bits of precision, which are plenty for a comparison within 1 % and pack well."""
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    values_of_12_bits: F32 = ((bits + np.uint32(0x800)) & np.uint32(0xFFFFF000)).view(np.float32)
    return values_of_12_bits


def _plain(type_name: str, value: Any) -> Any:
    if type_name == "STRING":
        return value.decode() if isinstance(value, bytes) else str(value)
    if type_name == "BOOL":
        return bool(value)
    return float(np.float32(value)) if type_name == "FLOAT32" else int(value)
