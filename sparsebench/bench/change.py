"""Statistics of a change between two runs: pure functions of per-round values that were taken at different times."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import NamedTuple

from numpy.typing import ArrayLike
from scipy import optimize, special
from scipy import stats as distributions

from sparsebench.bench.stats import Interval, median_interval

_Z = 1.959964
# Variance of log variances, beyond chance, below which all cases are taken to scatter alike.
_ALIKE = 1e-3
# One-sided 95 %, in standard errors.
_SURE = 1.645


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


class Scatter(NamedTuple):
    """Standard deviation, from process to process, of the logarithm of a case's median; and how well it is known."""

    sd: float
    freedom: float


def scatter(values: Sequence[Sequence[float]]) -> list[Scatter]:
    """Return how much each of m cases scatters over runs of one program, from its values [m][runs], of two at least.

    The variance of few values is itself uncertain, so what all cases tell is used for each: Smyth's moderated variance
    (Statistical Applications in Genetics and Molecular Biology 3(1), 2004, sections 3 and 6.2). It takes the true
    variances for a sample of a scaled inverse chi-squared law, fits that law, and gives each case its posterior mean
    of the precision, with so many more degrees of freedom. A single case is what its own values say.
    """
    freedom = len(values[0]) - 1
    # Equal values to the last digit are a clock's resolution, not certainty.
    own = [max(statistics.variance([math.log(value) for value in case]), 1e-12) for case in values]
    if len(own) == 1:
        return [Scatter(math.sqrt(own[0]), freedom)]
    logs = [math.log(variance) - special.digamma(freedom / 2) + math.log(freedom / 2) for variance in own]
    # The upper end of what the variances may differ by: taking cases for more alike than they are raises false alarms.
    spread = statistics.variance(logs) * (1 + _SURE * math.sqrt(2 / (len(logs) - 1)))
    beyond = spread - float(special.polygamma(1, freedom / 2))
    if beyond <= _ALIKE:
        common = math.fsum(own) / len(own)
        return [Scatter(math.sqrt(common), len(own) * freedom)] * len(own)
    prior = 2 * optimize.brentq(lambda half: float(special.polygamma(1, half)) - beyond, 1e-3, 2 / _ALIKE)
    common = math.exp(statistics.fmean(logs) + float(special.digamma(prior / 2)) - math.log(prior / 2))
    total = prior + freedom
    return [Scatter(math.sqrt((prior * common + freedom * variance) / total), total) for variance in own]


def largest_difference(noise: Scatter, cases: int, doubt: float = 0.05) -> float:
    """Return the logarithm of the factor that two runs of one program differ by in none of so many cases.

    So it is with a probability of 1 - `doubt`, if logarithms are normally distributed: the difference of two further
    runs, over sqrt(2) sd, has Student's law, of which Bonferroni's share is left in each tail. It is the
    reproducibility limit of ISO 5725-6 for an sd that is estimated and for many cases at once.
    """
    return math.sqrt(2) * noise.sd * float(distributions.t.ppf(1 - doubt / (2 * cases), noise.freedom))


def widened(interval: Interval, noise: Scatter, confidence: float, runs: int = 1) -> Interval:
    """Return an interval that also holds what other processes would measure.

    Its limits are at least as far from the estimate as the mean of so many runs lies from that of many.
    """
    if interval.low is None or interval.high is None:
        return interval
    by = math.exp(noise.sd / math.sqrt(runs) * float(distributions.t.ppf((1 + confidence) / 2, noise.freedom)))
    estimate = interval.estimate
    return Interval(min(interval.low, estimate / by), estimate, max(interval.high, estimate * by))
