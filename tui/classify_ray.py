"""The same work on many machines: Ray Data hands blocks of texts to workers that have a session each.

Blocks lie in Ray's object store, which puts on the disk what memory does not hold. A worker that dies is started
again, and its block given out again; a block's results are kept once, whoever sends them.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import re
import socket
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeai.errors import EdgeAIError, GenerationError, OptionError
from edgeai.offline import network_allowed
from edgeai.records.parquet import arrow
from edgeai.safe_text import one_line
from tui.classify_rows import Added, Inputs, Result, failed
from tui.classify_task import Task

if TYPE_CHECKING:
    from tui.classify_task import Classify

BLOCK_ROWS = 512
_HERE, _AUTO = "local", "auto"
_ADDRESS = re.compile(r"(?:ray://)?(?P<host>\[[^\]\s]+\]|[^:/\s]+):(?P<port>\d{1,5})")
_KNOCK_S = 5
_logger = logging.getLogger(__name__)

MakeClassifier = Callable[["Plan"], "Classify"]


@dataclass(frozen=True, slots=True)
class Plan:
    """What each worker needs to know.

    Attributes:
        task: what the classifier is made of.
        added: what results look like.
        options: of its session; the model's name or path must mean the same file on each machine.
        identity: of the model, as the results depend on it.
        make: makes the classifier.
    """

    task: Task
    added: Added
    options: Mapping[str, Any]
    identity: Sequence[Any]
    make: MakeClassifier


def make_classifier(plan: Plan) -> Classify:
    """A session on the plan's model, and its classifier; the session lives as long as the process."""
    from tui import session_options
    from tui.classify_job import identity

    options = dict(plan.options)
    session = session_options.open_session(options.pop("model", None), **options)
    if identity(session) != list(plan.identity):
        session.close()
        raise OptionError(f"{session.model_name}: another file on a machine of the cluster: expected the same on each")
    return plan.task.classifier(session)


class Worker:
    """Classifies blocks, in a process of its own."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._classify = plan.make(plan)

    def __call__(self, block: Any) -> Any:
        """A block of numbered texts to a row of its first number and its results as JSON."""
        numbers, texts, reasons = (block[name].to_pylist() for name in ("index", "text", "why"))
        found = self._results([text for text, why in zip(texts, reasons, strict=True) if not why])
        results = [failed(why) if why else next(found) for why in reasons]
        runs = [list(run) for _, run in groupby(range(len(numbers)), key=lambda place: numbers[place] - place)]
        return arrow().table(
            {
                "start": [numbers[run[0]] for run in runs],
                "results": [json.dumps([results[place] for place in run]) for run in runs],
            }
        )

    def _results(self, texts: Sequence[str]) -> Iterator[Result]:
        try:
            found = list(self._classify(texts))
        except GenerationError as exc:  # the engine crashed: the next one may not
            _logger.warning("once more, after: %s", exc)
            self._classify = self._plan.make(self._plan)
            found = list(self._classify(texts))
        return map(self._plan.added.result, found)


@dataclass(slots=True)
class Cluster:
    """A Ray cluster.

    Attributes:
        address: of it; "auto" for the one that is running here, or a new one; "local" for a new one.
        n_workers: sessions; None for one a machine.
        options: of a session.
    """

    address: str
    n_workers: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    _identity: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        """See that Ray is there, before any work is done."""
        _ray()

    def identity(self, model: str | None) -> list[Any]:
        """Of the model's file here."""
        from edgeai.catalog import Catalog
        from tui.classify_job import model_identity

        self._identity = model_identity(Path(Catalog.load().resolve(model).path))
        return self._identity

    def classified(
        self, inputs: Inputs, task: Task, added: Added, is_done: Callable[[int], bool]
    ) -> Generator[tuple[int, list[Result]]]:
        """Results of runs of rows, each with the number of its first one, in any order."""
        ray = _ray()
        with contextlib.ExitStack() as stack:
            if self.address != _HERE:
                stack.enter_context(network_allowed())
            stack.enter_context(contextlib.redirect_stdout(_Log()))
            _connect(ray, self.address)
            stack.callback(ray.shutdown)
            n_workers, n_cpus = _workers(ray, self.n_workers)
            options = {"n_threads": n_cpus, **self.options}
            plan = Plan(task, added, options, self._identity, make_classifier)
            blocks = [ray.put(block) for block in _blocks(inputs, is_done)]
            if not blocks:
                return
            with _told(self.address):
                yield from _streamed(ray, blocks, plan, min(n_workers, len(blocks)), n_cpus)


class _Log(io.StringIO):
    """Ray prints that a worker has died, from a thread of its own; stdout is for results."""

    def write(self, text: str) -> int:
        _logger.info("%s", text.strip())
        return len(text)


def _streamed(
    ray: Any, blocks: Sequence[Any], plan: Plan, n_workers: int, n_cpus: int
) -> Iterator[tuple[int, list[Result]]]:
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = context.print_on_execution_start = False
    found = ray.data.from_arrow_refs(list(blocks)).map_batches(
        Worker,
        fn_constructor_args=(plan,),
        batch_format="pyarrow",
        batch_size=None,
        num_cpus=n_cpus,
        concurrency=n_workers,
    )
    for batch in found.iter_batches(batch_size=None, batch_format="pyarrow"):
        for start, results in zip(batch["start"].to_pylist(), batch["results"].to_pylist(), strict=True):
            yield start, json.loads(results)


def _blocks(inputs: Inputs, is_done: Callable[[int], bool]) -> Iterator[Any]:
    """Rows that are to be done, as tables."""
    pa = arrow()
    schema = pa.schema([("index", pa.int64()), ("text", pa.string()), ("why", pa.string())])
    waiting: list[tuple[int, str, str]] = []
    for index, row in inputs.rows():
        if not is_done(index):
            waiting.append((index, *inputs.text_of(row)))
        if len(waiting) >= BLOCK_ROWS:
            yield pa.table([list(column) for column in zip(*waiting, strict=True)], schema=schema)
            waiting = []
    if waiting:
        yield pa.table([list(column) for column in zip(*waiting, strict=True)], schema=schema)


def _ray() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would tell its makers
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # what it writes onto stderr by itself
    try:
        import ray
        import ray.data
    except ImportError as exc:
        raise OptionError('--ray needs the extra `ray`: pip install "edgeai[ray]"') from exc
    return ray


def _connect(ray: Any, address: str) -> None:
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR, "include_dashboard": False}
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    shown = one_line(address)[:80]
    try:
        if address not in (_HERE, _AUTO):
            _knock(address)
        with _quiet_stderr():
            if address == _HERE:
                ray.init("local", _node_ip_address="127.0.0.1", **quiet)
            else:
                ray.init(None if address == _AUTO else address, **quiet)
    except (OSError, ValueError, RuntimeError) as exc:
        why = one_line(str(exc))[:200]
        raise OptionError(f"--ray {shown}: no cluster there ({why}): expected host:port, auto or local") from exc


def _knock(address: str) -> None:
    """See that somebody answers there: Ray itself would wait for minutes.

    Raises:
        OSError: nobody does.
        ValueError: it is no address.
    """
    found = _ADDRESS.fullmatch(address)
    if found is None or int(found["port"]) > 0xFFFF:
        raise ValueError("no host and port")
    socket.create_connection((found["host"].strip("[]"), int(found["port"])), _KNOCK_S).close()


@contextlib.contextmanager
def _quiet_stderr() -> Iterator[None]:
    """Ray's native part greets there, whatever its level is; what goes wrong is raised."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _workers(ray: Any, wanted: int | None) -> tuple[int, int]:
    """How many sessions, and cores for each: one has all cores of a machine, unless more are wanted than machines."""
    cores = [int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]]
    cores = [n for n in cores if n] or [1]
    n_workers = wanted or len(cores)
    on_each = -(-n_workers // len(cores))
    return n_workers, max(1, min(cores) // on_each)


@contextlib.contextmanager
def _told(address: str) -> Iterator[None]:
    """Ray's errors in one line; ours come back wrapped in several of Ray's."""
    import ray.exceptions

    try:
        yield
    except ray.exceptions.RayError as exc:
        inner: BaseException | None = exc
        while inner is not None and not isinstance(inner, EdgeAIError):
            inner = getattr(inner, "cause", None) or inner.__cause__
        why = inner or (str(exc).strip().splitlines() or [type(exc).__name__])[-1]
        raise GenerationError(f"--ray {one_line(address)[:80]}: {one_line(str(why))[:300]}") from exc
