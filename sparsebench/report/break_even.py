"""Where sparse begins to pay: the density below which a sparse kernel is faster than the best dense one.

Between measured densities the logarithm of the speed-up is taken to be linear in that of the density: both times are
then power laws of it. An interval is that of the crossing under a bootstrap of the rounds, each density on its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sparsebench.bench.stats import MIN_SAMPLES, geomean
from sparsebench.errors import InputError
from sparsebench.report.cells import split
from sparsebench.report.frame import Record, variant_label
from sparsebench.report.kernel_kinds import in_float32, is_dense
from sparsebench.results import CaseResult

if TYPE_CHECKING:
    from sparsebench.report.loaded import Loaded

# 2000 resamples leave the Monte Carlo error of a 2.5 % quantile at 0.35 points.
_RESAMPLES = 2000
_LIMITS = (0.025, 0.975)
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Place:
    """A sparse kernel at one density.

    Attributes
    ----------
    speedup
        Time of the best dense kernel over this one's: the median of per-round ratios.
    dense
        Name of that dense kernel, the one with the least median.
    calls
        After how many calls preparing has paid: prepare time over the time saved by a call, nothing being counted for
        preparing the dense kernel. None where no time is saved.
    resampled
        Logarithms of `speedup` under the bootstrap, [2000]; empty where there are too few rounds.
    """

    density: float
    speedup: float
    dense: str
    calls: float | None
    resampled: Floats


@dataclass(frozen=True, slots=True)
class BreakEven:
    """What became of one sparse kernel for one shape, pattern, N and thread count.

    Attributes
    ----------
    record
        Its first case, for labels.
    places
        From the most to the least dense.
    density, low, high
        The density below which it is faster, at all that were measured, than the best dense kernel, with a 95 %
        interval. 0: not even at the least dense; infinity: already at the densest. Limits are None where there are too
        few rounds to claim them.
    """

    record: Record
    kernel: str
    places: tuple[Place, ...]
    density: float
    low: float | None
    high: float | None

    @property
    def verdict(self) -> str:
        """Return "crosses", "always faster" or "not reached"."""
        if self.density == 0:
            return "not reached"
        return "always faster" if math.isinf(self.density) else "crosses"


def find(loaded: Loaded) -> list[BreakEven]:
    """Return the break-even of every sparse kernel that was measured at several densities beside a dense one."""
    rng = np.random.default_rng(0)
    cases = [(r, c) for r, c in zip(loaded.records, loaded.results, strict=True) if c.status == "ok" and c.samples_s]
    settings: dict[tuple[object, ...], list[tuple[Record, CaseResult]]] = {}
    for record, case in cases:
        settings.setdefault(_setting(record), []).append((record, case))
    found = []
    for part in settings.values():
        if len({case.density for _, case in part}) > 1:
            found += _of_setting(part, rng)
    return found


def require(found: Sequence[BreakEven]) -> None:
    """Refuse an empty answer.

    Raises
    ------
    InputError
        Saying which run would have one.
    """
    if not found:
        raise InputError(
            "--break-even: no sparse kernel was measured at several densities beside a dense one;"
            " the suite for this is: sparsebench run break-even"
        )


def _setting(record: Record) -> tuple[object, ...]:
    names = ("run", "suite", "op", "shape", "M", "K", "N", "threads", "level")
    return (*(record.get(name) for name in names), variant_label(record))


def _of_setting(part: Sequence[tuple[Record, CaseResult]], rng: np.random.Generator) -> list[BreakEven]:
    best = _best_dense(case for _, case in part)
    kernels: dict[str, list[tuple[Record, CaseResult]]] = {}
    for record, case in part:
        if in_float32(case.kernel) and not is_dense(case.kernel) and case.group in best:
            kernels.setdefault(case.kernel, []).append((record, case))
    made = []
    for kernel, cases in kernels.items():
        by_density = sorted(split([r for r, _ in cases], lambda r: (r["density"],)), key=lambda p: -p[0]["density"])
        if len(by_density) < 2:
            continue
        measured = {id(record): case for record, case in cases}
        places = [_place([measured[id(r)] for r in records], best, rng) for records in by_density]
        made.append(_judge(cases[0][0], kernel, places))
    return made


def _best_dense(cases: Iterable[CaseResult]) -> dict[str, CaseResult]:
    """Return the fastest dense case of each group of rounds."""
    best: dict[str, CaseResult] = {}
    for case in cases:
        if is_dense(case.kernel) and case.group:
            known = best.get(case.group)
            if known is None or _median(case) < _median(known):
                best[case.group] = case
    return best


def _median(case: CaseResult) -> float:
    return case.median_s if case.median_s is not None else math.inf


def _place(cases: Sequence[CaseResult], best: dict[str, CaseResult], rng: np.random.Generator) -> Place:
    """Return a density's place; several problems of it, such as matrices of one shape, are merged."""
    ratios = [np.asarray(best[case.group].samples_s) / np.asarray(case.samples_s) for case in cases]
    saved = [_median(best[case.group]) - _median(case) for case in cases]
    prepare = [case.prepare_s for case in cases]
    calls = None
    if None not in prepare and min(saved) > 0:
        calls = geomean([p / s for p, s in zip(prepare, saved, strict=True) if p]) if all(prepare) else 0.0
    resampled = np.empty(0)
    if min(ratio.size for ratio in ratios) >= MIN_SAMPLES:
        resampled = np.mean([_medians(np.log(ratio), rng) for ratio in ratios], axis=0)
    speedup = geomean([float(np.median(ratio)) for ratio in ratios])
    return Place(cases[0].density, speedup, best[cases[0].group].kernel, calls, resampled)


def _medians(values: Floats, rng: np.random.Generator) -> Floats:
    chosen = rng.integers(0, values.size, size=(_RESAMPLES, values.size))
    return np.asarray(np.median(values[chosen], axis=1))


def _judge(record: Record, kernel: str, places: Sequence[Place]) -> BreakEven:
    densities = np.log([place.density for place in places])
    estimate = crossing(densities, np.log([[place.speedup for place in places]]))[0]
    low = high = None
    if all(place.resampled.size for place in places):
        crossings = np.sort(crossing(densities, np.stack([place.resampled for place in places], axis=1)))
        # By rank, not interpolated: between a crossing and none there is no value.
        low, high = (float(crossings[round(limit * (_RESAMPLES - 1))]) for limit in _LIMITS)
    return BreakEven(record, kernel, tuple(places), float(estimate), low, high)


def crossing(densities: Floats, speedups: Floats) -> Floats:
    """Return the density below which all measured speed-ups are above 1, by linear interpolation.

    Parameters
    ----------
    densities
        Logarithms, falling, [d].
    speedups
        Logarithms, [n, d].

    Returns
    -------
    NDArray
        [n], densities; 0 where the last speed-up is not above 1, infinity where all are.
    """
    slower = speedups <= 0
    # The last density at which it is not faster; -1 where there is none.
    last = np.where(slower.any(axis=1), slower.shape[1] - 1 - slower[:, ::-1].argmax(axis=1), -1)
    before = np.clip(last, 0, densities.size - 2)
    rows = np.arange(len(speedups))
    lower, upper = speedups[rows, before], speedups[rows, before + 1]
    crosses = (last >= 0) & (last < densities.size - 1)
    share = np.divide(-lower, upper - lower, out=np.zeros_like(lower), where=crosses)
    found = np.exp(densities[before] + share * (densities[before + 1] - densities[before]))
    found[last == -1] = np.inf
    found[last == densities.size - 1] = 0.0
    return np.asarray(found)
