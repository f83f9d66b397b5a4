"""Asking one model all questions of a plan. What is done is kept: the same run goes on where it was ended."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeai.errors import ChatTemplateError
from edgeai.evaluation.asking import Asker
from edgeai.evaluation.prompts import template_for
from edgeai.evaluation.tasks import Plan
from edgeai.evaluation.types import By, Outcome, Subject
from edgeai.files import Progress, no_progress
from edgeai.model_files import model_digest
from edgeai.notes.journal import Journal
from edgeai.onnx_providers import installed_version

if TYPE_CHECKING:
    from edgeai.session import Session

VERSION = 1  # of what outcomes depend on: prompts, and how they are cut into tokens
_AT_ONCE: Mapping[By, int] = {"letter": 32, "answer": 32, "text": 8, "writing": 1}
"""Questions that are asked together, and of which nothing is kept when the run is ended in their midst."""


@dataclass(frozen=True, slots=True)
class RunProgress:
    """How far a run is: questions done, of how many, and those that an earlier run had done."""

    n_done: int
    n_total: int
    n_found: int


@dataclass(frozen=True, slots=True)
class SubjectRun:
    """What came of a subject.

    Attributes:
        subject: what was asked.
        n_examples: shown before each question.
        outcomes: one for each question.
    """

    subject: Subject
    n_examples: int
    outcomes: Sequence[Outcome]


@dataclass(frozen=True, slots=True)
class ModelRun:
    """What came of a model.

    Attributes:
        name: of the model.
        path: its file or folder.
        sha256: of that.
        n_ctx: context window, tokens.
        options: by which it was opened, where the user has said so.
        library: whose kernels computed, with its version.
        chat_template: through which it was asked; "" for none.
        subjects: in the plan's order.
    """

    name: str
    path: str
    sha256: str
    n_ctx: int
    options: Mapping[str, Any]
    library: str
    chat_template: str = ""
    subjects: list[SubjectRun] = field(default_factory=list)


class _Done:
    """Counts, and tells."""

    def __init__(self, n_total: int, n_found: int, tell: Callable[[RunProgress], None]) -> None:
        self._n_whole, self._n_done, self._n_total, self._n_found, self._tell = 0, 0, n_total, n_found, tell

    def one_more(self) -> None:
        """A question of the batch in hand is done."""
        self._n_done += 1
        self._tell(RunProgress(self._n_done, self._n_total, self._n_found))

    def so_far(self, batch: range) -> None:
        """A batch is done and kept."""
        self._n_whole += len(batch)
        self._n_done = self._n_whole
        self._tell(RunProgress(self._n_done, self._n_total, self._n_found))


class Run:
    """One model's run. Close it: what is done stays until `finish`.

    Attributes:
        result: grows, subject by subject.
        n_found: questions that an earlier run had done.
    """

    def __init__(
        self, session: Session, plan: Plan, options: Mapping[str, Any], on_hashed: Progress = no_progress
    ) -> None:
        """Find out what was done already.

        Args:
            session: the model.
            plan: what to ask it.
            options: by which the session was opened, where they matter; recorded.
            on_hashed: told how far the model's file is read.
        Raises:
            DocumentError: the same run is going on in another process.
            ChatTemplateError: it is to be asked in a chat, and has no template.
            OSError: the model's file, or the cache folder, cannot be used.
        """
        self._plan = plan
        self._asker = Asker(session, plan)
        path, digest = session.info.path, model_digest(Path(session.info.path), on_hashed)
        library = f"llama-cpp-python {importlib.metadata.version('llama-cpp-python')}"
        if session.info.provider:
            library = f"onnxruntime {installed_version()} {session.info.provider}"
        template = chat_template(session) if plan.chat else ""
        self.result = ModelRun(session.model_name, path, digest, session.n_ctx, dict(options), library, template)
        counted = {name: value for name, value in options.items() if name != "n_threads"}
        same = {"path": "", "name": "", "options": counted}  # neither the file's name nor how fast it is read counts
        facts = {"version": VERSION, "model": {**asdict(self.result), **same}, "plan": plan_facts(plan)}
        key = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]
        self._journal = Journal(key)
        self.n_found = self.n_kept

    @property
    def n_kept(self) -> int:
        """Questions whose outcome is kept by now."""
        return sum(len(batch) for index, batch in self._batches() if self._journal.get(_key(index, batch)))

    def go(self, on_progress: Callable[[RunProgress], None]) -> ModelRun:
        """Ask what is left to ask.

        Args:
            on_progress: told after each question.
        Raises:
            GenerationError: the engine failed; what is done is kept.
        """
        done = _Done(self._plan.n_questions, self.n_found, on_progress)
        for index, subject in enumerate(self._plan.subjects):
            prepared = None
            outcomes: list[Outcome] = []
            for batch in batches(subject, self._plan.by):
                found = self._kept(index, batch)
                if found is None:
                    prepared = prepared or self._asker.prepared(subject)
                    questions = [subject.questions[number] for number in batch]
                    found = self._asker.ask(prepared, questions, done.one_more)
                    self._journal.put(_key(index, batch), json.dumps([prepared.n_examples, list(map(asdict, found))]))
                outcomes += found
                done.so_far(batch)
            n_examples = self._n_examples(index, next(batches(subject, self._plan.by)))
            self.result.subjects.append(SubjectRun(subject, n_examples, outcomes))
        return self.result

    def finish(self) -> None:
        """The result is where it belongs: nothing needs to be kept any more."""
        self._journal.remove()

    def close(self) -> None:
        """Let go of what is kept. May be called twice."""
        if self._journal.is_empty:
            self._journal.remove()
        self._journal.close()

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _batches(self) -> Iterator[tuple[int, range]]:
        for index, subject in enumerate(self._plan.subjects):
            for batch in batches(subject, self._plan.by):
                yield index, batch

    def _kept(self, index: int, batch: range) -> list[Outcome] | None:
        text = self._journal.get(_key(index, batch))
        if text is None:
            return None
        return [
            Outcome(tuple(each["log_probs"]), tuple(each["n_tokens"]), each["text"], each["error"])
            for each in json.loads(text)[1]
        ]

    def _n_examples(self, index: int, batch: range) -> int:
        return int(json.loads(self._journal.get(_key(index, batch)) or "[0]")[0])


def batches(subject: Subject, by: By) -> Iterator[range]:
    """The questions of a subject, as many together as are asked at once."""
    n, step = len(subject.questions), _AT_ONCE[by]
    return (range(start, min(start + step, n)) for start in range(0, n, step))


def plan_facts(plan: Plan) -> dict[str, Any]:
    """What outcomes depend on beside the model, as JSON can hold it."""
    templates = [asdict(template_for(plan.task.name, plan.by, subject)) for subject in plan.subjects]
    return {
        "task": plan.task.name,
        "by": plan.by,
        "few_shot": plan.few_shot,
        "limit": plan.limit,
        "chat": plan.chat,
        "templates": [template for index, template in enumerate(templates) if template not in templates[:index]],
        "subjects": [[subject.name, *subject.files.values()] for subject in plan.subjects],
    }


def chat_template(session: Session) -> str:
    """The template through which a model is asked.

    Raises:
        ChatTemplateError: it has none.
    """
    source = session._template_source or session.info.chat_template
    if not source:
        raise ChatTemplateError(
            f"{session.model_name} has no chat template: expected a model that answers in a chat; ask without --chat"
        )
    return source


def _key(index: int, batch: range) -> str:
    return f"{index} {batch.start} {batch.stop}"
