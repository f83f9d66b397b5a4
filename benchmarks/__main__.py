"""Run every benchmark, one after the other."""

from __future__ import annotations

import runpy
import sys

NAMES = ("speed", "attention", "first_token", "threads", "tui_open", "isolation", "documents", "citations", "classify")

if __name__ == "__main__":
    sys.argv = sys.argv[:1]
    for name in NAMES:
        print(f"── {name}")
        runpy.run_module(f"benchmarks.{name}", run_name="__main__")
