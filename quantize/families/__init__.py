"""Model families: one file each, with its tensor names, transforms and metadata."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgeai.errors import UnsupportedArchitectureError
from quantize.base import Family
from quantize.families.common import architecture
from quantize.families.gemma import Gemma2, Gemma3
from quantize.families.llama import Llama
from quantize.families.phi import Phi2, Phi3
from quantize.families.plamo import Plamo
from quantize.families.plamo2 import Plamo2
from quantize.families.plamo3 import Plamo3
from quantize.families.qwen import Qwen2, Qwen3, Qwen3VL, Qwen25VL

__all__ = ["FAMILIES", "family_of"]

FAMILIES: tuple[Family, ...] = (
    Gemma2(),
    Gemma3(),
    Llama(),
    Phi2(),
    Phi3(),
    Plamo(),
    Plamo2(),
    Plamo3(),
    Qwen2(),
    Qwen3(),
    Qwen25VL(),
    Qwen3VL(),
)

_SUCCESSORS = {"plamo2": Plamo2.architectures[0], "plamo3": Plamo3.architectures[0]}


def family_of(config: Mapping[str, Any]) -> Family:
    """The family of a checkpoint, by its config.json.

    Raises:
        UnsupportedArchitectureError: it is none that we know. The message lists those.
    """
    name = architecture(config)
    if name in Plamo.architectures:  # some checkpoints of its successors say so too
        name = _SUCCESSORS.get(str(config.get("model_type")), name)
    for family in FAMILIES:
        if name in family.architectures:
            return family
    known = ", ".join(sorted(name for family in FAMILIES for name in family.architectures))
    raise UnsupportedArchitectureError(
        f"config.json: architectures = {name[:60]!r}, expected one of {known}: choose another checkpoint, or "
        "convert it with llama.cpp's own converter (--converter PATH)"
    )
