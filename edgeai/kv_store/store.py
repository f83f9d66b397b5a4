"""The states that are kept for one model, and the room that all of them may take.

    states/KEY/NAME.meta         what a state is of; written last, by us alone
    states/KEY/engine/NAME       the state; written and read by the engine, in whose sandbox this is the only folder

A state counts where its .meta is there and its bytes have the checksum that stands in it. A process that is killed
leaves a file without .meta, which nobody loads and the next process clears away.

Source of the files' content: llama_state_seq_save_file of llama.cpp.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import struct
import threading
from collections.abc import Sequence
from pathlib import Path

from edgeai.backends.base import StateFile
from edgeai.common_prefix import n_common
from edgeai.kv_store.digest import state_digest
from edgeai.kv_store.meta import Meta, read_meta, write_meta
from edgeai.kv_store.room import clear_left_over, remove, shrink

_MAX_AHEAD_BYTES = 2**28
"""Hashed in a tenth of a second; more would be in the way of a model that comes from a slow disk."""


class StateStore:
    """The states of one key.

    Attributes:
        engine_dir: the folder in which the engine writes and reads them.
    """

    def __init__(self, root: Path, key: str, limit_bytes: int) -> None:
        """Make the folders.

        Args:
            root: of all states.
            key: see state_key.
            limit_bytes: that the states of all keys together may take.
        Raises:
            OSError: the disk is full or cannot be written.
        """
        self._root, self._folder = root, root / key
        self.engine_dir = self._folder / "engine"
        self._limit_bytes = limit_bytes
        self._metas: dict[str, Meta] = {}
        self._verified: set[str] = set()
        self._verifying = threading.Lock()
        for folder in (root, self._folder, self.engine_dir):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.chmod(0o700)
        clear_left_over(root)

    def new_name(self) -> str:
        """A name for a state that is going to be written."""
        return f"{secrets.token_hex(16)}.state"

    def find(self, tokens: Sequence[int]) -> StateFile | None:
        """The state that has the most of a prompt's beginning; None where none has any."""
        prompt = _encoded(tokens)
        best: StateFile | None = None
        for path in self._folder.glob("*.meta"):
            meta = self._meta(path.stem)
            if meta is None:
                continue
            found = StateFile(path.stem, len(meta.tokens) // 4, n_common(meta.tokens, prompt) // 4)
            if found.n_same and (best is None or (found.n_same, -found.n_tokens) > (best.n_same, -best.n_tokens)):
                best = found
        return best

    def has(self, tokens: Sequence[int]) -> bool:
        """Whether exactly these tokens' state is kept."""
        found = self.find(tokens)
        return found is not None and found.n_same == found.n_tokens == len(tokens)

    def verify(self, name: str) -> bool:
        """Whether a state's bytes are those that were written; one that is damaged is dropped."""
        with self._verifying:
            if name not in self._verified:
                meta = self._meta(name)
                if meta is None or not _is_as_written(self._state_path(name), meta):
                    self.drop(name)
                    return False
                self._verified.add(name)
        with contextlib.suppress(OSError):
            os.utime(self._meta_path(name))
        return True

    def verify_ahead(self) -> None:
        """Verify the state that was used last, in a thread, while the model is still being loaded: who comes again
        most often wants this one."""
        with contextlib.suppress(OSError, ValueError):
            newest = max(self._folder.glob("*.meta"), key=lambda path: path.stat().st_mtime)
            if self._state_path(newest.stem).stat().st_size <= _MAX_AHEAD_BYTES:
                threading.Thread(target=self.verify, args=(newest.stem,), name="edgeai-verify", daemon=True).start()

    def add(self, name: str, tokens: Sequence[int], model: str = "", *, is_conversation: bool = False) -> bool:
        """Take a state that the engine has written; those that were not used for longest make room for it.

        Args:
            name: its name.
            tokens: whose state it holds.
            model: the model's name, for lists.
            is_conversation: those of which it is the continuation go.

        Returns:
            Whether it is kept. Where anything goes wrong it is gone.
        """
        path = self._state_path(name)
        try:
            n_bytes, digest = _durable(path)
            if not self._make_room(n_bytes):
                raise OSError("larger than all states may be")
            write_meta(self._meta_path(name), Meta(_encoded(tokens), digest, n_bytes, model, is_conversation))
        except OSError:
            self.drop(name)
            return False
        self._verified.add(name)
        if is_conversation:
            self._drop_continued(name, _encoded(tokens))
        return True

    def _drop_continued(self, by: str, tokens: bytes) -> None:
        for path in list(self._folder.glob("*.meta")):
            meta = self._meta(path.stem)
            if meta and meta.is_conversation and path.stem != by and tokens.startswith(meta.tokens):
                self.drop(path.stem)

    def drop(self, name: str) -> None:
        """Forget a state; what tells of it goes first."""
        self._metas.pop(name, None)
        self._verified.discard(name)
        remove(self._meta_path(name), self._state_path(name))

    def _meta(self, name: str) -> Meta | None:
        if name not in self._metas:
            meta = read_meta(self._meta_path(name))
            if meta is None:
                return None
            self._metas[name] = meta
        return self._metas[name]

    def _make_room(self, n_bytes: int) -> bool:
        return n_bytes <= self._limit_bytes and shrink(self._root, self._limit_bytes - n_bytes)

    def _meta_path(self, name: str) -> Path:
        return self._folder / f"{name}.meta"

    def _state_path(self, name: str) -> Path:
        return self.engine_dir / name


def _is_as_written(path: Path, meta: Meta) -> bool:
    try:
        if path.is_symlink() or path.stat().st_size != meta.n_bytes:
            return False
        with path.open("rb", buffering=0) as file:
            return state_digest(file) == (meta.n_bytes, meta.sha256)
    except OSError:
        return False


def _durable(path: Path) -> tuple[int, str]:
    """Bring a file to the disk, for its owner alone; its size and digest."""
    flags = os.O_RDONLY
    for flag in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"):  # the engine's folder is not to be trusted
        flags |= getattr(os, flag, 0)
    descriptor = os.open(path, flags)
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        if hasattr(os, "fchmod"):
            os.fchmod(file.fileno(), 0o600)
        found = state_digest(file)
        os.fsync(file.fileno())
        return found


def _encoded(tokens: Sequence[int]) -> bytes:
    return struct.pack(f"<{len(tokens)}i", *tokens)
