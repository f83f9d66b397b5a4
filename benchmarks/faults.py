"""Breaks everything that can break, many times, and says what was lost.

Damaged and crafted model files, kill -9 of the engine, of the application and of both at random moments, a stopped
engine, a full disk, a folder that cannot be written. Required: no crash and no hang of the application, no finished
turn lost, no process left behind, no file outside of our folders.

    python -m benchmarks.faults [--count N] [--minutes M] [--only KIND …] [--seed N] [--state FILE] [--json]

With --state it writes down where it is, and the same command goes on from there.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
import traceback
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.common import main_json, print_machine
from benchmarks.fault_place import Place, ViolationError, user_folder
from benchmarks.fault_trials import TRIALS
from edgeai.files import write_text

USUAL_COUNT = 100


@dataclass
class Tally:
    """What came of one kind of trial.

    Attributes:
        n_tried: trials made; the next one has this index.
        outcomes: how often each outcome was met.
        violations: what must not happen and did, with the index.
        seconds: time spent.
    """

    n_tried: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)
    seconds: float = 0.0


def run(name: str, tally: Tally, place: Place, *, seed: int, count: int, until: float) -> None:
    """Go on with a kind of trial until it was tried `count` times or the time is over."""
    with user_folder(place):
        while tally.n_tried < count and time.monotonic() < until:
            started = time.monotonic()
            try:
                outcome = TRIALS[name](place, tally.n_tried, seed)
                if strangers := place.strangers():
                    raise ViolationError(f"files where none belongs: {strangers[:3]}")
                tally.outcomes[outcome] = tally.outcomes.get(outcome, 0) + 1
            except ViolationError as exc:
                tally.violations.append(f"#{tally.n_tried}: {exc}")
            except Exception:  # noqa: BLE001 - whatever the application meets counts
                tally.violations.append(f"#{tally.n_tried}: {traceback.format_exc(limit=-3)}")
            tally.seconds += time.monotonic() - started
            tally.n_tried += 1


def campaign(names: list[str], *, seed: int, count: int, minutes: float, state: Path | None) -> dict[str, Tally]:
    """All kinds in turn, a few trials at a time, so that any end leaves something of each."""
    tallies = _read(state, seed, names)
    until = time.monotonic() + minutes * 60
    with tempfile.TemporaryDirectory(prefix="edgeai-faults-") as folder:
        places = {name: Place(Path(folder) / str(index)) for index, name in enumerate(names)}
        for upto in range(5, count + 5, 5):
            for name in names:
                run(name, tallies[name], places[name], seed=seed, count=min(upto, count), until=until)
                _show(tallies)
                if state is not None:
                    _write(state, seed, tallies)
    return tallies


def _read(state: Path | None, seed: int, names: list[str]) -> dict[str, Tally]:
    tallies = {name: Tally() for name in names}
    if state is not None and state.exists():
        kept = json.loads(state.read_text())
        if kept["seed"] != seed:
            sys.exit(f"{state} was begun with --seed {kept['seed']}: give the same, or another file")
        tallies |= {name: Tally(**values) for name, values in kept["tallies"].items() if name in tallies}
    return tallies


def _write(state: Path, seed: int, tallies: dict[str, Tally]) -> None:
    write_text(state, json.dumps({"seed": seed, "tallies": {name: asdict(tally) for name, tally in tallies.items()}}))


def _show(tallies: dict[str, Tally]) -> None:
    if sys.stderr.isatty():
        n_tried = sum(tally.n_tried for tally in tallies.values())
        n_bad = sum(len(tally.violations) for tally in tallies.values())
        print(f"\r{n_tried:,} trials, {n_bad} violations ", end="", file=sys.stderr, flush=True)


def print_table(tallies: dict[str, Tally]) -> None:
    """What was tried and what was lost."""
    print_machine()
    print(f"{'kind':<24}{'tried':>7}{'lost':>6}  outcomes")
    for name, tally in tallies.items():
        common = Counter(tally.outcomes).most_common()
        words = ", ".join(f"{outcome} {n}" for outcome, n in common)
        print(f"{name:<24}{tally.n_tried:>7,}{len(tally.violations):>6}  {words}")
        for violation in tally.violations[:5]:
            print(f"    {violation}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--count", type=int, default=USUAL_COUNT, help="trials of each kind")
    parser.add_argument("--minutes", type=float, default=60.0, help="stop after so long")
    parser.add_argument("--only", nargs="+", choices=TRIALS, default=list(TRIALS), metavar="KIND")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--state", type=Path, help="a file to go on from")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    tallies = campaign(
        arguments.only,
        seed=arguments.seed,
        count=arguments.count,
        minutes=arguments.minutes,
        state=arguments.state,
    )
    if arguments.json:
        main_json({name: asdict(tally) for name, tally in tallies.items()})
    else:
        print_table(tallies)
    return 1 if any(tally.violations for tally in tallies.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
