"""The states that are kept for one model, and the room that all of them may take.

    states/KEY/ID.meta           what a state is of; written last, by us alone
    states/KEY/engine/ID.state   the state; written and read by the engine, in whose sandbox this is the only folder

A state counts where its .meta is there and its bytes have the checksum that stands in it. A process that is killed
leaves a file without .meta, which nobody loads and the next process clears away.

Source of the files' content: llama_state_seq_save_file of llama.cpp.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgeai.files import chunks
from edgeai.kv_store.meta import Meta, read_meta, write_meta
from edgeai.kv_store.room import limit_bytes, remove, shrink

_STALE_S = 3600  # a state that is still being written is younger


@dataclass(frozen=True, slots=True)
class Found:
    """A state that has a prefix of a prompt.

    Attributes:
        id: its name.
        n_tokens: tokens whose state it holds.
        n_same: those of them that the prompt begins with.
    """

    id: str
    n_tokens: int
    n_same: int


class StateStore:
    """The states of one key.

    Attributes:
        engine_dir: the folder in which the engine writes and reads them.
    """

    def __init__(self, root: Path, key: str, limit_bytes: int | None = None) -> None:
        """Make the folders.

        Args:
            root: of all states.
            key: see state_key.
            limit_bytes: that all states together may take; None takes a tenth of the disk's free room, 8 GiB at most.
        Raises:
            OSError: the disk is full or cannot be written.
        """
        self._root, self._folder = root, root / key
        self.engine_dir = self._folder / "engine"
        self._limit_bytes = limit_bytes
        self._metas: dict[str, Meta] = {}
        self._verified: set[str] = set()
        for folder in (root, self._folder, self.engine_dir):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.chmod(0o700)
        self._clear_left_over()

    @property
    def limit_bytes(self) -> int:
        """What all states together may take."""
        return limit_bytes(self._root) if self._limit_bytes is None else self._limit_bytes

    def new_id(self) -> str:
        """A name for a state that is going to be written."""
        return secrets.token_hex(16)

    def find(self, tokens: Sequence[int]) -> Found | None:
        """The state that has the most of a prompt's beginning; None where none has any."""
        prompt = _encoded(tokens)
        best: Found | None = None
        for path in self._folder.glob("*.meta"):
            meta = self._meta(path.stem)
            if meta is None:
                continue
            found = Found(path.stem, len(meta.tokens) // 4, _n_same(meta.tokens, prompt))
            if found.n_same and (best is None or (found.n_same, -found.n_tokens) > (best.n_same, -best.n_tokens)):
                best = found
        return best

    def has(self, tokens: Sequence[int]) -> bool:
        """Whether exactly these tokens' state is kept."""
        found = self.find(tokens)
        return found is not None and found.n_same == found.n_tokens == len(tokens)

    def verify(self, id_: str) -> bool:
        """Whether a state's bytes are those that were written; one that is damaged is dropped."""
        if id_ not in self._verified:
            meta = self._meta(id_)
            if meta is None or not _is_as_written(self._state_path(id_), meta):
                self.drop(id_)
                return False
            self._verified.add(id_)
        with contextlib.suppress(OSError):
            os.utime(self._meta_path(id_))
        return True

    def add(self, id_: str, tokens: Sequence[int], model: str = "", *, is_conversation: bool = False) -> bool:
        """Take a state that the engine has written; those that were not used for longest make room for it.

        Args:
            id_: its name.
            tokens: whose state it holds.
            model: the model's name, for lists.
            is_conversation: those of which it is the continuation go.

        Returns:
            Whether it is kept. Where anything goes wrong it is gone.
        """
        path = self._state_path(id_)
        try:
            n_bytes, digest = _durable(path)
            if not self._make_room(n_bytes):
                raise OSError("larger than all states may be")
            write_meta(self._meta_path(id_), Meta(_encoded(tokens), digest, n_bytes, model, is_conversation))
        except OSError:
            self.drop(id_)
            return False
        self._verified.add(id_)
        if is_conversation:
            self._drop_continued(id_, _encoded(tokens))
        return True

    def _drop_continued(self, by: str, tokens: bytes) -> None:
        for path in list(self._folder.glob("*.meta")):
            meta = self._meta(path.stem)
            if meta and meta.is_conversation and path.stem != by and tokens.startswith(meta.tokens):
                self.drop(path.stem)

    def drop(self, id_: str) -> None:
        """Forget a state; what tells of it goes first."""
        self._metas.pop(id_, None)
        self._verified.discard(id_)
        remove(self._meta_path(id_), self._state_path(id_))

    def _meta(self, id_: str) -> Meta | None:
        if id_ not in self._metas:
            meta = read_meta(self._meta_path(id_))
            if meta is None:
                return None
            self._metas[id_] = meta
        return self._metas[id_]

    def _make_room(self, n_bytes: int) -> bool:
        limit = self.limit_bytes
        return n_bytes <= limit and shrink(self._root, limit - n_bytes)

    def _clear_left_over(self) -> None:
        """What killed processes left: states that nothing tells of."""
        for path in self.engine_dir.iterdir():
            with contextlib.suppress(OSError):
                is_old = time.time() - path.lstat().st_mtime > _STALE_S
                if is_old and not self._meta_path(path.stem).exists():
                    path.unlink()

    def _meta_path(self, id_: str) -> Path:
        return self._folder / f"{id_}.meta"

    def _state_path(self, id_: str) -> Path:
        return self.engine_dir / f"{id_}.state"


def _is_as_written(path: Path, meta: Meta) -> bool:
    try:
        if path.is_symlink() or path.stat().st_size != meta.n_bytes:
            return False
        digest = hashlib.sha256()
        for chunk in chunks(path):
            digest.update(chunk)
    except OSError:
        return False
    return digest.hexdigest() == meta.sha256


def _durable(path: Path) -> tuple[int, str]:
    """Bring a file to the disk, for its owner alone; its size and SHA-256."""
    digest = hashlib.sha256()
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(descriptor, "rb") as file:
        if hasattr(os, "fchmod"):
            os.fchmod(file.fileno(), 0o600)
        while chunk := file.read(2**20):
            digest.update(chunk)
        os.fsync(file.fileno())
        return file.tell(), digest.hexdigest()


def _encoded(tokens: Sequence[int]) -> bytes:
    return struct.pack(f"<{len(tokens)}i", *tokens)


def _n_same(held: bytes, prompt: bytes) -> int:
    """Tokens with which both begin."""
    low, high = 0, min(len(held), len(prompt)) // 4
    while low < high:
        middle = (low + high + 1) // 2
        if held[4 * low : 4 * middle] == prompt[4 * low : 4 * middle]:
            low = middle
        else:
            high = middle - 1
    return low
