"""One number for many cases, with an interval: the geometric mean, and order statistics such as the worst.

The cases are the population: a suite's cells are all that a claim is about, so only what each was measured to be is
uncertain. Errors of different cases are not taken to be independent: one run has one placement of its memory, one
neighbour on the host, and moves many cells at once. Both intervals hold whatever the dependence.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal

from sparsebench.bench.stats import Interval, geomean

Statistic = Literal["geomean", "min", "median", "max"]
# The interval of one case at a confidence.
CaseInterval = Callable[[float], Interval]


def over_cases(cases: Sequence[CaseInterval], statistic: Statistic, confidence: float = 0.95) -> Interval:
    """Return a statistic over cases [m], at least one, with its interval; a limit that cannot be claimed is None.

    See `_geomean` and `_ranked` for the methods, docs/thresholds.md for how often they cover the truth.

    Raises
    ------
    ValueError
        If there are no cases.
    """
    if not cases:
        raise ValueError("a statistic needs at least one case")
    if statistic == "geomean":
        return _geomean([case(confidence) for case in cases])
    largest = len(cases) - 1
    first, last = {"min": (0, 0), "median": (largest // 2, (largest + 1) // 2), "max": (largest, largest)}[statistic]
    return _ranked(cases, first, last, confidence)


def _geomean(intervals: Sequence[Interval]) -> Interval:
    """Return the geometric mean of the estimates, from that of the lower to that of the upper limits.

    By Minkowski's inequality the standard deviation of a mean is at most the mean of the standard deviations, and equal
    to it where errors are perfectly correlated: so for normal errors, which those of medians are nearly, this covers at
    least as often as the cases' own intervals do, whatever the correlation.
    """

    def side(limits: Sequence[float | None]) -> float | None:
        claimed = [limit for limit in limits if limit is not None]
        return geomean(claimed) if len(claimed) == len(limits) else None

    estimate = geomean([interval.estimate for interval in intervals])
    return Interval(side([interval.low for interval in intervals]), estimate, side([i.high for i in intervals]))


def _ranked(cases: Sequence[CaseInterval], first: int, last: int, confidence: float) -> Interval:
    """Return the mean of the `first`-th and `last`-th smallest of the cases (from 0).

    If it lies below the interval, then the truth of one of the `last` + 1 smallest lies below its own; if above, one of
    the m - `first` largest above: each limit is that statistic of the cases' limits, at a confidence that Bonferroni
    corrects for so many. A claim that every cell is at least something needs no correction, as in an intersection-union
    test (Berger, Technometrics 24, 1982); that some cell is not, needs one for all.
    """
    doubt = 1 - confidence
    lows = [case(1 - doubt / (last + 1)).low or 0.0 for case in cases]
    highs = [case(1 - doubt / (len(cases) - first)).high or math.inf for case in cases]
    low, high = _mean(lows, first, last), _mean(highs, first, last)
    estimate = _mean([case(confidence).estimate for case in cases], first, last)
    return Interval(low or None, estimate, high if math.isfinite(high) else None)


def _mean(values: Sequence[float], first: int, last: int) -> float:
    ordered = sorted(values)
    return (ordered[first] + ordered[last]) / 2
