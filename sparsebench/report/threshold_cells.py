"""One cell of a threshold: a case, the kernel that it is compared with, and what it was measured to be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

from sparsebench.bench.change import Scatter, widened
from sparsebench.bench.over_cases import CaseInterval
from sparsebench.bench.stats import Interval, median, median_interval, ratio_interval
from sparsebench.noise import Noise
from sparsebench.results import CaseResult

# Not timed in rounds: one value a run.
ONCE = frozenset({"prepare_s", "selection_s"})
_EXACT = ONCE | {"packed_bytes", "kept_l1", "kept_l2"}
_TIMES = frozenset({"median_s", "time_per_column_s"})


class Place(NamedTuple):
    """Where kernels are compared: one problem at one thread count and level."""

    suite: str
    problem: str
    threads: int
    level: str

    def __str__(self) -> str:
        return f"{self.problem}, {self.threads} thread{'s' if self.threads > 1 else ''}, {self.level}"


def place_of(result: CaseResult) -> Place:
    """Return where a case was measured."""
    return Place(result.suite, result.problem, result.threads, result.level)


@dataclass(frozen=True, slots=True)
class Cell:
    """One measured case.

    Attributes
    ----------
    rival
        The kernel that it is compared with; "" where with none.
    at
        Its interval at a confidence; with the noise of the case, where that is known.
    noisy
        Whether it is known.
    """

    place: Place
    kernel: str
    rival: str
    at: CaseInterval
    noisy: bool = False


def ratio_cell(
    ours: Sequence[CaseResult], rivals: Sequence[Sequence[CaseResult]], noise: Noise | None = None
) -> Cell | None:
    """Return the cell of the speed-up over the fastest of rivals, by its median; None without rounds in common.

    A case may have been measured several times. Its rounds are pooled, and each is paired with the rival's of the same
    group: no other was at the same time.
    """
    pairs = [pair for theirs in rivals if (pair := _pair(ours, theirs))]
    if not pairs:
        return None
    base, own, name = min(pairs, key=lambda pair: median(pair[0]))
    first = ours[0]
    scatter = noise.of(first, name) if noise else None
    at = _noisy(lambda confidence: ratio_interval(base, own, confidence), scatter, len(ours))
    return Cell(place_of(first), first.kernel, name, at, scatter is not None)


def _noisy(at: CaseInterval, scatter: Scatter | None, runs: int) -> CaseInterval:
    """Return the interval of a case of so many runs, widened by how much runs scatter."""
    return at if scatter is None else lambda confidence: widened(at(confidence), scatter, confidence, runs)


def _pair(ours: Sequence[CaseResult], theirs: Sequence[CaseResult]) -> tuple[list[float], list[float], str] | None:
    """Return the samples of both over the rounds that they share, and the rival's name."""
    groups = {case.group: case for case in theirs if case.group}
    shared = [(groups[case.group], case) for case in ours if case.group in groups and case.samples_s]
    if not shared:
        return None
    base, own = (list(chain.from_iterable(case.samples_s for case in side)) for side in zip(*shared, strict=True))
    return base, own, theirs[0].kernel


def metric_cell(cases: Sequence[CaseResult], metric: str, noise: Noise | None = None) -> Cell | None:
    """Return the cell of a column other than a speed-up, rounds pooled; None if the case has no such value.

    What is exact, or timed once a run, is its own interval.
    """
    values = [getattr(case, metric) for case in cases]
    if None in values:
        return None
    first = cases[0]
    samples = [sample for case in cases for sample in case.samples_s]

    def at(confidence: float) -> Interval:
        if metric in _EXACT:
            return Interval(median(values), median(values), median(values))
        low, time, high = median_interval(samples, confidence)
        scale = values[0] / first.median_s
        if metric in _TIMES:
            return Interval(low and scale * low, scale * time, high and scale * high)
        # A rate: it is the larger, the smaller the time.
        amount = values[0] * first.median_s
        return Interval(high and amount / high, amount / time, low and amount / low)

    scatter = noise.of(first, "") if noise and metric not in _EXACT else None
    return Cell(place_of(first), first.kernel, "", _noisy(at, scatter, len(cases)), scatter is not None)
