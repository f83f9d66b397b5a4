"""Stand-ins for a model, for tests that are about something else."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Sequence

from edgeai.backends.base import (
    Event,
    Finished,
    GenerateRequest,
    ModelInfo,
    Piece,
    PrefillProgress,
    Scored,
    ScoreEvent,
    ScoreFinished,
    ScoreProgress,
    ScoreRequest,
)
from edgeai.errors import GenerationError
from edgeai.media import Medium, chunk_ids
from edgeai.response import Timings, Usage

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


class FakeBackend:
    """A backend that answers what was enqueued, word by word; one token is one character of the prompt.

    Attributes:
        requests: every request it was given.
        scored: every scoring it was asked for.
        gate: when cleared, generation waits before each piece until it is set (or is cancelled).
        pause_after: the number of pieces after which the gate closes by itself.
    """

    def __init__(
        self, n_ctx: int = 4096, chat_template: str | None = CHATML, *, hears: bool = False, sees: bool = False
    ) -> None:
        self.requests: list[GenerateRequest] = []
        self.scored: list[ScoreRequest] = []
        self.gate = threading.Event()
        self.gate.set()
        self.pause_after: int | None = None
        self.closed = False
        self._answers: deque[str | Exception] = deque()
        self._cancelled = threading.Event()
        self._cached: list[int] = []
        self._info = ModelInfo(
            path="/fake/model.gguf",
            name="Fake",
            architecture="fake",
            n_ctx=n_ctx,
            n_ctx_train=n_ctx,
            n_vocab=0x110000,
            chat_template=chat_template,
            eos_token="<|im_end|>",
            special_tokens=("<|im_start|>", "<|im_end|>"),
            hears=hears,
            sees=sees,
        )

    def enqueue(self, *answers: str | Exception) -> FakeBackend:
        self._answers.extend(answers)
        return self

    @property
    def info(self) -> ModelInfo:
        return self._info

    @property
    def n_evaluated(self) -> int:
        return len(self._cached)

    def tokenize(self, text: str, *, add_special: bool = False, parse_special: bool = False) -> list[int]:
        return [ord(character) for character in text]

    def media_tokens(self, medium: Medium) -> list[int]:
        """Two for each second and one for the rest, or four for a picture, between brackets."""
        n_tokens = int(2 * medium.duration_s) + 1 if medium.is_sound else 4
        return [ord("["), *chunk_ids(medium.sha256, 0, n_tokens), ord("]")]

    def detokenize(self, tokens: Sequence[int]) -> str:
        return "".join(chr(token) if token >= 0 else "♪" for token in tokens)

    def generate(self, request: GenerateRequest) -> Iterator[Event]:
        self._cancelled.clear()
        self.requests.append(request)
        prompt = list(request.tokens)
        n_cached = 0
        while n_cached < min(len(prompt) - 1, len(self._cached)) and prompt[n_cached] == self._cached[n_cached]:
            n_cached += 1
        self._cached = prompt
        yield PrefillProgress(len(prompt), len(prompt), n_cached)
        answer = self._answers.popleft() if self._answers else "fake answer"
        if isinstance(answer, Exception):
            raise GenerationError(str(answer)) from answer
        n_tokens, reason = 0, "stop"
        for word in answer.split(" "):
            while not self.gate.wait(0.01) and not self._cancelled.is_set():
                pass
            if self._cancelled.is_set():
                reason = "cancelled"
                break
            n_tokens += 1
            if n_tokens == self.pause_after:
                self.gate.clear()
            yield Piece(word if n_tokens == 1 else " " + word, n_tokens)
        usage = Usage(prompt_tokens=len(prompt), cached_tokens=n_cached, completion_tokens=n_tokens)
        yield Finished(reason, usage, Timings(ttft_ms=1.0, decode_tokens_per_s=100.0))  # type: ignore[arg-type]

    def score(self, request: ScoreRequest) -> Iterator[ScoreEvent]:
        """What stands in the item itself is ten times as likely as what does not."""
        self._cancelled.clear()
        self.scored.append(request)
        n_tokens = 0
        for index, item in enumerate(request.items):
            if self._cancelled.is_set():
                break
            said = self.detokenize(item.tokens)
            found = [self.detokenize(continuation) in said for continuation in item.continuations]
            yield Scored(index, tuple(-0.25 if is_in else -2.55 for is_in in found), tuple(found))
            n_tokens += len(item.tokens)
            yield ScoreProgress(n_tokens, sum(len(item.tokens) for item in request.items))
        yield ScoreFinished(self._cancelled.is_set(), len(request.prefix), n_tokens, 1, 512)

    def cancel(self) -> None:
        self._cancelled.set()

    def close(self) -> None:
        self.closed = True
