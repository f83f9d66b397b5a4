"""edgeai: an assistant that runs wholly on the device.

import edgeai

with edgeai.Session("smollm2-135m-instruct") as session:
    for piece in session.chat("Name three uses of a paper clip."):
        print(piece, end="", flush=True)
"""

from __future__ import annotations

import logging
import os
import typing

from edgeai.errors import (
    AudioDeviceError,
    AudioError,
    ChatTemplateError,
    CheckpointError,
    ContextOverflowError,
    DocumentError,
    EdgeAIError,
    EngineCrashedError,
    GenerationError,
    HistoryError,
    MediaError,
    ModelError,
    ModelFormatError,
    ModelNotFoundError,
    ModelTooLargeError,
    OfflineError,
    OptionError,
    PictureError,
    PullError,
    QuantizeError,
    SchemaError,
    SessionClosedError,
    UnsupportedArchitectureError,
    UnsupportedBitsError,
    UnsupportedModalityError,
)
from edgeai.messages import Message, ToolCall
from edgeai.options import LoadOptions, SamplingOptions
from edgeai.response import Response, Timings, Usage

if typing.TYPE_CHECKING:
    from edgeai.session import Session

__version__ = "0.1.0"

logging.getLogger(__name__).addHandler(logging.NullHandler())  # a library prints nothing by itself

# Releases of ONNX Runtime from 1.32 on send usage to their makers, by a thread that starts when they are imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

if os.environ.get("EDGEAI_OFFLINE") == "1":
    from edgeai.offline import refuse_network as _refuse_network

    _refuse_network()

__all__ = [
    "AudioDeviceError",
    "AudioError",
    "ChatTemplateError",
    "CheckpointError",
    "ContextOverflowError",
    "DocumentError",
    "EdgeAIError",
    "EngineCrashedError",
    "GenerationError",
    "HistoryError",
    "LoadOptions",
    "MediaError",
    "Message",
    "ModelError",
    "ModelFormatError",
    "ModelNotFoundError",
    "ModelTooLargeError",
    "OfflineError",
    "OptionError",
    "PictureError",
    "PullError",
    "QuantizeError",
    "Response",
    "SamplingOptions",
    "SchemaError",
    "Session",
    "SessionClosedError",
    "Timings",
    "ToolCall",
    "UnsupportedArchitectureError",
    "UnsupportedBitsError",
    "UnsupportedModalityError",
    "Usage",
    "__version__",
]


def __getattr__(name: str) -> typing.Any:
    """`Session` is imported when it is first asked for: the processes that edgeai starts do without it."""
    if name == "Session":
        from edgeai.session import Session

        return globals().setdefault(name, Session)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
