"""The process that runs a detector: it enters the sandbox, loads the folder, and answers picture after picture."""

from __future__ import annotations

import contextlib
import os
from importlib import import_module
from pathlib import Path
from typing import Annotated, Union

import msgspec

from edgeai.engine.parent import parents_pipe
from edgeai.engine.wire import Pipe
from edgeai.errors import ModelFormatError, OptionError
from edgeai.sandbox import Policy, enter
from edgeai.vision.wire import Size

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class Load(msgspec.Struct, frozen=True, tag=True):
    """Enter the sandbox and load a folder. The first message."""

    folder: bytes
    n_threads: Annotated[int, msgspec.Meta(ge=1, lt=1024)]
    policy: Policy


class Find(msgspec.Struct, frozen=True, tag=True):
    """Look for labels, UTF-8, in a picture: uint8, RGB, row by row. `threshold` None: the detector's own."""

    pixels: bytes
    width: Size
    height: Size
    labels: list[bytes]
    threshold: float | None


Request = Union[Load, Find]  # noqa: UP007 - msgspec reads it at run time


class Loaded(msgspec.Struct, frozen=True, tag=True):
    """Answers Load."""


class Found(msgspec.Struct, frozen=True, tag=True):
    """Answers Find: label's number; left, top, right, bottom in shares of the picture; score."""

    boxes: list[tuple[int, tuple[Share, Share, Share, Share], Share]]


class Refused(msgspec.Struct, frozen=True, tag=True):
    """Answers both: why it cannot be done, without the folder's name. `is_asked`: because of what was asked for."""

    words: str
    is_asked: bool


Reply = Union[Loaded, Found, Refused]  # noqa: UP007


def main(parent_pid: int) -> None:
    """Serve until the other end is closed; `parent_pid` is its process."""
    pipe: Pipe[Request] = parents_pipe(parent_pid, Request)
    import numpy as np
    from PIL import Image  # noqa: F401 - large libraries, before memory is limited

    from edgeai.vision.detector_model import DetectorModel

    for library in ("onnxruntime", "tokenizers"):
        import_module(library)
    with contextlib.suppress(EOFError, BrokenPipeError):
        load = pipe.receive()
        assert isinstance(load, Load)
        enter(load.policy)
        try:
            model = DetectorModel(Path(os.fsdecode(load.folder)), load.n_threads)
        except ModelFormatError as exc:
            pipe.send(Refused(str(exc), is_asked=False))
            return
        pipe.send(Loaded())
        while True:
            asked = pipe.receive()
            assert isinstance(asked, Find)
            pixels = np.frombuffer(asked.pixels, np.uint8).reshape(asked.height, asked.width, 3)
            try:
                labels = [label.decode("utf-8", "replace") for label in asked.labels]
                pipe.send(Found(model.find(pixels, labels, asked.threshold)))
            except (ModelFormatError, OptionError) as exc:
                pipe.send(Refused(str(exc), is_asked=isinstance(exc, OptionError)))
    os._exit(0)  # native libraries would take their time
