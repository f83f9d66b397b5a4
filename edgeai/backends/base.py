"""What every backend can do. Only plain data passes: ids, text, numbers, and dataclasses of them.

A backend will also be run in a process of its own, so nothing here may need shared memory, callbacks into the
caller, or native pointers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from edgeai.media import Medium
from edgeai.options import SamplingOptions
from edgeai.response import FinishReason, Timings, Usage


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What is known of a loaded model.

    Attributes:
        path: the file or folder it was loaded from.
        name: its own name, from its metadata; hostile text.
        architecture: llama.cpp's name of it (`llama`, `gemma3`, `plamo3`).
        n_ctx: the context window it was loaded with, tokens.
        n_ctx_train: the context window it was trained for, tokens.
        n_vocab: tokens in its vocabulary.
        n_params: parameters.
        size_bytes: its weights.
        chat_template: Jinja source from its metadata, or None; hostile text.
        bos_token: text of the begin-of-sequence token, or "".
        eos_token: text of the end-of-sequence token, or "".
        add_bos: whether raw text starts with the bos token.
        special_tokens: texts of all control tokens, which no user's text may produce.
        hears: whether it takes sounds in, through a projector.
        sees: whether it takes pictures in, likewise.
        n_picture_tokens: of a picture, or of a tile of one, at most; 0 where it does not see.
        provider: what runs an ONNX model, one of `edgeai.onnx_providers.PROVIDERS`; "" of other models.
    """

    path: str
    name: str
    architecture: str
    n_ctx: int
    n_ctx_train: int
    n_vocab: int
    n_params: int = 0
    size_bytes: int = 0
    chat_template: str | None = None
    bos_token: str = ""
    eos_token: str = ""
    add_bos: bool = False
    special_tokens: tuple[str, ...] = ()
    hears: bool = False
    sees: bool = False
    n_picture_tokens: int = 0
    provider: str = ""


@dataclass(frozen=True, slots=True)
class StateFile:
    """The evaluated state of a prompt's beginning, in a file of the backend's folder for them.

    Attributes:
        name: of the file.
        n_tokens: whose state it holds.
        n_same: of them, those that the prompt begins with.
    """

    name: str
    n_tokens: int
    n_same: int


@dataclass(frozen=True, slots=True)
class EncodedFile:
    """A medium as the projector has encoded it, in a file of the backend's folder for states.

    Attributes:
        name: of the file.
        sha256: of the medium.
        is_kept: it is there, and its bytes have been verified; otherwise it is to be written.
    """

    name: str
    sha256: str
    is_kept: bool


@dataclass(frozen=True, slots=True)
class GenerateRequest:
    """One prompt to continue.

    Attributes:
        tokens: the prompt's ids, at least one and fewer than n_ctx. Those of media are negative, and not the last.
        sampling: how tokens are chosen, when to stop.
        grammar: an llguidance grammar (JSON) that the text must follow, or None.
        checkpoint_at: lengths of prefixes that will come again (the end of the system prompt), where a model whose
            memory cannot be cut back keeps a copy of its state.
        show_special: write control tokens out as text (some models mark tool calls with them).
        keep_at: lengths of prefixes that will come again in other processes (the end of a document). A piece of the
            prompt ends there, whether it is evaluated or not, so that what follows is evaluated in the same pieces.
        restore: a state to begin with, where it has more of the prompt than what stands in the KV cache.
        save_as: files for the states of the prefixes `keep_at`, where they are evaluated now.
        media: those in the prompt. The backend forgets all others.
        encoded: files of them: a medium is encoded only where there is none.
        caller_cpu_s: CPU time that the caller's process has used so far, where it is another. It waits now: what it did
            in the pause is no reason to leave it a core.
    """

    tokens: Sequence[int]
    sampling: SamplingOptions = field(default_factory=SamplingOptions)
    grammar: str | None = None
    checkpoint_at: tuple[int, ...] = ()
    show_special: bool = False
    keep_at: tuple[int, ...] = ()
    restore: StateFile | None = None
    save_as: tuple[StateFile, ...] = ()
    media: tuple[Medium, ...] = ()
    encoded: tuple[EncodedFile, ...] = ()
    caller_cpu_s: float = 0.0


@dataclass(frozen=True, slots=True)
class PrefillProgress:
    """The prompt is being evaluated: `n_done` of `n_total` tokens stand in the KV cache, `n_cached` stood before."""

    n_done: int
    n_total: int
    n_cached: int


@dataclass(frozen=True, slots=True)
class Piece:
    """More text, whole characters only; `n_tokens` have been generated so far. The text may be empty."""

    text: str
    n_tokens: int


@dataclass(frozen=True, slots=True)
class StateSaved:
    """A state of `save_as`, or a medium of `encoded`, is in its file."""

    name: str


@dataclass(frozen=True, slots=True)
class Finished:
    """The last event of every generation; `tokens` are the ids generated, without the one that ended it."""

    reason: FinishReason
    usage: Usage
    timings: Timings
    tokens: tuple[int, ...] = ()


Event = PrefillProgress | Piece | StateSaved | Finished


@dataclass(frozen=True, slots=True)
class ScoreItem:
    """What may follow a prefix, and what may follow that.

    Attributes:
        tokens: ids after the prefix; of both together there is at least one.
        continuations: sequences of ids, none of them empty, that may follow; those that begin alike share the work.
        n_given: of each continuation, how many of its first tokens are given, not scored; none where it is empty.
    """

    tokens: Sequence[int]
    continuations: Sequence[Sequence[int]]
    n_given: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class ScoreRequest:
    """How likely are the continuations of many items that begin alike?

    Attributes:
        prefix: ids that all items begin with: instructions, examples. It is evaluated once, also over several requests.
        items: each with the prefix fits n_ctx, its longest continuation included.
        caller_cpu_s: see GenerateRequest.
    """

    prefix: Sequence[int]
    items: Sequence[ScoreItem]
    caller_cpu_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Scored:
    """One item of a ScoreRequest is done. Items come in any order.

    Attributes:
        index: of the item in the request.
        log_probs: of each continuation: the sum of the natural logarithms of its tokens' probabilities, each token
            given all before it; those that are given count nothing. Minus infinity for what cannot be.
        greedy: whether each continuation's scored tokens are what greedy decoding would write.
    """

    index: int
    log_probs: tuple[float, ...]
    greedy: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class ScoreProgress:
    """A batch is evaluated: `n_done` of `n_total` tokens of the items and their continuations."""

    n_done: int
    n_total: int


@dataclass(frozen=True, slots=True)
class ScoreFinished:
    """The last event of every scoring.

    Attributes:
        cancelled: it ended before all items were scored.
        n_prefix: tokens of the prefix that had to be evaluated now.
        n_tokens: tokens of items and continuations that were evaluated.
        n_batches: batches that they were evaluated in.
        n_batch: tokens that one batch could have held.
    """

    cancelled: bool
    n_prefix: int
    n_tokens: int
    n_batches: int
    n_batch: int


ScoreEvent = PrefillProgress | Scored | ScoreProgress | ScoreFinished


class Backend(Protocol):
    """One loaded model with one KV cache. One thread at a time, but for `cancel`, which any thread may call."""

    @property
    def info(self) -> ModelInfo:
        """What is known of the model."""
        ...

    def tokenize(self, text: str, *, add_special: bool = False, parse_special: bool = False) -> list[int]:
        """Token ids of a text.

        Args:
            text: any text.
            add_special: put the bos token in front where the model wants one.
            parse_special: read `<|im_start|>` and its like as the control tokens they name.
        """
        ...

    def media_tokens(self, medium: Medium) -> list[int]:
        """What stands for a medium in a prompt: text tokens around ids of its own (`edgeai.media.chunk_ids`).

        Raises:
            UnsupportedModalityError: the model cannot take it in.
        """
        ...

    def detokenize(self, tokens: Sequence[int]) -> str:
        """The text of token ids, control tokens included; nothing for those of media."""
        ...

    def generate(self, request: GenerateRequest) -> Iterator[Event]:
        """Continue a prompt; ends with Finished. Reuses the longest prefix that stands in the KV cache.

        Raises:
            GenerationError: the engine failed.
            SchemaError: the grammar cannot be used.
        """
        ...

    def cancel(self) -> None:
        """End the generation that is running, within one token, with the reason "cancelled". From any thread."""
        ...

    @property
    def n_evaluated(self) -> int:
        """Tokens that stand in the KV cache."""
        ...

    def close(self) -> None:
        """Free native memory. May be called twice."""
        ...


class ScoringBackend(Protocol):
    """A backend that can tell how likely texts are, beside the conversation in its KV cache."""

    def score(self, request: ScoreRequest) -> Iterator[ScoreEvent]:
        """Score continuations; ends with ScoreFinished. PrefillProgress tells of the prefix. `cancel` ends it as well.

        Raises:
            GenerationError: the engine failed, or an item does not fit n_ctx.
        """
        ...
