"""A stand-in for a model that reads: its summary of a text is the list of marks (`M007`) that stand in it."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from edgeai.backends.base import Event, GenerateRequest
from edgeai.documents.types import Block, Document
from edgeai.notes.condense import Wishes
from edgeai.notes.job import opened
from edgeai.notes.markdown import NotesFile
from edgeai.notes.summarize import summarize
from edgeai.session import Session
from tests.fakes import FakeBackend

_MARK = re.compile(r"\bM\d{3}\b")


class MarkReader(FakeBackend):
    """Answers with the marks that it was given, in their order; nothing that it was not given can be in its answer.

    Attributes:
        delay_s: how long an answer takes.
        asked: the prompts that were about documents.
    """

    def __init__(self, n_ctx: int = 4096) -> None:
        super().__init__(n_ctx)
        self.delay_s = 0.0
        self.asked: list[str] = []

    def generate(self, request: GenerateRequest) -> Iterator[Event]:
        prompt = self.detokenize(request.tokens)
        if "<document" in prompt:
            self.asked.append(prompt)
            print("asked", flush=True) if self.delay_s else None
            time.sleep(self.delay_s)
            if not self._answers:
                self.enqueue(marks_text(prompt))
        yield from super().generate(request)


def marks(text: str) -> list[str]:
    """The marks in a text, each once, in their order."""
    return list(dict.fromkeys(_MARK.findall(text)))


def marks_text(text: str) -> str:
    """A summary that fits the words that were asked for, as far as the tests go: four characters a mark."""
    return " ".join(marks(text)) + "."


def marked_document(n_marks: int, filler: int = 300, name: str = "manual.pdf", per_heading: int = 0) -> Document:
    """A document with a mark in each paragraph, a page for each, and a heading for so many of them."""
    blocks: list[Block] = []
    for number in range(n_marks):
        heading = f"Chapter {number // per_heading}" if per_heading else None
        if per_heading and number % per_heading == 0:
            blocks.append(Block(heading or "", "heading", page=number + 1))
        text = f"M{number:03} " + "filler " * (filler // 7) + "end."
        blocks.append(Block(text, page=number + 1, headings=(heading,) if heading else ()))
    return Document(Path("/made") / name, "pdf", "The manual", f"{n_marks:064}", tuple(blocks), n_pages=n_marks)


def main(out: str) -> None:
    """Summarise a document slowly, into a file; to be killed."""
    backend = MarkReader()
    backend.delay_s = 0.05
    document = marked_document(40, per_heading=4)
    wishes = Wishes(400, "")
    file = NotesFile(Path(out))
    with Session(backend=backend) as session, opened(session, [document], {}, {}) as job:
        job.plan(lambda ask: summarize(session, [document], ask, wishes))
        ask = job.ask(lambda _progress: None)
        notes = summarize(session, [document], ask, wishes, lambda notes, _part: file.write(notes))
        file.finish(notes)
        job.is_finished = True


if __name__ == "__main__":
    main(sys.argv[1])
