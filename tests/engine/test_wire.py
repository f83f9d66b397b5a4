"""Messages pass whole and typed; whatever is not one is an error of this end, not a surprise for the other."""

from __future__ import annotations

import io
import os
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeai.backends.base import GenerateRequest, ModelInfo, ScoreItem, ScoreRequest, StateFile
from edgeai.engine.wire import (
    MAX_MESSAGE_BYTES,
    Cancel,
    Detokenize,
    Ended,
    Failed,
    Generate,
    Load,
    Loaded,
    Loading,
    Pipe,
    Rated,
    Rating,
    RatingEnded,
    Read,
    Reply,
    Request,
    Save,
    Saved,
    Score,
    Take,
    Taken,
    Text,
    Tokenize,
    Tokens,
    Written,
    check_ended,
    check_info,
)
from edgeai.media import Medium
from edgeai.options import LoadOptions, SamplingOptions
from edgeai.response import Timings, Usage
from edgeai.sandbox import Policy, Report

INFO = ModelInfo("/m.gguf", "M", "llama", 512, 2048, 100, special_tokens=("<s>",), chat_template="{{ x }}")
REPORT = Report(applied=("files",), missing=())
SAMPLING = SamplingOptions(seed=3, stop=("\n", "終"), logit_bias={7: float("-inf"), 8: 1.5})

REQUESTS: list[Any] = [
    Load("/m.gguf", LoadOptions(n_ctx=64, n_threads=2), 64, 2, Policy(readable=("/m.gguf",), memory_bytes=1 << 40)),
    Tokenize("日本語".encode(), True, False),
    Take(Medium.sound(bytes(800))),
    Detokenize([1, 2, 3]),
    Generate(1, GenerateRequest([1, 2], SAMPLING, grammar="{}", checkpoint_at=(1,))),
    Generate(
        2, GenerateRequest([1], keep_at=(1,), restore=StateFile("a", 9, 1), save_as=(StateFile("b.state", 1, 1),))
    ),
    Generate(3, GenerateRequest([1, -2, 3], media=(Medium(b"", "0" * 64),))),
    Score(4, ScoreRequest([1, 2], [ScoreItem([3], [[4, 5], [6]], [1, 0])])),
    Cancel(1),
    Save("a.state"),
]
ENDED = Ended("stop", Usage(3, 2, 1), Timings(decode_ms=1.5), (5, 6), 9)
REPLIES: list[Any] = [
    Loading(0.5),
    Loaded(INFO, REPORT),
    Tokens([1, 2, 3]),
    Taken([1, -(2**31), 2**31 - 1]),
    Text("日本語\0"),
    Read(1, 2, 0),
    Written("", 1),
    Saved("a.state"),
    ENDED,
    Rated(0, (-1.5, float("-inf")), (True, False)),
    Rating(3, 9),
    RatingEnded(False, 2, 3, 1, 512),
    Failed("SchemaError", "no"),
]


def frame(payload: bytes) -> bytes:
    return len(payload).to_bytes(4, "little") + payload


def received(incoming: object, data: bytes) -> Any:
    pipe: Pipe[Any] = Pipe(incoming, io.BytesIO(data), io.BytesIO())
    return pipe.receive()


@pytest.mark.parametrize(
    ("incoming", "message"), [*[(Request, item) for item in REQUESTS], *[(Reply, item) for item in REPLIES]]
)
def test_every_message_arrives_as_it_was_sent(incoming: object, message: Any) -> None:
    sent = io.BytesIO()
    Pipe(Reply, io.BytesIO(), sent).send(message)
    assert received(incoming, sent.getvalue()) == message


def test_every_kind_of_message_is_tried_above() -> None:
    assert {type(item) for item in REQUESTS} == set(Request.__args__)  # type: ignore[attr-defined]
    assert {type(item) for item in REPLIES} == set(Reply.__args__)  # type: ignore[attr-defined]


@pytest.mark.parametrize("data", [b"", b"\1", frame(b"abc")[:5]])
def test_the_end_of_the_pipe_is_an_end(data: bytes) -> None:
    with pytest.raises(EOFError):
        received(Reply, data)


def test_a_length_beyond_all_bounds_is_not_waited_for() -> None:
    with pytest.raises(ValueError, match="at most"):
        received(Reply, (MAX_MESSAGE_BYTES + 1).to_bytes(4, "little"))


@pytest.mark.parametrize(
    "message",
    [
        {"type": "Written", "text": 5, "n_tokens": 1},
        {"type": "Written", "text": "x", "n_tokens": -1},
        {"type": "Written", "text": "x", "n_tokens": 2**31},
        {"type": "Written", "text": "x", "n_tokens": 1.5},
        {"type": "Written", "text": "x"},
        {"type": "Load", "path": "/m"},
        {"type": "Exec", "code": "1"},
        {"type": "Tokens", "ids": [1, -2]},
        {"type": "Loading", "share": float("nan")},
        {"type": "Loading", "share": 2.0},
        [1, 2],
        None,
    ],
)
def test_wrong_types_and_ranges_are_refused(message: Any) -> None:
    with pytest.raises(ValueError):
        received(Reply, frame(msgspec.msgpack.encode(message)))


def test_text_that_is_not_utf8_is_refused() -> None:
    good = msgspec.msgpack.encode({"type": "Text", "text": "abc"})
    with pytest.raises(ValueError):
        received(Reply, frame(good.replace(b"abc", b"a\xffc")))


def test_a_deeply_nested_message_is_an_error_and_no_crash() -> None:
    with pytest.raises((ValueError, RecursionError)):
        received(Reply, frame(b"\x91" * 1_000_000))


@given(st.binary(max_size=200))
def test_any_bytes_give_a_message_or_an_error(data: bytes) -> None:
    try:
        message = received(Reply, frame(data))
    except ValueError:
        return
    assert isinstance(message, msgspec.Struct)


def test_a_message_too_long_is_not_sent() -> None:
    sent = io.BytesIO()
    with pytest.raises(ValueError, match="at most"):
        Pipe(Reply, io.BytesIO(), sent).send(Tokenize(b"x" * MAX_MESSAGE_BYTES, False, False))
    assert not sent.getvalue()


def test_sending_to_nobody_is_an_os_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with pytest.raises(OSError), os.fdopen(writer, "wb", closefd=False) as file:
        Pipe(Reply, io.BytesIO(), file).send(Cancel(1))
    os.close(writer)


@pytest.mark.parametrize("change", [{"n_ctx": 0}, {"n_vocab": -1}, {"n_vocab": 2**31}, {"size_bytes": -5}])
def test_a_model_that_cannot_be_is_refused(change: dict[str, int]) -> None:
    check_info(INFO)
    with pytest.raises(ValueError, match=next(iter(change))):
        check_info(replace(INFO, **change))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "ended",
    [
        Ended("stop", Usage(-1), Timings(), (), 0),
        Ended("stop", Usage(), Timings(ttft_ms=float("nan")), (), 0),
        Ended("stop", Usage(), Timings(ttft_ms=float("inf")), (), 0),
        Ended("stop", Usage(), Timings(ttft_ms=-1.0), (), 0),
    ],
)
def test_counts_and_times_that_cannot_be_are_refused(ended: Ended) -> None:
    check_ended(ENDED)
    with pytest.raises(ValueError):
        check_ended(ended)
