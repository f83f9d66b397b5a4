"""The mixes of types that llama.cpp's quantizer offers, by name.

Source: enum llama_ftype of include/llama.h in ggml-org/llama.cpp.
"""

from __future__ import annotations

from edgeai.errors import QuantizeError, UnsupportedBitsError

FTYPES = {
    **{"F32": 0, "F16": 1, "BF16": 32, "Q4_0": 2, "Q4_1": 3, "Q5_0": 8, "Q5_1": 9, "Q8_0": 7},
    **{"Q2_K": 10, "Q2_K_S": 21, "Q3_K_S": 11, "Q3_K_M": 12, "Q3_K_L": 13, "Q4_K_S": 14, "Q4_K_M": 15},
    **{"Q5_K_S": 16, "Q5_K_M": 17, "Q6_K": 18, "TQ1_0": 36, "TQ2_0": 37, "MXFP4_MOE": 38},
    **{"Q1_0": 40, "Q2_0": 41, "IQ1_S": 24, "IQ1_M": 31, "IQ2_XXS": 19, "IQ2_XS": 20, "IQ2_S": 28, "IQ2_M": 29},
    **{"IQ3_XXS": 23, "IQ3_XS": 22, "IQ3_S": 26, "IQ3_M": 27, "IQ4_NL": 25, "IQ4_XS": 30},
}
"""Name to llama.cpp's number."""

_USUAL = {"MXFP4_MOE": "MXFP4", "IQ2_M": "IQ2_S", "IQ2_S": "IQ2_XS", "IQ3_M": "IQ3_S", "IQ3_XS": "IQ3_S"}
_BY_BITS = {4: "Q4_K_M", 8: "Q8_0"}
_NEAREST = {1: "IQ1_M", 2: "Q2_K", 3: "Q3_K_M", 5: "Q5_K_M", 6: "Q6_K", 7: "Q8_0 or Q6_K", 16: "F16 or BF16", 32: "F32"}
_ALIASES = {"Q3_K": "Q3_K_M", "Q4_K": "Q4_K_M", "Q5_K": "Q5_K_M", "MXFP4": "MXFP4_MOE"}


def ftype_of_bits(bits: int) -> str:
    """The usual mix of so many bits.

    Raises:
        UnsupportedBitsError: there is no usual one. The message offers the nearest.
    """
    if bits not in _BY_BITS:
        nearest = _NEAREST.get(bits, "Q4_K_M or Q8_0")
        raise UnsupportedBitsError(f"--bits {bits}: expected 4 or 8; the nearest mix is --ftype {nearest}")
    return _BY_BITS[bits]


def usual_type(ftype: str) -> str:
    """The type that a mix gives to most matrices, where their rows fit its blocks."""
    return _USUAL.get(ftype) or (ftype[:4] if ftype[2:4] == "_K" else ftype)


def check_ftype(name: str) -> str:
    """The name of a mix, as it is written.

    Raises:
        QuantizeError: llama.cpp has none of this name.
    """
    upper = name.upper()
    upper = _ALIASES.get(upper, upper)
    if upper not in FTYPES:
        raise QuantizeError(f"ftype {name[:40]!r}: expected one of {', '.join(FTYPES)}")
    return upper
