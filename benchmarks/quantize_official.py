"""The second of the official two steps, as a program: `llama_model_quantize` of a GGUF.

python -m benchmarks.quantize_official SOURCE.gguf TARGET.gguf FTYPE THREADS
"""

from __future__ import annotations

import ctypes
import sys

from llama_cpp import llama_cpp


def main(source: str, target: str, ftype: str, n_threads: str) -> int:
    """As llama.cpp's own program does it.

    Returns:
        0 if it went well.
    """
    llama_cpp.llama_backend_init()
    parameters = llama_cpp.llama_model_quantize_default_params()
    parameters.ftype = getattr(llama_cpp, f"LLAMA_FTYPE_MOSTLY_{ftype}")
    parameters.nthread = int(n_threads)
    status: int = llama_cpp.llama_model_quantize(source.encode(), target.encode(), ctypes.byref(parameters))
    return status


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
