"""The tables of the GGUF format, and what a header holds.

Source: ggml/include/gguf.h, ggml/include/ggml.h, ggml/src/ggml-common.h and include/llama.h of ggml-org/llama.cpp.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

STRING, ARRAY = 8, 9

SCALARS = {
    0: struct.Struct("<B"),
    1: struct.Struct("<b"),
    2: struct.Struct("<H"),
    3: struct.Struct("<h"),
    4: struct.Struct("<I"),
    5: struct.Struct("<i"),
    6: struct.Struct("<f"),
    7: struct.Struct("<?"),
    10: struct.Struct("<Q"),
    11: struct.Struct("<q"),
    12: struct.Struct("<d"),
}
"""How each scalar type of a metadata value is laid out, by its id."""

VALUE_TYPE_NAMES = {
    **dict(enumerate(("u8", "i8", "u16", "i16", "u32", "i32", "f32", "bool", "string", "array"))),
    **{10: "u64", 11: "i64", 12: "f64"},
}


@dataclass(frozen=True, slots=True)
class TensorType:
    """How a tensor's elements are stored: `block_bytes` bytes for each `block_size` elements of a row."""

    name: str
    block_size: int
    block_bytes: int


TENSOR_TYPES = {
    0: TensorType("F32", 1, 4),
    1: TensorType("F16", 1, 2),
    2: TensorType("Q4_0", 32, 18),
    3: TensorType("Q4_1", 32, 20),
    6: TensorType("Q5_0", 32, 22),
    7: TensorType("Q5_1", 32, 24),
    8: TensorType("Q8_0", 32, 34),
    9: TensorType("Q8_1", 32, 36),
    10: TensorType("Q2_K", 256, 84),
    11: TensorType("Q3_K", 256, 110),
    12: TensorType("Q4_K", 256, 144),
    13: TensorType("Q5_K", 256, 176),
    14: TensorType("Q6_K", 256, 210),
    15: TensorType("Q8_K", 256, 292),
    16: TensorType("IQ2_XXS", 256, 66),
    17: TensorType("IQ2_XS", 256, 74),
    18: TensorType("IQ3_XXS", 256, 98),
    19: TensorType("IQ1_S", 256, 50),
    20: TensorType("IQ4_NL", 32, 18),
    21: TensorType("IQ3_S", 256, 110),
    22: TensorType("IQ2_S", 256, 82),
    23: TensorType("IQ4_XS", 256, 136),
    24: TensorType("I8", 1, 1),
    25: TensorType("I16", 1, 2),
    26: TensorType("I32", 1, 4),
    27: TensorType("I64", 1, 8),
    28: TensorType("F64", 1, 8),
    29: TensorType("IQ1_M", 256, 56),
    30: TensorType("BF16", 1, 2),
    34: TensorType("TQ1_0", 256, 54),
    35: TensorType("TQ2_0", 256, 66),
    39: TensorType("MXFP4", 32, 17),
    40: TensorType("NVFP4", 64, 36),
    41: TensorType("Q1_0", 128, 18),
    42: TensorType("Q2_0", 64, 18),
}
"""The tensor types that llama.cpp reads, by their id in a file."""

FILE_TYPES = {
    **dict(enumerate(("F32", "F16", "Q4_0", "Q4_1"))),
    **dict(enumerate(("Q8_0", "Q5_0", "Q5_1", "Q2_K", "Q3_K_S", "Q3_K_M", "Q3_K_L", "Q4_K_S", "Q4_K_M"), start=7)),
    **dict(enumerate(("Q5_K_S", "Q5_K_M", "Q6_K", "IQ2_XXS", "IQ2_XS", "Q2_K_S", "IQ3_XS", "IQ3_XXS"), start=16)),
    **dict(enumerate(("IQ1_S", "IQ4_NL", "IQ3_S", "IQ3_M", "IQ2_S", "IQ2_M", "IQ4_XS", "IQ1_M", "BF16"), start=24)),
    **dict(enumerate(("TQ1_0", "TQ2_0", "MXFP4", "NVFP4", "Q1_0", "Q2_0"), start=36)),
}
"""Names of the mixes that `general.file_type` numbers."""


@dataclass(frozen=True, slots=True)
class ArrayInfo:
    """An array that stays in the file.

    Attributes:
        element_type: name of its elements' type, one of VALUE_TYPE_NAMES.
        count: elements.
        offset: where its first element starts in the file, bytes.
    """

    element_type: str
    count: int
    offset: int


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """One tensor.

    Attributes:
        name: `token_embd.weight`, `blk.0.attn_q.weight` …
        shape: elements along each axis in GGUF's order: the row's length first.
        type: name of its type (`Q4_K`).
        offset: where its data starts in the file, bytes.
        n_bytes: its data.
    """

    name: str
    shape: tuple[int, ...]
    type: str
    offset: int
    n_bytes: int

    @property
    def n_elements(self) -> int:
        """Elements."""
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True)
class GGUFHeader:
    """The head of a GGUF file.

    Attributes:
        path: the file.
        version: of the format, 2 or 3.
        metadata: all keys. Short arrays are tuples; long ones, those of the vocabulary, and texts of more than a
            megabyte are ArrayInfo. Texts are hostile: the file's makers chose them.
        tensors: in the file's order.
        n_file_bytes: the file's size.
        value_types: names of the values' types, of VALUE_TYPE_NAMES, by key: llama.cpp ends the process where it reads
            one as another.
    """

    path: Path
    version: int
    metadata: Mapping[str, Any]
    tensors: tuple[TensorInfo, ...]
    n_file_bytes: int
    value_types: Mapping[str, str] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Any:
        """The value of an architecture's own key, or None: header["block_count"] is metadata["llama.block_count"]."""
        return self.metadata.get(f"{self.architecture}.{name}")

    @property
    def architecture(self) -> str:
        """llama.cpp's name of it: `llama`, `gemma3`, `plamo3`; `clip` for a projector of pictures or sound."""
        return str(self.metadata.get("general.architecture", ""))

    @property
    def name(self) -> str:
        """The model's own name, or the file's; hostile text."""
        name = self.metadata.get("general.name")
        return name if isinstance(name, str) and name else self.path.stem

    @property
    def chat_template(self) -> str | None:
        """Jinja source; hostile text."""
        template = self.metadata.get("tokenizer.chat_template")
        return template if isinstance(template, str) else None

    @property
    def file_type(self) -> str:
        """The mix of tensor types (`Q4_K_M`); where the file does not say, the type of most of its bytes."""
        if name := FILE_TYPES.get(self.metadata.get("general.file_type", -1)):
            return name
        n_bytes: dict[str, int] = {}
        for tensor in self.tensors:
            n_bytes[tensor.type] = n_bytes.get(tensor.type, 0) + tensor.n_bytes
        return max(n_bytes, key=n_bytes.__getitem__, default="")

    @property
    def n_params(self) -> int:
        """Parameters."""
        return sum(tensor.n_elements for tensor in self.tensors)

    @property
    def tensor_bytes(self) -> int:
        """All weights."""
        return sum(tensor.n_bytes for tensor in self.tensors)

    @property
    def n_vocab(self) -> int:
        """Tokens in the vocabulary."""
        tokens = self.metadata.get("tokenizer.ggml.tokens")
        return tokens.count if isinstance(tokens, ArrayInfo) else 0
