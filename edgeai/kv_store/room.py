"""All states that are kept, of all models: what they take, and what goes where room is short."""

from __future__ import annotations

import contextlib
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from edgeai.config import config_text
from edgeai.files import STAGING_PREFIX, free_bytes
from edgeai.kv_store.meta import MEDIUM_MARK, read_meta
from edgeai.paths import cache_dir
from edgeai.sizes import parse_size

LIMIT_KEY = "cache_limit"  # in config.toml
_SHARE_OF_FREE = 0.1  # of the disk, where no limit is set
_MOST_BYTES = 8 * 2**30
_STALE_S = 3600  # what is still being written is younger


@dataclass(frozen=True, slots=True)
class Kept:
    """A state, for lists.

    Attributes:
        key: of the model and its settings.
        name: its own.
        n_tokens: tokens whose state it holds.
        n_bytes: on the disk.
        used: when it was last loaded or written, seconds since 1970.
        model: the model's name; hostile text.
        is_medium: it is no state, but a picture or sound as a projector has encoded it.
    """

    key: str
    name: str
    n_tokens: int
    n_bytes: int
    used: float
    model: str
    is_medium: bool = False


def states_dir() -> Path:
    """Where all states are kept."""
    return cache_dir() / "states"


def limit_bytes(root: Path) -> int:
    """What all states may take: what the user has set, else a tenth of the disk's room, 8 GiB at most.

    Raises:
        OptionError: config.toml has no size there.
        OSError: the folder cannot be looked at.
    """
    if (size := config_text(LIMIT_KEY)) is not None:
        return parse_size(size)
    held = sum(path.stat().st_size for path in root.glob("*/engine/*"))
    return min(int(_SHARE_OF_FREE * (free_bytes(root) + held)), _MOST_BYTES)


def kept_states(root: Path) -> list[Kept]:
    """All states, those that were used last first."""
    found = []
    for path in root.glob("*/*.meta"):
        meta = read_meta(path)
        with contextlib.suppress(OSError):
            used = path.stat().st_mtime
            if meta is not None:
                key, n_tokens, is_medium = path.parent.name, len(meta.tokens) // 4, meta.tokens.startswith(MEDIUM_MARK)
                n_tokens -= is_medium
                found.append(Kept(key, path.stem, n_tokens, meta.n_bytes, used, meta.model, is_medium))
    return sorted(found, key=lambda kept: -kept.used)


def clear_states(root: Path) -> int:
    """Remove all states; the bytes that they took."""
    n_bytes = sum(kept.n_bytes for kept in kept_states(root))
    for path in root.glob("*/*.meta"):  # first: without them nothing is loaded
        path.unlink(missing_ok=True)
    for folder in root.glob("*/"):
        shutil.rmtree(folder, ignore_errors=True)
    return n_bytes


def shrink(root: Path, n_bytes: int) -> bool:
    """Remove the states that were not used for longest until all take so much at most; whether they do."""
    kept = kept_states(root)
    held = sum(item.n_bytes for item in kept)
    while kept and held > n_bytes:
        oldest = kept.pop()
        remove(root / oldest.key / f"{oldest.name}.meta", root / oldest.key / "engine" / oldest.name)
        held -= oldest.n_bytes
    return held <= n_bytes


def clear_left_over(root: Path) -> None:
    """Remove what killed processes left, of all models: states that nothing tells of, and small files half-written."""
    for pattern in ("*/engine/*", f"*/{STAGING_PREFIX}*", f"{STAGING_PREFIX}*"):
        for path in root.glob(pattern):
            with contextlib.suppress(OSError):
                is_old = time.time() - path.lstat().st_mtime > _STALE_S
                if is_old and not (path.parent.parent / f"{path.name}.meta").exists():
                    path.unlink()


def remove(*paths: Path) -> None:
    """Remove files that may be gone already."""
    for path in paths:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
