"""The single trials of the campaign: each breaks something at one moment and says what came of it.

An outcome is a word for the table; what must never happen raises ViolationError.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from benchmarks.fault_place import (
    PATIENCE_S,
    Place,
    ViolationError,
    await_end,
    check_history,
    engines_of,
    finish,
    start,
    start_victim,
)
from edgeai import EdgeAIError, EngineCrashedError, ModelError, Session
from edgeai.engine.backend import ProcessBackend
from tests.crafted import crafted_files
from tests.mutate import mutation
from tests.tiny import KINDS

TEXT = "Hello, world! 日本語 🙂 " * 8


# --- files ---


def damaged_file(place: Place, index: int, seed: int) -> str:
    """A mutated model file is opened and asked: it is refused, or it answers, or its engine crashes; we go on."""
    kind = random.Random(f"{seed}/{index}").choice(KINDS)
    damaged = place.work / "damaged.gguf"
    mutation(place.sound[kind], seed, index, damaged)
    return open_and_ask(damaged)


def crafted_file(place: Place, index: int, seed: int) -> str:
    """A file for each published weakness, in turn."""
    if not place.crafted:
        place.crafted = [case.path for case in crafted_files(place.work)]
    return open_and_ask(place.crafted[index % len(place.crafted)])


def open_and_ask(path: Path) -> str:
    """What a file does to a session; the process that asks must not notice more than an error."""
    started = time.monotonic()
    try:
        with Session(path, n_ctx=128, n_threads=1, chat_template="plain", watchdog_s=5.0) as session:
            response = session.complete(TEXT, max_tokens=4, seed=1)
            return f"answered ({response.finish_reason})"
    except EngineCrashedError as exc:
        return "hung and was ended" if exc.hung_s else f"engine crashed ({exc.signal or exc.exit_code})"
    except ModelError as exc:
        return f"refused ({'by llama.cpp' if 'llama.cpp' in str(exc) else 'by our check'})"
    except EdgeAIError as exc:
        return f"refused ({type(exc).__name__})"
    except Exception as exc:
        raise ViolationError(f"{type(exc).__name__}: {exc}") from exc
    finally:
        if time.monotonic() - started > PATIENCE_S:
            raise ViolationError("it took over a minute")


# --- the engine is killed or stopped ---


def killed_engine(place: Place, index: int, seed: int) -> str:
    """kill -9 of the engine at a random moment of reading or writing: an error, then the conversation goes on."""
    return _break_engine(place, random.Random(f"{seed}/{index}"), signal.SIGKILL)


def stopped_engine(place: Place, index: int, seed: int) -> str:
    """SIGSTOP of the engine: the watchdog ends it, then the conversation goes on."""
    return _break_engine(place, random.Random(f"{seed}/{index}"), signal.SIGSTOP)


def _break_engine(place: Place, rng: random.Random, number: signal.Signals) -> str:
    with Session(place.model, n_threads=1, n_batch=16, watchdog_s=0.5) as session:
        session.chat("Hello", temperature=0, max_tokens=4).wait()
        before = session.messages
        backend = session._backend
        assert isinstance(backend, ProcessBackend)
        response = session.chat(TEXT, temperature=0, max_tokens=200)
        time.sleep(rng.uniform(0, 0.12))
        os.kill(backend.pid, number)
        try:
            outcome = f"had finished ({response.finish_reason})"
        except EngineCrashedError as exc:
            outcome = f"error while {exc.doing.split(' ')[0]}"
            if session.messages != before:
                raise ViolationError("the conversation changed with a turn that failed") from exc
        try:
            answer = session.chat("More", temperature=0, max_tokens=4).text
        except EngineCrashedError:  # it was stopped when it had nothing to do, and nobody had noticed
            answer = session.chat("More", temperature=0, max_tokens=4).text
        if not answer:
            raise ViolationError("no answer after the crash")
        return outcome


def killed_while_loading(place: Place, index: int, seed: int) -> str:
    """kill -9 of the engine while it starts and loads: an error, and the next session opens."""
    delay_s = random.Random(f"{seed}/{index}").uniform(0, 0.25)
    killer = subprocess.Popen([sys.executable, "-c", _KILLER, str(os.getpid()), str(delay_s)])
    try:
        with Session(place.model, n_threads=1) as session:
            session.complete("Hello", max_tokens=2).wait()
        outcome = "had loaded"
    except EngineCrashedError as exc:
        outcome = f"error while {exc.doing.split(' ')[0]}"
    killer.wait()
    Session(place.model, n_threads=1).close()
    return outcome


_KILLER = """
import glob, os, sys, time
parent, delay_s = sys.argv[1], float(sys.argv[2])
def children():
    for path in glob.glob(f"/proc/{parent}/task/*/children"):
        try: yield from map(int, open(path).read().split())
        except OSError: pass
end = time.monotonic() + 5
while time.monotonic() < end:
    found = [pid for pid in children() if pid != os.getpid()]
    if found:
        time.sleep(delay_s)
        try: os.kill(found[0], 9)
        except ProcessLookupError: pass
        break
"""


# --- the application is killed ---


def killed_application(place: Place, index: int, seed: int) -> str:
    """kill -9 of the application: its engine ends too, and no finished turn is lost."""
    return _kill_application(place, random.Random(f"{seed}/{index}"), with_engine=False)


def killed_both(place: Place, index: int, seed: int) -> str:
    """kill -9 of the application and its engine at once."""
    return _kill_application(place, random.Random(f"{seed}/{index}"), with_engine=True)


def _kill_application(place: Place, rng: random.Random, *, with_engine: bool) -> str:
    victim = start_victim(place, [str(place.model), "500", "8"])
    time.sleep(rng.uniform(0.05, 1.6))
    engines = engines_of(victim.pid)
    victim.kill()
    for pid in engines if with_engine else ():
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    told = finish(victim)
    await_end(engines)
    check_history(place, told)
    if any(line.startswith("finished") for line in told):
        return "in the conversation"
    return "in the first turn" if any(line.startswith("open") for line in told) else "while it started"


def full_disk(place: Place, index: int, seed: int) -> str:
    """The disk fills up while turns are stored: one error, and what was finished stays."""
    size_kb = random.Random(f"{seed}/{index}").choice([64, 150, 250, 400])
    return _on_a_disk(place, f"mount -t tmpfs -o size={size_kb}k tmpfs {{home}}", "200")


def read_only_folder(place: Place, index: int, seed: int) -> str:
    """The user's folder cannot be written: one error."""
    return _on_a_disk(place, "mount -t tmpfs -o ro tmpfs {home}", "3")


def _on_a_disk(place: Place, mount: str, n_turns: str) -> str:
    """Run a victim whose folder is a disk of its own, in a mount namespace; and read there what was kept."""
    command = (
        f"{mount.format(home=place.home)} && {sys.executable} -m benchmarks.fault_victim {place.model} {n_turns} 8; "
        f"{sys.executable} -m benchmarks.fault_place {place.folder}"
    )
    victim = start(["unshare", "--map-root-user", "--mount", "sh", "-c", command], place)
    told = finish(victim)
    errors = [line for line in told if line.startswith("error")]
    finished = [line.split()[2] for line in told if line.startswith("finished")]
    kept = [line.split()[1] for line in told if line.startswith("kept")]
    if "done" not in told:
        raise ViolationError(f"the application ended without a word: {told[-3:]}")
    if lost := set(finished) - set(kept):
        raise ViolationError(f"{len(lost)} finished turns are lost")
    return "one error, all finished turns kept" if len(errors) == 1 else f"{len(errors)} errors"


# --- starts ---


def start_and_close(place: Place, index: int, seed: int) -> str:
    """A session is opened and closed, or forgotten: no process, descriptor or file is left."""
    before = sum(1 for _ in Path("/proc/self/fd").iterdir())
    session = Session(place.model, n_threads=1, n_ctx=64)
    if index % 2:
        session.close()
    del session
    await_end(engines_of(os.getpid()))
    after = sum(1 for _ in Path("/proc/self/fd").iterdir())
    if after > before + 2:
        raise ViolationError(f"{after} descriptors are open, {before} before")
    return "left nothing"


Trial = Callable[[Place, int, int], str]

TRIALS: dict[str, Trial] = {
    "damaged files": damaged_file,
    "crafted files": crafted_file,
    "engine killed": killed_engine,
    "engine killed, loading": killed_while_loading,
    "engine stopped": stopped_engine,
    "application killed": killed_application,
    "both killed": killed_both,
    "full disk": full_disk,
    "read-only folder": read_only_folder,
    "starts": start_and_close,
}
