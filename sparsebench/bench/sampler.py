"""Rounds: each times every contender once, in shuffled order, until the intervals are narrow or time is up."""

from __future__ import annotations

import gc
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import monotonic, perf_counter, process_time
from typing import TYPE_CHECKING, Literal, Protocol

from sparsebench.bench.remote import RemotePlan, RemoteTimer
from sparsebench.bench.stats import is_precise, median_interval
from sparsebench.kernel import Plan, PythonPlan

if TYPE_CHECKING:
    from sparsebench.problem import Problem


# In `quickest`: a plan is out of the race that takes so many times the least; and seconds after which two rounds do.
_FAR_BEHIND = 1.5
_LONG_S = 0.25


class Clocked(Protocol):
    """Something whose calls can be timed in a batch."""

    def seconds(self, calls: int, warm_up: int = 0) -> float:
        """Seconds that `calls` calls take together, after `warm_up` calls that are not counted."""


class PythonTimer:
    """Times plans that only Python can call; the interpreter's cost of a call is in the result."""

    def __init__(self, calls: Sequence[Callable[[], None]]) -> None:
        self._calls = calls
        self._turn = 0

    def _run(self, calls: int) -> float:
        functions, turn, copies = self._calls, self._turn, len(self._calls)
        start = perf_counter()
        for _ in range(calls):
            functions[turn]()
            turn += 1
            if turn == copies:
                turn = 0
        elapsed = perf_counter() - start
        self._turn = turn
        return elapsed

    def seconds(self, calls: int, warm_up: int = 0) -> float:
        """Seconds that `calls` calls take together, after `warm_up` calls that are not counted."""
        if warm_up:
            self._run(warm_up)
        return self._run(calls)


def timer_for(plans: Sequence[Plan]) -> Clocked:
    """Return the native timer for plans with an entry, else Python's; several plans are called in turn.

    Plans that live in another process are timed there.
    """
    first = plans[0]
    if isinstance(first, RemotePlan):
        return RemoteTimer([plan for plan in plans if isinstance(plan, RemotePlan)])
    if first.entry:
        from sparsebench._kernels._timer import Timer

        timer: Clocked = Timer(first.entry, [plan.context for plan in plans])
        return timer
    return PythonTimer([plan.call for plan in plans])


def python_call_seconds(calls: int = 100_000) -> float:
    """Seconds per call that timing through Python adds, measured on a plan that computes nothing."""
    import numpy as np

    array = np.zeros((1, 1), np.float32)
    plan = PythonPlan(lambda x, out: out, 0)
    plan.bind(array, array)
    timer = PythonTimer([plan.call])
    return min(timer.seconds(calls, calls // 10) for _ in range(5)) / calls


@dataclass(frozen=True, slots=True)
class Effort:
    """How much measuring one problem is worth.

    Attributes
    ----------
    sample_s
        A sample lasts at least so many seconds (but is at least one call).
    min_rounds, max_rounds
        Bounds of the number of rounds; the minimum is kept also when time is up.
    seconds
        Time for the rounds of one problem.
    settle_s
        Calls that are not counted go before each sample for so long, so that threads which the kernel before it left
        spinning (see `pool.SPIN`) have gone to sleep, and its own are awake.
    precision
        Rounds end early when every contender's 95 % interval is within this fraction of its median.
    """

    sample_s: float = 2e-3
    min_rounds: int = 11
    max_rounds: int = 41
    seconds: float = 1.5
    settle_s: float = 1e-3
    precision: float = 0.02


@dataclass(slots=True)
class Contender:
    """One kernel in the rounds; `samples_s` are seconds per call.

    `cpu_s` and `elapsed_s` are those of its samples together, with the calls before them that are not counted; `clock`
    tells the CPU seconds of all processes that measure.
    """

    name: str
    timer: Clocked
    clock: Callable[[], float] = process_time
    inner: int = 1
    warm_up: int = 1
    samples_s: list[float] = field(default_factory=list)
    cpu_s: float = 0.0
    elapsed_s: float = 0.0

    def sample(self) -> None:
        """Take a sample.

        Raises
        ------
        ValueError
            If the clock says that it took no time.
        """
        cpu, start = self.clock(), perf_counter()
        seconds = self.timer.seconds(self.inner, self.warm_up)
        self.cpu_s += self.clock() - cpu
        self.elapsed_s += perf_counter() - start
        if not (math.isfinite(seconds) and seconds > 0):
            raise ValueError(f"{self.name}: {self.inner} calls took {seconds} s: that is no time, the clock is broken")
        self.samples_s.append(seconds / self.inner)


def calibrate(timer: Clocked, sample_s: float) -> int:
    """Return how many calls make a sample of at least `sample_s`, warming up on the way."""
    calls = 1
    while True:
        elapsed = timer.seconds(calls)
        if sample_s <= elapsed < 1.0:
            # Once may have been long because something else ran meanwhile; hardly for a second.
            elapsed = min(elapsed, timer.seconds(calls))
        if elapsed >= sample_s or calls >= 1 << 30:
            return calls
        # Aim a little beyond, but never trust one short sample for more than a factor of ten.
        calls = min(calls * 10, max(calls + 1, math.ceil(1.2 * calls * sample_s / max(elapsed, 1e-9))))


def quickest(plans: Sequence[Plan]) -> int:
    """Return which of several plans takes least time on the arrays that it is bound to.

    They are timed in turn, five times; those that are far behind after two rounds only so often, and all of them where
    rounds are long: what disturbs a millisecond is nothing to a tenth of a second.
    """
    timers = [timer_for([plan]) for plan in plans]
    calls = [calibrate(timer, 1e-3) for timer in timers]
    least = [math.inf] * len(plans)
    start = monotonic()
    for done in range(5):
        limit = _FAR_BEHIND * min(least) if done >= 2 else math.inf
        for index, (timer, count) in enumerate(zip(timers, calls, strict=True)):
            if least[index] <= limit:
                least[index] = min(least[index], timer.seconds(count) / count)
        if done and monotonic() - start > _LONG_S:
            break
    return least.index(min(least))


def fastest(plans: Sequence[Plan], problem: Problem) -> int:
    """Return which of several plans of one problem takes least time on a random X, each in its own layout.

    Each is bound to arrays of this function's own; bind again afterwards.
    """
    import numpy as np

    from sparsebench.layouts import arrange
    from sparsebench.memory import aligned_copy, aligned_empty

    x = aligned_copy(np.random.default_rng(0).standard_normal(problem.x_shape, dtype=np.float32))
    for plan in plans:
        plan.run(arrange(x, plan.layout), aligned_empty(problem.y_shape_in(plan.layout)))
    return quickest(plans)


def measure(
    contenders: list[Contender],
    effort: Effort,
    rng: random.Random,
    before: Callable[[str], None] = lambda name: None,
) -> Literal["precise", "budget", "rounds"]:
    """Fill in the contenders' samples; `before` is told whose sample comes next, outside of the timed region.

    Returns
    -------
    str
        "precise" if the intervals are narrow enough, "budget" if time was up, "rounds" if the most rounds were made.
    """
    deadline = monotonic() + effort.seconds
    for contender in contenders:
        before(contender.name)
        contender.inner = calibrate(contender.timer, effort.sample_s)
        # One call at least: it brings back what the kernels before it have evicted.
        contender.warm_up = math.ceil(contender.inner * min(1.0, effort.settle_s / effort.sample_s))
    order = list(contenders)
    collecting = gc.isenabled()
    gc.disable()
    try:
        for done in range(1, effort.max_rounds + 1):
            rng.shuffle(order)
            for contender in order:
                before(contender.name)
                contender.sample()
            if done < effort.min_rounds:
                continue
            if done % 4 == 3 and all(is_precise(median_interval(c.samples_s), effort.precision) for c in contenders):
                return "precise"
            if monotonic() > deadline:
                return "budget"
        return "rounds"
    finally:
        if collecting:
            gc.enable()
