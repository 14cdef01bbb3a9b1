"""Statistics of timing samples: pure, deterministic functions that drop no sample.

Samples are seconds per call, one a round; every function refuses values that are not finite and positive with
ValueError, since such a value is a broken clock or a broken file and not a measurement.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from functools import lru_cache
from itertools import accumulate
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Samples = NDArray[np.float64]

# With fewer samples no interval is claimed.
MIN_SAMPLES = 3
# Nor where it would reach beyond the samples by more than so many times their range.
_FARTHEST = 2.0


class Interval(NamedTuple):
    """An estimate and its confidence limits; the limits are None where too few samples claim none."""

    low: float | None
    estimate: float
    high: float | None


class Outliers(NamedTuple):
    """Samples beyond Tukey's fences; `severe` ones lie beyond the outer fence and are not counted as `mild`."""

    severe_low: int
    mild_low: int
    mild_high: int
    severe_high: int


class Drift(NamedTuple):
    """A trend over the rounds: change from first to last round as a fraction of the median, and its z score."""

    change: float
    z: float


class Modes(NamedTuple):
    """The best split into two classes.

    `separation` is the share of the variance that it explains: 0.64 for a normal distribution, 0.75 for a uniform one,
    nearly 1 for two narrow modes. `apart` is the distance of the class means as a fraction of the median.
    """

    separation: float
    apart: float


def _checked(samples: ArrayLike) -> Samples:
    values = np.asarray(samples, dtype=np.float64)
    if values.ndim != 1 or values.size == 0:
        raise ValueError(f"samples must be a non-empty list of numbers; got shape {values.shape}")
    if not (np.isfinite(values).all() and (values > 0).all()):
        bad = values[~(np.isfinite(values) & (values > 0))][0]
        raise ValueError(f"samples must be finite and positive; got {bad}")
    return values


@lru_cache(maxsize=256)
def _ranks(n: int, tail: float) -> tuple[int, float, float]:
    """Return (rank, share, beyond): where, among n sorted samples, the lower limit of an interval lies.

    The median lies below it with probability `tail`. It is `share` of the way from the sample of that rank (from 0) to
    the next, and `beyond` times the range of all samples lower.
    """
    # The k-th smallest sample exceeds the median with probability P(Binomial(n, 1/2) < k), from whatever it is drawn.
    tails = [below / 2**n for below in accumulate(math.comb(n, k) for k in range((n + 1) // 2))]
    k = bisect_right(tails, tail)
    if k == 0:
        return 0, 0.0, (tails[0] / tail) ** (1 / (n - 1)) - 1
    if k == len(tails):
        return k - 1, 0.0, 0.0
    part = (tail - tails[k - 1]) / (tails[k] - tails[k - 1])
    return k - 1, (n - k) * part / (k + (n - 2 * k) * part), 0.0


def median(samples: ArrayLike) -> float:
    """Return the median of samples [n]."""
    return float(np.median(_checked(samples)))


def median_interval(samples: ArrayLike, confidence: float = 0.95) -> Interval:
    """Return the median of samples [n] with an interval that assumes no distribution.

    Its limits are interpolated order statistics (Hettmansperger & Sheather, Statistics & Probability Letters 4, 1986).
    Where even the extreme samples claim less than `confidence`, it reaches beyond them, in logarithms, by as much as is
    exact for uniform samples, the worst of those with one mode (Lanke, Scandinavian Journal of Statistics 1, 1974).
    The limits are None with fewer than `MIN_SAMPLES` samples, or with too few for so high a confidence. What is covered
    how often, and what no interval of one run can cover: docs/thresholds.md.

    Raises
    ------
    ValueError
        If there are no samples, one is not finite and positive, or `confidence` is not within (0, 1).
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie in (0, 1); got {confidence}")
    values = np.sort(_checked(samples))
    estimate = float(np.median(values))
    if values.size < MIN_SAMPLES:
        return Interval(None, estimate, None)
    rank, share, beyond = _ranks(values.size, (1 - confidence) / 2)
    if beyond > _FARTHEST:
        return Interval(None, estimate, None)
    low, high = (_between(end[rank], end[rank + 1], share) for end in (values, values[::-1]))
    if beyond:
        reach = (values[-1] / values[0]) ** beyond
        low, high = low / reach, high * reach
    return Interval(float(low), estimate, float(high))


def _between(first: float, second: float, share: float) -> float:
    """Interpolate; never beyond either by rounding."""
    return float(np.clip(first + share * (second - first), min(first, second), max(first, second)))


def ratio_interval(baseline: ArrayLike, samples: ArrayLike, confidence: float = 0.95) -> Interval:
    """Return the speed-up over the baseline: the median of per-round ratios baseline / samples, with its interval.

    Both are [n], in round order: what slowed a whole round down cancels in its ratio.

    Raises
    ------
    ValueError
        If the lengths differ, or for the same reasons as in `median_interval`.
    """
    numerator, denominator = _checked(baseline), _checked(samples)
    if numerator.size != denominator.size:
        raise ValueError(f"rounds do not pair up: {numerator.size} baseline samples, {denominator.size} samples")
    return median_interval(numerator / denominator, confidence)


def half_width(interval: Interval) -> float | None:
    """Return half the interval's width as a fraction of the estimate; None where no interval is claimed."""
    if interval.low is None or interval.high is None:
        return None
    return (interval.high - interval.low) / (2 * interval.estimate)


def is_precise(interval: Interval, target: float) -> bool:
    """Whether half the interval's width is within `target` times the estimate; never without an interval."""
    width = half_width(interval)
    return width is not None and width <= target


def geomean(values: ArrayLike) -> float:
    """Return the geometric mean of positive values [n].

    The only mean of ratios that does not depend on which machine or kernel they were normalised to: Fleming & Wallace,
    How not to lie with statistics, Communications of the ACM 29(3), 1986.
    """
    return float(np.exp(np.log(_checked(values)).mean()))


def outliers(samples: ArrayLike) -> Outliers:
    """Count samples [n] beyond Tukey's inner (1.5 IQR) and outer (3 IQR) fences.

    Source: Tukey, Exploratory Data Analysis (1977), chapter 2; quartiles by linear interpolation.
    """
    values = _checked(samples)
    first, third = np.quantile(values, [0.25, 0.75])
    spread = third - first
    severe_low = int(np.count_nonzero(values < first - 3 * spread))
    severe_high = int(np.count_nonzero(values > third + 3 * spread))
    return Outliers(
        severe_low,
        int(np.count_nonzero(values < first - 1.5 * spread)) - severe_low,
        int(np.count_nonzero(values > third + 1.5 * spread)) - severe_high,
        severe_high,
    )


def drift(samples: ArrayLike) -> Drift:
    """Return the trend of samples [n] over the rounds.

    The slope is Theil and Sen's median of pairwise slopes (Sen, JASA 63, 1968), z is the Mann-Kendall score with
    continuity correction (Mann, Econometrica 13, 1945), standard normal where there is no trend.
    """
    values = _checked(samples)
    n = values.size
    if n < MIN_SAMPLES:
        return Drift(0.0, 0.0)
    earlier, later = np.triu_indices(n, k=1)
    rises = values[later] - values[earlier]
    change = float(np.median(rises / (later - earlier))) * (n - 1) / float(np.median(values))
    score = float(np.sign(rises).sum())
    z = (score - np.sign(score)) / np.sqrt(n * (n - 1) * (2 * n + 5) / 18)
    return Drift(change, float(z))


def modes(samples: ArrayLike, smallest: float = 0.2) -> Modes:
    """Split samples [n] into the two classes that explain most of their variance.

    Each class holds at least the fraction `smallest` of the samples, so that a few outliers make no class. Source: the
    criterion eta of Otsu, A threshold selection method from gray-level histograms, IEEE Trans. SMC 9(1), 1979.
    """
    values = np.sort(_checked(samples))
    n = values.size
    least = max(1, int(np.ceil(smallest * n)))
    total = float(np.var(values)) * n
    if n < 2 * least or total == 0.0:
        return Modes(0.0, 0.0)
    left = np.arange(least, n - least + 1)
    sums = np.cumsum(values - values.mean())[left - 1]
    # The values are centred, so the class sums are s and -s: between-class variance s^2 (1/n1 + 1/n2), and the
    # means lie |s| (1/n1 + 1/n2) apart.
    weights = 1 / left + 1 / (n - left)
    best = int((sums**2 * weights).argmax())
    explained = float(sums[best] ** 2 * weights[best]) / total
    return Modes(min(1.0, explained), float(abs(sums[best]) * weights[best] / np.median(values)))


# What differs by less than the precision that rounds aim at is not worth a remark.
_WORTH_SAYING = 0.02
# Two-sided 1 in 1000 by chance.
_DRIFT_Z = 3.29
# In simulation fewer than 1 in 50 normal, uniform or exponential samples of this size pass this threshold.
_MODES_FROM = 15
_MODES_SEPARATION = 0.9


def remarks(samples: ArrayLike) -> tuple[str, ...]:
    """Say what is unusual about samples [n]: any of "outliers" (severe ones), "drift", "bimodal".

    Labels only: no sample is ever dropped, and none of these changes an estimate.
    """
    values = _checked(samples)
    found = []
    beyond = outliers(values)
    if beyond.severe_low + beyond.severe_high:
        found.append("outliers")
    trend = drift(values)
    if abs(trend.z) > _DRIFT_Z and abs(trend.change) > _WORTH_SAYING:
        found.append("drift")
    split = modes(values)
    if values.size >= _MODES_FROM and split.separation > _MODES_SEPARATION and split.apart > _WORTH_SAYING:
        found.append("bimodal")
    return tuple(found)
