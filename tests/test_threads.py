"""The thread tuner on simulated machines: never far from the best fixed number, which is found by trying all."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import psutil
import pytest

from edgeai.backends.threads import CpuTimes, ThreadTuner, cpu_times

Load = Callable[[float], int]

# tokens/s for each number of threads on an idle machine: measured ones (two cores), then usual shapes
TWO_CORES = (124.0, 148.0)
TWO_SLOW_CORES = (50.0, 75.0)
FOUR_CORES = tuple(60 * gain for gain in (1, 1.75, 2.3, 2.7))
EIGHT_CORES = tuple(30 * gain for gain in (1, 1.9, 2.7, 3.4, 4, 4.5, 4.9, 5.2))
SLOW_MEMORY = tuple(60 * gain for gain in (1, 1.8, 2.4, 2.7, 2.6, 2.4, 2.2, 2.0))

MILD, TERRIBLE = 2.5, 100.0  # how many times its usual time a token waits, in the mean, for a thread without a core


class Machine:
    """Cores, neighbours that compute, and clocks that only this simulation moves."""

    def __init__(
        self,
        rates: Sequence[float],
        *,
        load: Load = lambda wall: 0,
        stall: float = MILD,
        noise: float = 0.05,
        growth: float = 0.0,
        seed: int = 0,
        idle_clock: bool = True,
    ) -> None:
        self._rates, self._load, self._stall, self._noise = rates, load, stall, noise
        self._random = random.Random(seed)
        self._growth, self._n_tokens = growth, 0
        self._idle_clock = idle_clock
        self.n_cores = len(rates)
        self.wall = self._process = self._idle = 0.0

    def clocks(self) -> CpuTimes:
        ticks = int(self._idle * 100) / 100  # as Linux counts: hundredths of a second
        return CpuTimes(self.wall, self._process, ticks if self._idle_clock else None)

    def token(self, n_threads: int) -> float:
        """Compute one token; spinning threads wait for each other when neighbours take their cores."""
        load = self._load(self.wall)
        seconds = (1 if load == 0 else 1.3) / self._rates[n_threads - 1]  # 124 tokens/s become 95 beside a neighbour
        seconds *= 1 + self._growth * self._n_tokens
        self._n_tokens += 1
        n_too_many = n_threads + load - self.n_cores
        if n_too_many > 0 and n_threads == 1:
            seconds *= (1 + load) / self.n_cores
        elif n_too_many > 0:
            seconds *= 1.3 + self._random.expovariate(1) * self._stall * n_too_many
        return self._pass(seconds * (1 + abs(self._random.gauss(0, self._noise))), n_threads)

    def piece(self, n_threads: int, n_tokens: int) -> float:
        crowded = n_threads + self._load(self.wall) > self.n_cores
        return self._pass(n_tokens / (420 if crowded else 450 * n_threads), n_threads)

    def rest(self, seconds: float) -> None:
        self._pass(seconds, 0)

    def _pass(self, seconds: float, n_threads: int) -> float:
        n_running = n_threads + self._load(self.wall)
        self.wall += seconds
        self._process += seconds * n_threads * min(1.0, self.n_cores / max(1, n_running))
        self._idle += seconds * max(0, self.n_cores - n_running)
        return seconds


def answer(machine: Machine, tuner: ThreadTuner, n_tokens: int) -> float:
    """Seconds for the tokens of one answer to a prompt of 64 tokens."""
    tuner.resume()
    tuner.record(64, machine.piece(tuner.n_threads_batch, 64))
    total = 0.0
    for _ in range(n_tokens):
        seconds = machine.token(tuner.n_threads)
        tuner.record(1, seconds)
        total += seconds
    return total


def fixed_answer(machine: Machine, n_threads: int, n_tokens: int) -> float:
    machine.rest(1)
    machine.piece(n_threads, 64)
    return sum(machine.token(n_threads) for _ in range(n_tokens))


def ratio_to_best_fixed(n_tokens: int, make: Callable[[int], Machine], seeds: Sequence[int] = range(8)) -> float:
    """The tuner's rate, divided by that of the number that would have been best."""
    n_cores = make(0).n_cores
    best = min(sum(fixed_answer(make(seed), n, n_tokens) for seed in seeds) for n in range(1, n_cores + 1))
    tuned = 0.0
    for seed in seeds:
        machine = make(seed)
        tuner = ThreadTuner(n_cores, machine.clocks)
        machine.rest(1)
        tuned += answer(machine, tuner, n_tokens)
    return best / tuned


def busy(n_neighbours: int) -> Load:
    return lambda wall: n_neighbours


def between(start: float, end: float) -> Load:
    return lambda wall: int(start <= wall < end)


def on_and_off(period: float) -> Load:
    return lambda wall: int(wall % (2 * period) < period)


@pytest.mark.parametrize("n_tokens", [64, 256, 1000])
@pytest.mark.parametrize("rates", [TWO_CORES, TWO_SLOW_CORES, FOUR_CORES, EIGHT_CORES, SLOW_MEMORY])
def test_idle_machine(rates: Sequence[float], n_tokens: int) -> None:
    assert ratio_to_best_fixed(n_tokens, lambda seed: Machine(rates, seed=seed)) >= 0.9


@pytest.mark.parametrize("n_tokens", [64, 256, 1000])
@pytest.mark.parametrize("stall", [MILD, TERRIBLE])
@pytest.mark.parametrize("n_neighbours", [1, 2, 4])
@pytest.mark.parametrize("rates", [TWO_CORES, TWO_SLOW_CORES, FOUR_CORES, EIGHT_CORES])
def test_busy_neighbours(rates: Sequence[float], n_neighbours: int, stall: float, n_tokens: int) -> None:
    load = busy(n_neighbours)
    assert ratio_to_best_fixed(n_tokens, lambda seed: Machine(rates, load=load, stall=stall, seed=seed)) >= 0.9


@pytest.mark.parametrize("load", [between(1.5, 3), between(0, 1.5), on_and_off(2)], ids=["comes", "leaves", "both"])
@pytest.mark.parametrize("rates", [TWO_CORES, TWO_SLOW_CORES, FOUR_CORES, EIGHT_CORES])
def test_neighbour_comes_and_goes(rates: Sequence[float], load: Load) -> None:
    for n_tokens in (256, 1000):
        assert ratio_to_best_fixed(n_tokens, lambda seed: Machine(rates, load=load, stall=10, seed=seed)) >= 0.9


def test_neighbour_that_comes_again_and_again_is_left_its_core() -> None:
    for period in (0.05, 0.2, 0.5):
        load = on_and_off(period)
        assert ratio_to_best_fixed(1000, lambda seed: Machine(TWO_CORES, load=load, stall=10, seed=seed)) >= 0.9  # noqa: B023


def test_noise_does_not_mislead() -> None:
    assert ratio_to_best_fixed(1000, lambda seed: Machine(TWO_CORES, noise=0.3, seed=seed)) >= 0.9


def test_growing_context_does_not_mislead() -> None:
    assert ratio_to_best_fixed(1000, lambda seed: Machine(TWO_CORES, growth=0.002, seed=seed)) >= 0.9


def test_without_idle_clock() -> None:
    for load in (busy(0), busy(1)):
        for n_tokens in (64, 256, 1000):
            ratio = ratio_to_best_fixed(
                n_tokens,
                lambda seed: Machine(TWO_CORES, load=load, seed=seed, idle_clock=False),  # noqa: B023
            )
            assert ratio >= 0.9


def test_without_idle_clock_climbs_back_after_a_while() -> None:
    machine = Machine(FOUR_CORES, load=between(0, 1), idle_clock=False)
    tuner = ThreadTuner(4, machine.clocks)
    answer(machine, tuner, 200)
    assert tuner.n_threads < 4
    answer(machine, tuner, 4000)
    assert tuner.n_threads_batch == 4


def test_pause_tells_what_the_prompt_may_use() -> None:
    machine = Machine(FOUR_CORES, load=lambda wall: 2 if wall < 10 else 0)
    tuner = ThreadTuner(4, machine.clocks)
    assert (tuner.n_threads, tuner.n_threads_batch) == (4, 4)
    machine.rest(10)
    tuner.resume()
    assert (tuner.n_threads, tuner.n_threads_batch) == (2, 2)
    machine.rest(10)
    tuner.resume()
    assert tuner.n_threads_batch == 4


def test_what_the_caller_did_in_the_pause_takes_no_core() -> None:
    machine = Machine(FOUR_CORES, load=lambda wall: 2 if wall < 20 else 0)
    tuner = ThreadTuner(4, machine.clocks)
    machine.rest(10)
    tuner.resume(20.0)  # the two cores were the caller's
    assert tuner.n_threads_batch == 4
    machine.rest(10)
    tuner.resume(21.0)  # now they were somebody else's
    assert tuner.n_threads_batch == 2


def test_what_one_answer_taught_serves_the_next() -> None:
    machine = Machine(SLOW_MEMORY)
    tuner = ThreadTuner(8, machine.clocks)
    answer(machine, tuner, 256)
    machine.rest(5)
    assert answer(machine, tuner, 64) <= fixed_answer(Machine(SLOW_MEMORY), 4, 64) / 0.9
    assert tuner.n_threads_batch == 8


def test_one_core_is_one_thread() -> None:
    machine = Machine((50.0,), load=busy(1))
    tuner = ThreadTuner(1, machine.clocks)
    answer(machine, tuner, 200)
    assert (tuner.n_threads, tuner.n_threads_batch) == (1, 1)


def test_clocks_of_this_machine() -> None:
    before = cpu_times()
    while cpu_times().process < before.process + 0.05:
        pass
    after = cpu_times()
    assert after.wall - before.wall >= 0.04
    assert before.idle is not None
    assert after.idle is not None
    assert (
        before.idle
        <= after.idle
        <= before.idle + (after.wall - before.wall + 0.05) * len(psutil.cpu_times(percpu=True))
    )


def test_hidden_clocks_are_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(percpu: bool) -> None:
        raise PermissionError(13, "Permission denied: '/proc/stat'")

    monkeypatch.setattr(psutil, "cpu_times", refuse)
    times = cpu_times()
    assert times.idle is None
    assert times.wall > 0
