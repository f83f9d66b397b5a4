"""Which files a running Python needs: imports that are made late, libraries, the processor's description."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

_SYSTEM = (
    *("/lib", "/lib32", "/lib64", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/local/lib", "/usr/local/lib64"),
    "/nix/store",
    "/gnu/store",
    "/etc/ld.so.cache",
    *("/proc/self", "/proc/stat", "/proc/cpuinfo", "/proc/meminfo", "/proc/sys/vm/overcommit_memory"),
    *("/sys/devices/system/cpu", "/sys/devices/system/node", "/sys/kernel/mm/transparent_hugepage"),
    *("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom"),
)


def existing_runtime_paths() -> tuple[str, ...]:
    """Absolute paths, each once, that exist now."""
    paths = (*_SYSTEM, *_library_path(), *_python())
    return tuple(dict.fromkeys(path for path in paths if os.path.exists(path)))  # noqa: PTH110 - pathlib's may raise


def _python() -> Iterator[str]:
    prefixes = [Path(prefix) for prefix in dict.fromkeys((sys.base_prefix, sys.base_exec_prefix, sys.prefix))]
    libraries = [prefix / name for prefix in prefixes for name in ("lib", "lib64")]
    yield from (str(folder) for folder in libraries if not _is_private(folder))
    for entry in map(Path, sys.path):
        if not entry.is_absolute():
            continue
        is_file = os.path.isfile(entry)  # noqa: PTH113 - pathlib's raises where it may not look
        if is_file or any(entry.is_relative_to(folder) for folder in libraries) or _is_installed(entry):
            yield str(entry)
        else:
            yield from _loaded_from(entry)


def _library_path() -> Iterator[str]:
    for entry in map(Path, os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep)):
        if entry.is_absolute() and not _is_private(entry):
            yield str(entry)


def _is_installed(folder: Path) -> bool:
    """Whether a folder holds what an installer put there, and not somebody's work."""
    return not _is_private(folder) and any(folder.glob("*.dist-info"))


def _is_private(folder: Path) -> bool:
    """Whether it is a user's home folder, or one that holds it."""
    real = Path(os.path.realpath(folder))
    return real in (Path("/"), Path("/home")) or real.parent == Path("/home") or _home().is_relative_to(real)


def _home() -> Path:
    """This user's home. Read here, because Python would ask the name service for it, through a socket."""
    home = os.environ.get("HOME")
    if home:
        return Path(os.path.realpath(home))
    with contextlib.suppress(OSError):
        for line in Path("/etc/passwd").read_text(errors="replace").splitlines():
            fields = line.split(":")
            if len(fields) == 7 and fields[2] == str(os.getuid()):
                return Path(os.path.realpath(fields[5]))
    return Path("/")


def _loaded_from(folder: Path) -> Iterator[str]:
    """The packages that are in use of a folder of which the rest is nobody's business, like a project's checkout."""
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if "." in name or not isinstance(file, str):
            continue
        path = Path(file)
        package = path.parent if path.stem == "__init__" else path
        if package.parent == folder:
            yield str(package)
