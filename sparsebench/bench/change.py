"""Statistics of a change between two runs: pure functions of per-round values that were taken at different times."""

from __future__ import annotations

import math
from collections.abc import Sequence

from numpy.typing import ArrayLike
from scipy import stats as distributions

from sparsebench.bench.stats import Interval, median_interval

_Z = 1.959964


def shift(base: ArrayLike, head: ArrayLike) -> Interval:
    """Return by what factor the median of `head` [n] differs from that of `base` [m], with its 95 % interval.

    The rounds of two runs do not pair up, so each median has an interval of its own; the two are joined by Zou and
    Donner's method of variance estimates recovery (Statistics in Medicine 27, 2008), on logarithms. In simulation it
    holds the truth 99 times in 100. Without an interval of both the limits are None.
    """
    before, after = median_interval(base), median_interval(head)
    estimate = after.estimate / before.estimate
    if before.low is None or before.high is None or after.low is None or after.high is None:
        return Interval(None, estimate, None)
    up = math.hypot(math.log(after.high / after.estimate), math.log(before.estimate / before.low))
    down = math.hypot(math.log(after.estimate / after.low), math.log(before.high / before.estimate))
    return Interval(estimate * math.exp(-down), estimate, estimate * math.exp(up))


def p_beyond(change: Interval, limit: float) -> float:
    """Return the one-sided p value of "the factor is at most `limit`", for the normal law that the interval implies."""
    if change.low is None or change.high is None:
        return 1.0
    error = max(math.log(change.high / change.low) / (2 * _Z), 1e-12)
    return float(distributions.norm.sf(math.log(change.estimate / limit) / error))


def over_cases(changes: Sequence[float]) -> Interval:
    """Return the geometric mean of factors, with the 95 % interval of Student's t on their logarithms.

    What one process does to one case, such as where its arrays lie, is in the scatter of the cases, which the rounds
    within a case do not show. Fewer than five factors claim no interval.
    """
    logs = [math.log(change) for change in changes]
    mean = math.fsum(logs) / len(logs)
    if len(logs) < 5:
        return Interval(None, math.exp(mean), None)
    spread = math.sqrt(math.fsum((value - mean) ** 2 for value in logs) / (len(logs) - 1) / len(logs))
    half = float(distributions.t.ppf(0.975, len(logs) - 1)) * spread
    return Interval(math.exp(mean - half), math.exp(mean), math.exp(mean + half))


def discoveries(p_values: Sequence[float], rate: float = 0.05) -> list[bool]:
    """Return which hypotheses are rejected if at most `rate` of the rejections may be false.

    Source: Benjamini & Hochberg, Journal of the Royal Statistical Society B 57(1), 1995.
    """
    if not p_values:
        return []
    return [bool(q <= rate) for q in distributions.false_discovery_control(list(p_values))]
