"""The same work on many machines: Ray Data hands items to workers, each a process that lives as long as the work.

Items and results lie in Ray's object store, which puts on the disk what memory does not hold. A worker that dies is
started again, and its item given out again; each item gives one result, whoever sends it.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import pickle
import re
import socket
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from edgeai.errors import EdgeAIError, GenerationError, OptionError
from edgeai.model_files import model_digest
from edgeai.offline import network_allowed
from edgeai.records.parquet import arrow
from edgeai.safe_text import one_line

if TYPE_CHECKING:
    from edgeai.session import Session

_HERE, _AUTO = "local", "auto"
_ADDRESS = re.compile(r"(?:ray://)?(?P<host>\[[^\]\s]+\]|[^:/\s]+):(?P<port>\d{1,5})")
_KNOCK_S = 5
_TOKEN = "it asks for its token: set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN where it is not in ~/.ray/auth_token"
_logger = logging.getLogger(__name__)

Work = Callable[[Any], Any]
"""Makes a result of an item."""

WorkerOf = Literal["machine", "core"]
"""What a worker has to itself, unless their number is given."""


@dataclass(slots=True)
class Cluster:
    """A Ray cluster.

    Attributes:
        address: of it; "auto" for the one that is running here, or a new one; "local" for a new one.
        n_workers: how many; None for one a machine or a core, as the work needs it.
    """

    address: str
    n_workers: int | None = None

    def __post_init__(self) -> None:
        """See that Ray is there and that somebody answers, before any work is done."""
        _ray()
        if self.address not in (_HERE, _AUTO):
            with network_allowed(), _connecting(self.address):
                _knock(self.address)

    def mapped(
        self,
        items: Iterable[Any],
        make: Callable[[int], Work],
        *,
        worker_of: WorkerOf = "machine",
        in_order: bool = False,
    ) -> Generator[Any]:
        """What workers make of items.

        Args:
            items: each is done by one worker; what it is made of can be pickled.
            make: makes the work in each worker's process, from the number of its cores; can be pickled.
            worker_of: how much a worker has to itself.
            in_order: results come in the order of the items; else as they are ready.
        Raises:
            OptionError: no cluster can be reached.
            GenerationError: a worker's work failed; what it raised is told in one line.
        """
        ray = _ray()
        with contextlib.ExitStack() as stack:
            if self.address != _HERE:
                stack.enter_context(network_allowed())
            stack.enter_context(contextlib.redirect_stdout(_Log()))
            _connect(ray, self.address)
            stack.callback(ray.shutdown)
            blocks = [ray.put(_block(item)) for item in items]
            if not blocks:
                return
            n_workers, n_cores = _workers(ray, self.n_workers, worker_of)
            with _told(self.address):
                yield from _streamed(ray, blocks, make, (min(n_workers, len(blocks)), n_cores), in_order=in_order)


def identity(session: Session) -> list[Any]:
    """Of a session's model: its content's hash."""
    path = Path(session.info.path)
    return model_identity(path) if path.is_file() else [session.info.name, session.info.size_bytes]


def model_identity(path: Path) -> list[Any]:
    """Of a model's file, or of a graph's folder."""
    return [model_digest(path)]


def check_identity(session: Session, expected: Sequence[Any]) -> None:
    """See that a worker's session has the model that was meant; else it is closed.

    Raises:
        OptionError: it has another one.
    """
    if identity(session) != list(expected):
        session.close()
        raise OptionError(f"{session.model_name}: another file on a machine of the cluster: expected the same on each")


class _Worker:
    """Does items, in a process of its own."""

    def __init__(self, make: Callable[[int], Work], n_cores: int) -> None:
        self._work = make(n_cores)

    def __call__(self, block: Any) -> Any:
        (item,) = _items(block)
        return _block(self._work(item))


class _Log(io.StringIO):
    """Ray prints that a worker has died, from a thread of its own; stdout is for results."""

    def write(self, text: str) -> int:
        _logger.info("%s", text.strip())
        return len(text)


def _block(item: Any) -> Any:
    pa = arrow()
    return pa.table({"item": pa.array([pickle.dumps(item)], pa.large_binary())})


def _items(block: Any) -> list[Any]:
    return [pickle.loads(item) for item in block["item"].to_pylist()]  # Ray itself sends nothing else


def _streamed(
    ray: Any, blocks: Sequence[Any], make: Callable[[int], Work], workers: tuple[int, int], *, in_order: bool
) -> Iterator[Any]:
    n_workers, n_cores = workers
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = context.print_on_execution_start = False
    context.execution_options.preserve_order = in_order
    found = ray.data.from_arrow_refs(list(blocks)).map_batches(
        _Worker,
        fn_constructor_args=(make, n_cores),
        batch_format="pyarrow",
        batch_size=None,
        num_cpus=n_cores,
        concurrency=n_workers,
    )
    for batch in found.iter_batches(batch_size=None, batch_format="pyarrow"):
        yield from _items(batch)


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
    with _connecting(address):
        if address not in (_HERE, _AUTO):
            _knock(address)
        with _quiet_stderr():
            if address == _HERE:
                ray.init("local", _node_ip_address="127.0.0.1", **quiet)
            else:
                ray.init(None if address == _AUTO else address, **quiet)


@contextlib.contextmanager
def _connecting(address: str) -> Iterator[None]:
    """What goes wrong in the block in one line."""
    try:
        yield
    except (OSError, ValueError, RuntimeError) as exc:
        shown, why = one_line(address)[:80], one_line(str(exc))[:200]
        if "AuthToken" in f"{exc} {exc.__cause__}":  # RuntimeErrors that Ray makes of its AuthenticationError
            raise OptionError(f"--ray {shown}: {_TOKEN}") from exc
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


def _workers(ray: Any, wanted: int | None, worker_of: WorkerOf) -> tuple[int, int]:
    """How many workers, and cores for each: one has all cores of a machine, unless more are wanted than machines."""
    cores = [int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]]
    cores = [n for n in cores if n] or [1]
    if worker_of == "core":
        return wanted or sum(cores), 1
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
