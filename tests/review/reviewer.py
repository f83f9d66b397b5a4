"""A stand-in for a model that reviews: it quotes the last line of each slide, and a line that stands on none."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

from edgeai.backends.base import Event, GenerateRequest
from edgeai.session import Session
from tests.fakes import FakeBackend
from tui import session_options
from tui.cli import main

_SLIDE = re.compile(r'<document name="slide (\d+)">\n(.*?)\n</document>', re.DOTALL)


class Reviewer(FakeBackend):
    """Answers as the schema wants it, with an invented remark beside the good one.

    Attributes:
        asked: the prompts about slides.
        ends_after: so many answers the process kills itself; None for never.
    """

    def __init__(self, n_ctx: int = 8192, *, sees: bool = False) -> None:
        super().__init__(n_ctx, sees=sees)
        self.asked: list[str] = []
        self.ends_after: int | None = None

    def generate(self, request: GenerateRequest) -> Iterator[Event]:
        prompt = self.detokenize(request.tokens)
        slides = _SLIDE.findall(prompt)
        if slides:
            if len(self.asked) == self.ends_after:
                os.kill(os.getpid(), signal.SIGKILL)
            self.asked.append(prompt)
            self.enqueue(_answer(slides))
        yield from super().generate(request)

    def about(self) -> list[list[int]]:
        """The numbers of the slides that each question was about."""
        return [[int(number) for number, _ in _SLIDE.findall(prompt)] for prompt in self.asked]


def _answer(slides: list[tuple[str, str]]) -> str:
    if len(slides) == 1:
        number, text = slides[0]
        last = text.split("\n")[-1]
        invented = {"quote": "what nobody wrote", "kind": "unclear", "remark": "an invention"}
        good = {"quote": last, "kind": "wording", "remark": f"say it in other words {'x' * int(number)}"}
        return json.dumps({"remarks": [good, invented]})
    (one, text), (other, other_text) = slides[0], slides[-1]
    quotes = {"quote": text.split("\n")[0], "other_quote": other_text.split("\n")[0]}
    return json.dumps(
        {"remarks": [{"slide": int(one), "other_slide": int(other), **quotes, "remark": "they disagree"}]}
    )


if __name__ == "__main__":
    backend = Reviewer()
    backend.ends_after = int(sys.argv[1])
    session_options.open_session = lambda _model, **_options: Session(backend=backend)
    main(["review", str(Path(sys.argv[2])), "-o", sys.argv[3]])
