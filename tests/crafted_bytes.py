"""Crafted files that attack what reads the format: counts, lengths, offsets and sizes that wrap, or lie.

Sources beside those that tests/crafted.py explains:
- Databricks: "GGML GGUF File Format Vulnerabilities", databricks.com/blog/ggml-gguf-file-format-vulnerabilities;
- oss-security 2026-05-15: seclists.org/oss-sec/2026/q2, attachment GGUF_Security_Advisory.md.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from tests.gguf_parts import ARRAY, STRING, U8, U32
from tests.gguf_raw import ARCHITECTURE, Write, array_head, file, number, string_head, tensors

_WRAPS = 2**64 - 1
_Q4_0 = 2


class Case(NamedTuple):
    """What is said of a file, and how it is written."""

    name: str
    cve: str
    source: str
    says: str
    what: str
    write: Write


_LONG_TOKEN = array_head(STRING, 1, b"tokenizer.ggml.tokens") + struct.pack("<Q", 2**31 + 64)

PARSING = (
    Case(
        "tensor-count-talos",
        "CVE-2024-21836",
        "TALOS-2024-1915",
        "2,097,865,012,304,223,517 tensors",
        "a count of tensors that wraps when it is multiplied by their size",
        file(0x1D1D1D1D1D1D1D1D, 0),
    ),
    Case(
        "tensor-count",
        "CVE-2024-25666",
        "Databricks, heap overflow 3",
        "tensors, expected at most",
        "a count of tensors that wraps to a small allocation",
        file(2**61 + 1, 0),
    ),
    Case(
        "key-count-talos",
        "CVE-2024-23605",
        "CVE record (header.n_kv)",
        "keys, expected at most",
        "a count of keys that wraps when it is multiplied by their size",
        file(0, 2**60 + 1),
    ),
    Case(
        "key-count",
        "CVE-2024-25664",
        "Databricks, heap overflow 1",
        "384,307,168,202,282,330 keys",
        "a count of keys that wraps to an allocation of 0xe0 bytes",
        file(0, 0x55555555555555A, bytes(4096)),
    ),
    Case(
        "string-length-talos",
        "CVE-2024-23496",
        "TALOS-2024-1913",
        "the name of key 0",
        "a string whose length plus one is 0",
        file(0, 1, struct.pack("<Q", _WRAPS)),
    ),
    Case(
        "string-length",
        "CVE-2024-25665",
        "Databricks, heap overflow 2",
        "'some.text'",
        "a value whose length plus one is 0",
        file(0, 1, string_head(b"some.text", _WRAPS), 4096),
    ),
    Case(
        "array-of-strings-talos",
        "CVE-2024-21825",
        "TALOS-2024-1912",
        "'some.array'",
        "an array of strings whose size wraps",
        file(0, 1, array_head(STRING, 2**60 + 1), 4096),
    ),
    Case(
        "array-of-strings",
        "CVE-2024-25668",
        "Databricks, heap overflow 5",
        "'some.array'",
        "an array of strings whose size wraps to a small allocation",
        file(0, 1, array_head(STRING, _WRAPS // 16 + 2), 4096),
    ),
    Case(
        "array-of-numbers",
        "CVE-2024-25667",
        "Databricks, heap overflow 4",
        "'some.array'",
        "an array of numbers whose size wraps to a small allocation",
        file(0, 1, array_head(U32, 2**62 + 1), 4096),
    ),
    Case(
        "array-of-unknown-type",
        "",
        "Databricks, unbounded array indexing",
        "'some.array'",
        "an array whose elements' type lies outside the table of sizes",
        file(0, 1, array_head(1000, 1), 4096),
    ),
    Case(
        "array-of-arrays",
        "",
        "llama.cpp's gguf.cpp (refused there too)",
        "'some.array'",
        "arrays inside of arrays, nested without end",
        file(0, 1, array_head(ARRAY, 1) + struct.pack("<IQ", ARRAY, 1) * 64, 4096),
    ),
    Case(
        "array-beyond-file",
        "CVE-2025-0315",
        "GHSA-fccc-8m69-8r78 (memory without limit, Ollama); ollama/ollama#17042",
        "'some.array'",
        "a small file that asks for an array of gigabytes",
        file(0, 1, array_head(U8, 2**33)),
    ),
    Case(
        "dimensions",
        "CVE-2024-21802",
        "CVE record (info->ne)",
        "'t0'",
        "a tensor with more dimensions than there is place for",
        tensors((1, 1, 1, 1, 1)),
    ),
    Case(
        "value-cut-off",
        "CVE-2024-32878",
        "GHSA-p5mv-gjc5-mwqv",
        "'some.text'",
        "the file ends inside a value; what had not been read yet was freed",
        file(0, 1, string_head(b"some.text", 100)),
    ),
    Case(
        "key-cut-off",
        "CVE-2024-41130",
        "CVE record (null pointer in gguf_init_from_file)",
        "the name of key 0",
        "the file ends where a key's name should begin",
        file(0, 1),
    ),
    Case(
        "magic-alone",
        "CVE-2024-39720",
        "golang/vulndb#3245 (segmentation fault, Ollama)",
        "the version",
        "a file of four bytes",
        lambda path: path.write_bytes(b"GGUF"),
    ),
    Case(
        "string-beyond-file",
        "CVE-2024-12055",
        "GHSA-89qx-m49c-8crf (read out of bounds, Ollama)",
        "'some.text'",
        "a string that ends behind the file",
        file(0, 1, string_head(b"some.text", 10_000), 4096),
    ),
    Case(
        "no-keys",
        "CVE-2025-0312",
        "GHSA-p2wh-w96x-w232 (null pointer, Ollama)",
        "general.architecture",
        "a header that says nothing of the model",
        file(0, 0),
    ),
    Case(
        "alignment-0",
        "CVE-2025-0317",
        "GHSA-9gcr-28rp-cc24 (division by zero, Ollama)",
        "general.alignment = 0",
        "an alignment of 0, which offsets are divided by",
        tensors((32,), key=number(b"general.alignment", 0)),
    ),
    Case(
        "alignment-2gb",
        "",
        "oss-security 2026-05-15, V-01",
        "general.alignment = 2147483648",
        "an alignment that offsets overflow with",
        tensors((32,), key=number(b"general.alignment", 2**31)),
    ),
    Case(
        "alignment-of-another-type",
        "",
        "ggml-org/llama.cpp#26318",
        "general.alignment",
        "an alignment that is an int32, which an assertion met",
        tensors((32,), key=number(b"general.alignment", 32, 5)),
    ),
    Case(
        "sum-of-sizes",
        "CVE-2025-53630",
        "GHSA-vgg9-87g3-85w8",
        "'t0'",
        "tensors whose sizes together wrap",
        tensors((2**61 - 8,), (2**61 - 8,), (64,)),
    ),
    Case(
        "size-and-overhead",
        "CVE-2026-27940",
        "GHSA-3p4r-fq3f-q74v",
        "'t0'",
        "a size that wraps only when the overhead is added",
        tensors((2**62 - 32,)),
    ),
    Case(
        "product-of-dimensions",
        "CVE-2026-33298",
        "GHSA-96jg-mvhq-q7q7",
        "'t0'",
        "dimensions whose product in bytes wraps",
        tensors((2**20, 2**22, 2**20, 4)),
    ),
    Case(
        "blocks-of-dimensions",
        "",
        "ggml-org/llama.cpp#18674",
        "'t0'",
        "blocks of a quantized type whose product with a dimension wraps",
        tensors((32, 2**59 + 1), type_id=_Q4_0),
    ),
    Case(
        "padded-size",
        "",
        "ggml-org/llama.cpp#26318",
        "'t0'",
        "a size that wraps to 0 when it is padded",
        tensors((2**62 - 1,)),
    ),
    Case(
        "empty-dimension",
        "",
        "PoC of a division by zero: huggingface.co/EnigmaConsultant/huntr-poc-gguf-tensor-shape-divzero",
        "'t0'",
        "a dimension of 0, which the check for overflow divided by",
        tensors((1, 0)),
    ),
    Case(
        "tensor-beyond-file",
        "CVE-2026-7482",
        "GHSA-x8qc-fggm-mpqg (read out of bounds, Ollama)",
        "'t0'",
        "a tensor that ends behind the file",
        tensors((2**10,)),
    ),
    Case(
        "overlapping-tensors",
        "",
        "llama.cpp's gguf.cpp (refused there too)",
        "'t1'",
        "two tensors at the same place",
        tensors((32,), (32,)),
    ),
    Case(
        "token-of-2gb",
        "CVE-2025-49847",
        "GHSA-8wwf-w4qm-gpqr",
        "'tokenizer.ggml.tokens'",
        "a token whose length is negative as an int32",
        file(0, 2, ARCHITECTURE + _LONG_TOKEN, 2**31 + 2**20),
    ),
)
