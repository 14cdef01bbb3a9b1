"""What a whole model gains when some of its layers become faster: Amdahl's law on times that have intervals.

A time or a ratio is float64 [1 + RESAMPLES]: the estimate, then what it is under a bootstrap of the rounds. Sums and
ratios of several so carry along how sure they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sparsebench.bench.stats import MIN_SAMPLES, Interval

# They leave the Monte Carlo error of a 2.5 % quantile at 0.35 points.
RESAMPLES = 2000
_LIMITS = (0.025, 0.975)
Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Layers of one shape.

    Attributes
    ----------
    uses
        How many layers of the model they are.
    dense_s
        Seconds of one of them, dense.
    speedup
        How many times as fast it is pruned; None where it stays dense.
    """

    uses: int
    dense_s: Values
    speedup: Values | None

    @property
    def before_s(self) -> Values:
        """Seconds of all these layers, dense."""
        return self.uses * self.dense_s

    @property
    def after_s(self) -> Values:
        """Seconds of all these layers as they will be."""
        return self.before_s if self.speedup is None else self.before_s / self.speedup


@dataclass(frozen=True, slots=True)
class Gain:
    """What becomes of a model.

    Attributes
    ----------
    before_s, after_s
        Seconds of the layers that were measured.
    layers
        Their speed-up together.
    model_s
        Seconds of the whole model afterwards: the layers, and all the rest as it was. None where the rest is not known.
    amdahl
        (before + rest) / (after + rest); None where the rest is not known.
    over_engine
        Seconds that the engine takes for the dense model / `model_s`; None where it was not measured.
    """

    before_s: Interval
    after_s: Interval
    layers: Interval
    model_s: Interval | None = None
    amdahl: Interval | None = None
    over_engine: Interval | None = None


def median_of(samples: ArrayLike, rng: np.random.Generator) -> Values:
    """Return the median of samples [n], and that of resamples; the latter NaN where so few samples claim nothing."""
    values = np.asarray(samples, dtype=np.float64)
    found = np.full(1 + RESAMPLES, np.nan)
    found[0] = np.median(values)
    if values.size >= MIN_SAMPLES:
        drawn = rng.integers(0, values.size, size=(RESAMPLES, values.size))
        found[1:] = np.median(values[drawn], axis=1)
    return found


def ratio_of(baseline: ArrayLike, samples: ArrayLike, rng: np.random.Generator) -> Values:
    """Return the median of per-round ratios baseline / samples, both [n] in round order, as `median_of`."""
    return median_of(np.asarray(baseline, dtype=np.float64) / np.asarray(samples, dtype=np.float64), rng)


def middle(values: Sequence[Values]) -> Values:
    """Return the median of what was measured several times, resample by resample."""
    middled: Values = np.median(np.stack(values), axis=0)
    return middled


def interval(values: Values) -> Interval:
    """Return the estimate with its 95 % percentile interval; limits are None where too few samples claim none."""
    if not np.isfinite(values).all():
        return Interval(None, float(values[0]), None)
    low, high = np.quantile(values[1:], _LIMITS)
    return Interval(float(low), float(values[0]), float(high))


def gain(parts: Sequence[Part], rest_s: Values | None = None, engine_s: Values | None = None) -> Gain:
    """Return what a model gains whose layers are `parts`.

    Parameters
    ----------
    rest_s
        Seconds of all that was not measured, which stay as they are; None where they are not known.
    engine_s
        Seconds of the whole dense model in an engine.

    Source: Amdahl, Validity of the single processor approach, AFIPS Spring Joint Computer Conference, 1967.
    """
    before = np.sum([part.before_s for part in parts], axis=0)
    after = np.sum([part.after_s for part in parts], axis=0)
    layers = interval(before / after)
    if rest_s is None:
        return Gain(interval(before), interval(after), layers)
    model = after + rest_s
    return Gain(
        interval(before),
        interval(after),
        layers,
        interval(model),
        interval((before + rest_s) / model),
        None if engine_s is None else interval(engine_s / model),
    )
