"""Trainings that differ in fold and seed alone, gathered; and what they are compared with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sparsebench.accuracy.paired import Estimate, difference, estimate
from sparsebench.accuracy.results import Timings, TrainingResult

DENSE = "dense"


@dataclass(frozen=True, slots=True)
class Cohort:
    """Trainings of one variant.

    Attributes
    ----------
    results
        All of them, whatever became of them.
    """

    split: str
    pattern: str
    density: float
    act_density: float
    start: str
    results: list[TrainingResult] = field(default_factory=list)

    @property
    def good(self) -> list[TrainingResult]:
        """Those that are ok."""
        return [result for result in self.results if result.status == "ok"]

    def hits(self) -> dict[tuple[str, int], NDArray[np.float64]]:
        """Return by (fold, seed) which samples were right, of those that are ok."""
        return {result.unit: result.right().astype(np.float64) for result in self.good}

    def mean(self) -> Estimate | None:
        """Return the mean accuracy; None where none is ok."""
        return estimate(self.hits()) if self.good else None

    def less(self, other: Cohort | None) -> Estimate | None:
        """Return the mean difference in pairs, this less the other; None where there is no pair."""
        return None if other is None else difference(self.hits(), other.hits())


@dataclass(frozen=True)
class Study:
    """The cohorts of a study, and the times of their networks."""

    cohorts: Sequence[Cohort]
    timings: Timings

    @classmethod
    def of(cls, results: Iterable[TrainingResult], timings: Timings) -> Study:
        """Gather results into cohorts, in order of appearance."""
        found: dict[tuple[str, str, float, float, str], Cohort] = {}
        for r in results:
            key = (r.split, r.pattern, r.density, r.act_density, r.start)
            found.setdefault(key, Cohort(*key)).results.append(r)
        return cls(tuple(found.values()), timings)

    def settings(self) -> list[tuple[str, float]]:
        """Return (split, density) of the sparse cohorts; each is compared within itself."""
        return list(dict.fromkeys((c.split, c.density) for c in self.cohorts if c.pattern != DENSE))

    def within(self, split: str, density: float, start: str = "static") -> list[Cohort]:
        """Return the cohorts of a setting, those with ReLU first, in each the dense one first."""
        found = [
            c
            for c in self.cohorts
            if c.split == split and (c.pattern == DENSE or (c.density == density and c.start == start))
        ]
        return sorted(found, key=lambda c: (-c.act_density, c.pattern != DENSE))

    def find(
        self, split: str, pattern: str, density: float, act_density: float = 1.0, start: str = "static"
    ) -> Cohort | None:
        """Return a cohort, of a dense network whatever its density; None if there is none."""
        for c in self.cohorts:
            same = c.pattern == pattern and (pattern == DENSE or (c.density == density and c.start == start))
            if same and c.split == split and c.act_density == act_density:
                return c
        return None

    def seconds(self, cohort: Cohort) -> Mapping[str, tuple[float, float, float]]:
        """Return by mode (median, low, high) of the network of a variant that was timed, of whatever fold and split."""
        alike = [
            c
            for c in self.cohorts
            if (c.pattern, c.density, c.act_density, c.start)
            == (cohort.pattern, cohort.density, cohort.act_density, cohort.start)
        ]
        for result in (r for c in alike for r in c.results):
            if times := self.timings.get(result.name):
                return {mode: (t.median_s, t.low_s, t.high_s) for mode, t in times.items()}
        return {}

    def speedup(self, cohort: Cohort) -> Speedup | None:
        """Return how many times as fast a cohort's network is as the dense one with ReLU.

        The dense network runs in mode "dense", sparse ones in "sparse-sparse". The limits are those of both times: the
        two were not measured in the same rounds.
        """
        dense = next((c for c in self.cohorts if c.pattern == DENSE and c.act_density == 1), None)
        reference = self.seconds(dense).get("dense") if dense else None
        plain = cohort.pattern == DENSE and cohort.act_density == 1
        own = self.seconds(cohort).get("dense" if plain else "sparse-sparse")
        if reference is None or own is None:
            return None
        if plain:
            return Speedup(1.0, 1.0, 1.0)
        return Speedup(reference[0] / own[0], reference[1] / own[2], reference[2] / own[1])


@dataclass(frozen=True, slots=True)
class Speedup:
    """How many times as fast, and its limits."""

    value: float
    low: float
    high: float


def act_text(act_density: float) -> str:
    """Say how activations are made sparse."""
    return "ReLU" if act_density == 1 else f"k-winners at {act_density:.0%}"


def sparsity_text(density: float) -> str:
    """Say how sparse weights are: ``97.5 % sparse``."""
    return f"{round(100 * (1 - density), 2):g} % sparse"
