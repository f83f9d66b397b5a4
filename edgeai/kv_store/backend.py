"""A backend that begins with kept states, and keeps new ones."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Protocol

from edgeai.backends.base import (
    Backend,
    EncodedFile,
    Event,
    Finished,
    GenerateRequest,
    ModelInfo,
    ScoreEvent,
    ScoreRequest,
    ScoringBackend,
    StateFile,
    StateSaved,
)
from edgeai.common_prefix import n_common
from edgeai.errors import EdgeAIError
from edgeai.kv_store.store import StateStore
from edgeai.media import Medium

MIN_TOKENS = 64
"""States of less are not worth a file: they are evaluated in the time that one is written in."""
MIN_NEW_TOKENS = 256
"""A conversation is kept when it is left, where so much of it is in no file yet."""

_log = logging.getLogger(__name__)


class SavingBackend(Backend, ScoringBackend, Protocol):
    """A backend that can score, and can write all that stands in its KV cache."""

    def save_state(self, name: str) -> int:
        """Write it into a file of the folder for states; the tokens that the file holds, 0 for no file."""
        ...


class StoringBackend:
    """A backend and the states of its model; see `edgeai.backends.base.Backend`.

    What another prompt would throw away, and what stands there at the end, is kept too: a conversation goes on where
    it was left. Where a state cannot be read or written, the prompt is evaluated as if there were none.
    """

    def __init__(self, backend: SavingBackend, store: StateStore, model_name: str) -> None:
        """
        Args:
            backend: reads and writes states in `store.engine_dir`.
            store: keeps them.
            model_name: as the user calls the model, for lists.
        """
        self._backend = backend
        self._store = store
        self._model_name = model_name
        self._media: dict[str, list[int]] = {}  # what stands for them, by their sha256
        self._tokens: list[int] = []  # that stand in the KV cache; none where that is not known

    @property
    def info(self) -> ModelInfo:
        """What is known of the model."""
        return self._backend.info

    @property
    def pid(self) -> int:
        """The number of the process that computes."""
        pid: int = getattr(self._backend, "pid", os.getpid())
        return pid

    @property
    def n_evaluated(self) -> int:
        """Tokens that stand in the KV cache."""
        return self._backend.n_evaluated

    def tokenize(self, text: str, *, add_special: bool = False, parse_special: bool = False) -> list[int]:
        """Token ids of a text; see Backend."""
        return self._backend.tokenize(text, add_special=add_special, parse_special=parse_special)

    def media_tokens(self, medium: Medium) -> list[int]:
        """What stands for a medium in a prompt; see Backend."""
        self._media[medium.sha256] = self._backend.media_tokens(medium)
        return self._media[medium.sha256]

    def detokenize(self, tokens: Sequence[int]) -> str:
        """The text of token ids, control tokens included."""
        return self._backend.detokenize(tokens)

    def generate(self, request: GenerateRequest) -> Iterator[Event]:
        """Continue a prompt; see Backend."""
        self._keep_present(request.tokens)
        files, encoded = self._files(request), self._encoded(request.media)
        tokens = {file.name: request.tokens[: file.n_tokens] for file in files}
        tokens |= {file.name: _of_medium(self._media[file.sha256]) for file in encoded}
        request = replace(request, restore=self._kept(request.tokens), save_as=files, encoded=encoded)
        self._tokens = []  # what stands there is not known, unless the last event comes
        for event in self._backend.generate(request):
            if isinstance(event, StateSaved):
                self._add(event.name, tokens[event.name])
                continue
            if isinstance(event, Finished):
                self._tokens = [*request.tokens, *event.tokens][: self._backend.n_evaluated]
            yield event

    def score(self, request: ScoreRequest) -> Iterator[ScoreEvent]:
        """Score continuations; see ScoringBackend. The conversation's state stays."""
        return self._backend.score(request)

    def cancel(self) -> None:
        """End the generation that is running; see Backend."""
        self._backend.cancel()

    def close(self) -> None:
        """Free native memory. May be called twice."""
        self._keep_present(())
        self._tokens = []
        self._backend.close()

    def _keep_present(self, prompt: Sequence[int]) -> None:
        """Keep what stands in the KV cache, where the prompt is of something else."""
        present = self._tokens[: self._backend.n_evaluated]
        if len(present) - n_common(present, list(prompt)) < MIN_NEW_TOKENS:
            return
        found = self._store.find(present)
        if found is not None and len(present) - found.n_same < MIN_NEW_TOKENS:
            return
        name = self._store.new_name()
        try:
            n_tokens = self._backend.save_state(name)
        except EdgeAIError as exc:
            _log.warning("the conversation's state is not kept: %s", exc)
            return
        if n_tokens == len(present):
            self._add(name, present, is_conversation=True)
        else:
            self._store.drop(name)

    def _kept(self, tokens: Sequence[int]) -> StateFile | None:
        """The state that has the most of a prompt, unless what stands in the KV cache has as much, and all of it."""
        found = self._store.find(tokens)
        if found is None or found.n_same < MIN_TOKENS:
            return None
        present = self._tokens[: self._backend.n_evaluated]
        if len(present) >= found.n_same and present == list(tokens[: len(present)]):
            return None
        return found if self._store.verify(found.name) else None

    def _files(self, request: GenerateRequest) -> tuple[StateFile, ...]:
        """Where the states go that are not kept yet."""
        lengths = [n for n in request.keep_at if MIN_TOKENS <= n <= len(request.tokens)]
        return tuple(
            StateFile(self._store.new_name(), n, n) for n in lengths if not self._store.has(request.tokens[:n])
        )

    def _encoded(self, media: Sequence[Medium]) -> tuple[EncodedFile, ...]:
        """The files of encoded media: those that are kept, and where the others go."""
        self._media = {medium.sha256: self._media[medium.sha256] for medium in media if medium.sha256 in self._media}
        files = []
        for sha256, ids in self._media.items():
            found = self._store.find(_of_medium(ids))
            is_kept = found is not None and found.n_same == found.n_tokens == len(ids) + 1
            if found is None or not is_kept or not self._store.verify(found.name):
                files.append(EncodedFile(self._store.new_name(), sha256, is_kept=False))
            else:
                files.append(EncodedFile(found.name, sha256, is_kept=True))
        return tuple(files)

    def _add(self, name: str, tokens: Sequence[int], *, is_conversation: bool = False) -> None:
        if not self._store.add(name, tokens, self._model_name, is_conversation=is_conversation):
            _log.warning("the state of %d tokens is not kept: no room for it, or it cannot be written", len(tokens))


def _of_medium(ids: Sequence[int]) -> list[int]:
    """Under which tokens an encoded medium is kept: see MEDIUM_MARK."""
    return [-1, *ids]
