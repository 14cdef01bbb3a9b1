"""Accuracies and differences of accuracies with their intervals: pure functions of which samples were right.

Two things make an accuracy uncertain, and each has an interval. Another seed or speaker would have given another one:
Student's, over folds, seeds of a fold averaged first; of the official split over seeds. So would another test set:
normal, over its samples, each averaged over seeds, with a few imagined ones so that it does not vanish where all were
right or no two networks differ: of shares those of Agresti and Coull 1998, of differences those of Agresti and Min
2005. What is returned is the wider of the two. A difference is made sample by sample, of the same fold and seed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

# The largest loss that counts as none: a percent point.
MARGIN = 0.01
# Two right and two wrong; half a sample that one alone had right, half of the other, and one without a difference.
_SHARES = np.array([0.0, 0.0, 1.0, 1.0]), np.ones(4)
_DIFFERENCES = np.array([-1.0, 0.0, 1.0]), np.array([0.5, 1.0, 0.5])
_CONFIDENCE = 0.95
Verdict = Literal["better", "worse", "not worse", "undecided"]

# Of each sample that judged, by (fold, seed): 1 and 0 for right and wrong, or a difference of two of these.
Hits = Mapping[tuple[str, int], NDArray[np.float64]]
# Values and how much each counts.
_Weighted = tuple[NDArray[np.float64], NDArray[np.float64]]


class Estimate(NamedTuple):
    """A mean, half of its 95 % interval, and over how many folds or seeds it is."""

    mean: float
    half: float
    units: int

    @property
    def low(self) -> float:
        """Lower end of the interval."""
        return self.mean - self.half

    @property
    def high(self) -> float:
        """Upper end of the interval."""
        return self.mean + self.half


def estimate(hits: Hits) -> Estimate:
    """Return the mean over folds, of at least one sample; of one fold and seed, the interval is that over samples."""
    return _estimate(hits, _SHARES)


def _estimate(hits: Hits, imagined: _Weighted) -> Estimate:
    folds: dict[str, list[NDArray[np.float64]]] = {}
    for (fold, _), values in hits.items():
        folds.setdefault(fold, []).append(values)
    samples = [np.mean(parts, axis=0) for parts in folds.values()]
    (only, *others) = folds.values()
    units = [float(values.mean()) for values in (samples if others else only)]
    # Each fold counts alike, however many samples it has.
    variance = sum(_variance_of_mean(values, imagined) for values in samples) / len(samples) ** 2
    half = float(ndtri(0.5 + _CONFIDENCE / 2)) * math.sqrt(variance)
    if len(units) > 1:
        quantile = float(stdtrit(len(units) - 1, 0.5 + _CONFIDENCE / 2))
        half = max(half, quantile * float(np.std(units, ddof=1)) / math.sqrt(len(units)))
    return Estimate(float(np.mean(units)), half, len(units))


def difference(hits: Hits, others: Hits) -> Estimate | None:
    """Return the mean of hits less others over the folds and seeds that both have; None where they have none."""
    common = {unit: values - others[unit] for unit, values in hits.items() if unit in others}
    return _estimate(common, _DIFFERENCES) if common else None


def _variance_of_mean(values: NDArray[np.float64], imagined: _Weighted) -> float:
    extra, weights = imagined
    values, weights = np.append(values, extra), np.append(np.ones(len(values)), weights)
    mean = np.average(values, weights=weights)
    return float(np.average((values - mean) ** 2, weights=weights) / weights.sum())


def verdict(found: Estimate, margin: float = MARGIN) -> Verdict:
    """Say what a difference of accuracies shows.

    "better" and "worse" where the interval leaves 0 out. Otherwise "not worse" where all of it lies above a loss of
    `margin`, and "undecided" where it does not.
    """
    if found.low > 0:
        return "better"
    if found.high < 0:
        return "worse"
    return "not worse" if found.low >= -margin else "undecided"
