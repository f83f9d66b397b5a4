"""The places from which Python and native libraries load what they need while they run."""

from __future__ import annotations

import os
import sys
from pathlib import Path

_SYSTEM = (
    *("/lib", "/lib32", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/nix/store", "/gnu/store"),
    *("/etc/ld.so.cache", "/etc/localtime", "/usr/share/zoneinfo"),
    *("/proc/self", "/proc/stat", "/proc/cpuinfo", "/proc/meminfo", "/sys/devices/system"),
    *("/dev/null", "/dev/zero", "/dev/urandom"),
)
_LIBRARY_FOLDERS = ("site-packages", "dist-packages", "lib-dynload")
_ROOT = Path(__file__).parents[2]


def runtime_paths() -> tuple[str, ...]:
    """Files and folders of the system and of Python, those that exist.

    A folder on sys.path that is not a library's (the one of a script, a checkout) is not among them: it may be a home.
    """
    # sysconfig would know the folders of Python too, and asks the name service for the user's home on the way
    found = [*_SYSTEM, str(Path(os.__file__).parent), f"{sys.base_prefix}/lib", str(_ROOT / "edgeai")]
    found += [path for path in sys.path if Path(path).name in _LIBRARY_FOLDERS or path.endswith(".zip")]
    found += os.environ.get("LD_LIBRARY_PATH", "").split(":")
    return tuple(dict.fromkeys(path for path in found if os.path.isabs(path) and Path(path).exists()))  # noqa: PTH117
