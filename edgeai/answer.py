"""Making one answer: from a prompt, through the backend's events, to a Response and the new messages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from edgeai.backends.base import Backend, Finished, GenerateRequest, Piece, PrefillProgress
from edgeai.context_window import ContextWindow, Prompt
from edgeai.documents.ground import Ground
from edgeai.documents.prompt_text import nothing_found, unmarked
from edgeai.errors import DocumentError, GenerationError
from edgeai.messages import Message, ToolCall
from edgeai.options import Overflow, SamplingOptions
from edgeai.response import FinishReason, Outcome, Response, Timings, Usage
from edgeai.structured import OutputFormat
from edgeai.tools import ToolBox

if TYPE_CHECKING:
    from edgeai.documents.citing import Citer

ProgressCallback = Callable[[PrefillProgress], None]
MAX_TOOL_ROUNDS = 8
_CALL_STARTS = ("<", "{", "[", "`")


@dataclass(slots=True)
class Job:
    """What is asked for.

    Attributes:
        messages: the conversation to answer; empty for raw text.
        keep: the session's own conversation goes on with the answer.
        ground: what of the documents the prompt holds.
        preface: what the answer begins with, whatever the model says.
    """

    options: SamplingOptions
    prompt: Prompt = field(default_factory=lambda: Prompt(()))
    messages: list[Message] = field(default_factory=list)
    overflow: Overflow = "error"
    output: OutputFormat | None = None
    tools: ToolBox | None = None
    run_tools: bool = False
    on_progress: ProgressCallback | None = None
    keep: bool = False
    ground: Ground = field(default_factory=Ground)
    preface: str = ""


class Answer:
    """One job being done, in a thread of its own."""

    def __init__(self, backend: Backend, window: ContextWindow | None, job: Job, response: Response) -> None:
        """`window` is what built the job's prompt; None for raw text."""
        self._backend = backend
        self._window = window
        self._job = job
        self._response = response
        self._prompt = job.prompt
        self._usage = Usage()
        self._timings: Timings | None = None
        self._citer = _citer(job.ground) if job.output is None else None

    def make(self, outcome: Outcome) -> list[Message]:
        """Generate, run tools where that was asked for, and fill the outcome in.

        Returns:
            The messages that the conversation goes on with; none when it was cancelled before its first word.
        """
        job, new = self._job, list[Message]()
        if job.ground.is_silent and job.tools is None:
            return self._say_nothing_found(outcome)
        preface = job.preface if job.output is None else ""
        self._response._push(preface, 0)
        for _round in range(MAX_TOOL_ROUNDS):
            shown, calls, reason = self._generate()
            new.append(Message("assistant", shown, tool_calls=calls))
            outcome.tool_calls = calls
            outcome.finish_reason = "tool_calls" if calls else reason
            if job.tools is None or not calls or not job.run_tools or self._response.cancel_requested:
                break
            new += [Message("tool", job.tools.run(call), tool_name=call.name) for call in calls]
            self._prompt = self._next_prompt([*job.messages, *new])
        outcome.text = self._response.partial_text
        found = self._citer.citations if self._citer else []
        outcome.citations = tuple(citation.behind(preface) for citation in found)
        outcome.usage, outcome.timings = self._usage, self._timings or Timings()
        if job.output is not None:
            outcome.parsed = job.output.parse(outcome.text)
        return [] if outcome.finish_reason == "cancelled" and not outcome.text else new

    def _generate(self) -> tuple[str, tuple[ToolCall, ...], FinishReason]:
        """One run of the model: the text that was shown, the calls it asks for, why it ended."""
        job, text, n_shown, shown = self._job, "", 0, ""
        n_before = self._usage.completion_tokens
        for event in self._backend.generate(self._request()):
            if self._response.cancel_requested:
                self._backend.cancel()
            if isinstance(event, PrefillProgress):
                if job.on_progress is not None:
                    job.on_progress(event)
            elif isinstance(event, Piece):
                text += event.text
                show = job.tools is None or not text.lstrip().startswith(_CALL_STARTS)
                shown += self._show(text[n_shown:] if show else "", n_before + event.n_tokens)
                n_shown = len(text) if show else n_shown
            elif isinstance(event, Finished):
                return self._finish(event, text, n_shown, shown)
        raise GenerationError("the engine ended without an answer")

    def _finish(
        self, event: Finished, text: str, n_shown: int, shown: str
    ) -> tuple[str, tuple[ToolCall, ...], FinishReason]:
        calls = self._job.tools.parse(text) if self._job.tools and event.reason == "stop" else ()
        rest = "" if calls else text[n_shown:]
        shown += self._show(rest, self._response.n_tokens)
        if self._citer is not None:
            end = self._citer.finish(is_cut=event.reason != "stop")
            self._response._push(end, self._response.n_tokens)
            shown += end
        if self._window is not None and self._backend.detokenize(event.tokens) == text:
            said = unmarked(shown) if self._job.ground.has_sources else shown
            self._window.add_answer(text if calls else said, event.tokens)
        self._count(event)
        return shown, calls, event.reason

    def _show(self, text: str, n_tokens: int) -> str:
        """Hand on the next text of the answer, with its citations; what of it is shown now."""
        if self._citer is not None:
            text = self._citer.feed(text)
        self._response._push(text, n_tokens)
        return text

    def _say_nothing_found(self, outcome: Outcome) -> list[Message]:
        """The model is not asked at all: it would guess."""
        if self._job.output is not None:
            raise DocumentError(
                "the documents hold nothing about this question: expected one that they answer; ask otherwise, or "
                "without documents"
            )
        outcome.text = nothing_found(self._job.ground.question)
        outcome.finish_reason = "stop"
        self._response._push(outcome.text, 0)
        return [Message("assistant", outcome.text)]

    def _request(self) -> GenerateRequest:
        job = self._job
        stop = (*job.options.stop, *(self._window.stop if self._window else ()))
        return GenerateRequest(
            tokens=self._prompt.tokens,
            sampling=replace(job.options, stop=stop),
            grammar=job.output.grammar if job.output else None,
            checkpoint_at=(self._prompt.n_system,) if self._prompt.n_system else (),
            show_special=job.tools is not None,
            keep_at=self._prompt.keep_at,
            media=self._prompt.media,
        )

    def _next_prompt(self, messages: Sequence[Message]) -> Prompt:
        assert self._window is not None
        assert self._job.tools is not None
        return self._window.build(
            messages,
            tools=self._job.tools.schemas,
            overflow=self._job.overflow,
            max_tokens=self._job.options.max_tokens,
            ground=self._job.ground,
        )

    def _count(self, event: Finished) -> None:
        usage, more = self._usage, event.usage
        self._usage = Usage(
            prompt_tokens=usage.prompt_tokens + more.prompt_tokens,
            cached_tokens=usage.cached_tokens + more.cached_tokens,
            completion_tokens=usage.completion_tokens + more.completion_tokens,
        )
        self._timings = self._timings or event.timings


def _citer(ground: Ground) -> Citer | None:
    """What finds the places of an answer's statements; None where there is nothing to cite."""
    if ground.support is None:
        return None
    from edgeai.documents.citing import Citer  # answers without documents do without it

    return Citer(ground.support, ground.question)
