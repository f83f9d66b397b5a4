"""The messages between a session and its engine process: what may pass, as types that are checked on arrival.

A message is a length (four bytes, little-endian) and so many bytes of MessagePack. No pickle, no code, no file
descriptors. The session does not trust the engine, which may be taken over by a hostile model file: whatever does not
have exactly the expected types, or is too long, is an error, and the engine is ended.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Annotated, BinaryIO, Generic, TypeVar, Union

import msgspec

from edgeai import errors
from edgeai.backends.base import GenerateRequest, ModelInfo, ScoreRequest
from edgeai.errors import EdgeAIError, GenerationError
from edgeai.media import Medium
from edgeai.options import LoadOptions
from edgeai.response import FinishReason, Timings, Usage
from edgeai.safe_text import one_line
from edgeai.sandbox import Policy, Report

MAX_MESSAGE_BYTES = 64 * 2**20
"""A prompt of ten million tokens, all that is known of a model, 17 minutes of sound, or 16 million pixels."""
_LENGTH_BYTES = 4
_MAX_ERROR_CHARS = 2000
_ERROR_KINDS = (
    *("ModelError", "ModelFormatError", "ModelTooLargeError", "UnsupportedModalityError"),
    *("GenerationError", "SchemaError", "OptionError", "PictureError"),
)

Count = Annotated[int, msgspec.Meta(ge=0, lt=2**31)]


class Load(msgspec.Struct, frozen=True, tag=True):
    """Enter the sandbox, then load a model. The first request, and only once."""

    path: str
    options: LoadOptions
    n_ctx: int
    max_threads: int
    policy: Policy
    states_dir: str | None = None
    max_picture_ratio: int = 0
    n_picture_tokens: int = 0


class Tokenize(msgspec.Struct, frozen=True, tag=True):
    """UTF-8 to ids."""

    text: bytes
    add_special: bool
    parse_special: bool


class Take(msgspec.Struct, frozen=True, tag=True):
    """Take a medium in, and keep it until a generation does not name it."""

    medium: Medium


class Detokenize(msgspec.Struct, frozen=True, tag=True):
    """Ids to text."""

    tokens: list[int]


class Generate(msgspec.Struct, frozen=True, tag=True):
    """Continue a prompt. `number` names this generation, for Cancel. Its media are only named: Take came before."""

    number: int
    request: GenerateRequest


class Cancel(msgspec.Struct, frozen=True, tag=True):
    """End a generation."""

    number: int


class Save(msgspec.Struct, frozen=True, tag=True):
    """Write the state of all that stands in the KV cache into a file of the folder for states."""

    name: str


class Score(msgspec.Struct, frozen=True, tag=True):
    """Tell how likely continuations are. `number` names this scoring, for Cancel."""

    number: int
    request: ScoreRequest


Request = Union[Load, Tokenize, Take, Detokenize, Generate, Score, Cancel, Save]  # noqa: UP007 - msgspec reads it at run time


class Loading(msgspec.Struct, frozen=True, tag=True):
    """So much of the model is loaded."""

    share: Annotated[float, msgspec.Meta(ge=0, le=1)]


class Loaded(msgspec.Struct, frozen=True, tag=True):
    """The model is loaded, within this sandbox."""

    info: ModelInfo
    sandbox: Report


class Tokens(msgspec.Struct, frozen=True, tag=True):
    """Answers Tokenize."""

    ids: list[Count]


class Taken(msgspec.Struct, frozen=True, tag=True):
    """Answers Take: what stands for the medium in a prompt."""

    ids: list[Annotated[int, msgspec.Meta(ge=-(2**31), lt=2**31)]]


class Text(msgspec.Struct, frozen=True, tag=True):
    """Answers Detokenize."""

    text: str


class Read(msgspec.Struct, frozen=True, tag=True):
    """PrefillProgress."""

    n_done: Count
    n_total: Count
    n_cached: Count


class Written(msgspec.Struct, frozen=True, tag=True):
    """Piece."""

    text: str
    n_tokens: Count


class Saved(msgspec.Struct, frozen=True, tag=True):
    """StateSaved; or answers Save, with the tokens whose state the file holds, 0 for no file."""

    name: str
    n_tokens: Count = 0


class Ended(msgspec.Struct, frozen=True, tag=True):
    """Finished, and how many tokens stand in the KV cache."""

    reason: FinishReason
    usage: Usage
    timings: Timings
    tokens: tuple[Count, ...]
    n_evaluated: Count


class Rated(msgspec.Struct, frozen=True, tag=True):
    """Scored."""

    index: Count
    log_probs: tuple[float, ...]
    greedy: tuple[bool, ...]


class Rating(msgspec.Struct, frozen=True, tag=True):
    """ScoreProgress."""

    n_done: Count
    n_total: Count


class RatingEnded(msgspec.Struct, frozen=True, tag=True):
    """ScoreFinished."""

    cancelled: bool
    n_prefix: Count
    n_tokens: Count
    n_batches: Count
    n_batch: Count


class Failed(msgspec.Struct, frozen=True, tag=True):
    """The request failed with an error of edgeai.errors."""

    kind: str
    message: str


Reply = Union[  # noqa: UP007
    Loading, Loaded, Tokens, Taken, Text, Read, Written, Saved, Ended, Rated, Rating, RatingEnded, Failed
]

Incoming = TypeVar("Incoming")
"""What a pipe's end receives: a union of tagged structs."""


class Pipe(Generic[Incoming]):
    """One end of the two pipes."""

    def __init__(self, incoming: object, reader: BinaryIO, writer: BinaryIO) -> None:
        """`incoming` is the type of what is received, like Request or Reply; the files are buffered ones."""
        self._reader = reader
        self._writer = writer
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder: msgspec.msgpack.Decoder[Incoming] = msgspec.msgpack.Decoder(incoming)

    def send(self, message: msgspec.Struct) -> None:
        """Send.

        Raises:
            OSError: the other end is gone.
            ValueError: the message is too long, or the pipe is closed.
        """
        data = self._encoder.encode(message)
        if len(data) > MAX_MESSAGE_BYTES:
            raise ValueError(f"a message of {len(data):,} bytes: expected at most {MAX_MESSAGE_BYTES:,}")
        self._writer.write(len(data).to_bytes(_LENGTH_BYTES, "little") + data)
        self._writer.flush()

    def receive(self) -> Incoming:
        """Wait for a message.

        Raises:
            EOFError: the other end is gone.
            ValueError: what came is not a message.
        """
        n_bytes = int.from_bytes(self._read(_LENGTH_BYTES), "little")
        if n_bytes > MAX_MESSAGE_BYTES:
            raise ValueError(f"a message of {n_bytes:,} bytes: expected at most {MAX_MESSAGE_BYTES:,}")
        return self._decoder.decode(self._read(n_bytes))

    def _read(self, n_bytes: int) -> bytes:
        data = self._reader.read(n_bytes)
        if len(data) < n_bytes:
            raise EOFError
        return data


def check_info(info: ModelInfo) -> None:
    """Refuse what no model has.

    Raises:
        ValueError: a count is out of range.
    """
    for name in ("n_ctx", "n_vocab"):
        if not 0 < getattr(info, name) < 2**31:
            raise ValueError(f"{name} = {getattr(info, name)}")
    for name in ("n_ctx_train", "n_params", "size_bytes", "n_picture_tokens"):
        if not 0 <= getattr(info, name) < 2**63:
            raise ValueError(f"{name} = {getattr(info, name)}")


def check_ended(ended: Ended) -> None:
    """Refuse counts and times that cannot be.

    Raises:
        ValueError: a negative count, or a time that is negative or no number.
    """
    for kind in (ended.usage, ended.timings):
        for name in kind.__dataclass_fields__:
            value = getattr(kind, name)
            if not (0 <= value < 2**53 and math.isfinite(value)):
                raise ValueError(f"{name} = {value}")


def encodable(request: GenerateRequest) -> GenerateRequest:
    """The request without lone surrogates, which no message can hold and no model can write, and without the samples
    that the process has."""
    stop = tuple(text.encode("utf-8", "replace").decode() for text in request.sampling.stop)
    grammar = None if request.grammar is None else request.grammar.encode("utf-8", "replace").decode()
    media = tuple(replace(medium, data=b"") for medium in request.media)
    return replace(request, sampling=replace(request.sampling, stop=stop), grammar=grammar, media=media)


def error_of(failed: Failed) -> EdgeAIError:
    """The error that a reply tells of; kinds that an engine has no reason for become GenerationError."""
    kind = getattr(errors, failed.kind, None) if failed.kind in _ERROR_KINDS else None
    error: EdgeAIError = (kind or GenerationError)(one_line(failed.message)[:_MAX_ERROR_CHARS])
    return error
