"""Architectures that `quantize` does not know, through llama.cpp's own converter.

    float_gguf(Path("olmo"), Path("~/llama.cpp").expanduser(), Path("olmo-F32.gguf"))

The converter runs in a process of its own, in a Python that has torch. It never gets to see code that comes with a
checkpoint, nor the network: transformers is told to stay offline, and on Linux a sandbox holds it (`child`). Elsewhere
nothing but these settings keeps it from the network.
"""

from __future__ import annotations

from quantize.converter.convert import float_gguf, projector_gguf

__all__ = ["float_gguf", "projector_gguf"]
