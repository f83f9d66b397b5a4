"""A Ray cluster of several processes on this machine, as `--ray local` starts it; it ends when stdin is closed."""

from __future__ import annotations

import sys

from edgeai import cluster

if __name__ == "__main__":
    ray = cluster._ray()
    cluster._connect(ray, "local")
    print(ray.get_runtime_context().gcs_address, flush=True)
    sys.stdin.read()
