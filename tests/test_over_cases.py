from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparsebench.bench.over_cases import CaseInterval, Statistic, over_cases
from sparsebench.bench.stats import Interval, geomean, median_interval

STATISTICS: tuple[Statistic, ...] = ("geomean", "min", "median", "max")
CASES = st.lists(st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=12), min_size=1, max_size=6)


def measured(samples: object) -> CaseInterval:
    return partial(median_interval, samples)


def known(low: float, estimate: float, high: float) -> CaseInterval:
    return lambda confidence: Interval(low, estimate, high)


@pytest.mark.parametrize("statistic", STATISTICS)
def test_of_one_case_every_statistic_is_that_case(statistic: Statistic) -> None:
    samples = np.random.default_rng(0).lognormal(size=15)
    assert over_cases([measured(samples)], statistic, 0.9) == pytest.approx(median_interval(samples, 0.9))


@given(CASES)
def test_estimates_are_those_of_the_medians(cases: list[list[float]]) -> None:
    medians = [float(np.median(samples)) for samples in cases]
    expected = {"geomean": geomean(medians), "min": min(medians), "median": np.median(medians), "max": max(medians)}
    for statistic in STATISTICS:
        low, estimate, high = over_cases([measured(samples) for samples in cases], statistic)
        assert estimate == pytest.approx(expected[statistic])
        assert (0 if low is None else low) <= estimate * (1 + 1e-12)
        assert estimate <= (np.inf if high is None else high) * (1 + 1e-12)


def test_geomean_of_limits() -> None:
    found = over_cases([known(1.0, 2.0, 4.0), known(4.0, 8.0, 9.0)], "geomean")
    assert found == pytest.approx((2.0, 4.0, 6.0))


def test_only_the_unfavourable_side_of_the_worst_cell_is_corrected_for_many() -> None:
    asked: list[float] = []

    def case(confidence: float) -> Interval:
        asked.append(round(confidence, 12))
        return Interval(1.0, 2.0, 3.0)

    over_cases([case] * 10, "min", 0.95)
    # Lower limits, upper limits, estimates.
    assert asked == [0.95] * 10 + [0.995] * 10 + [0.95] * 10
    asked.clear()
    over_cases([case] * 10, "median", 0.94)
    assert asked == [0.99] * 20 + [0.94] * 10


def test_one_case_without_an_interval_leaves_what_can_be_said() -> None:
    few, good = measured([5.0]), known(1.0, 2.0, 3.0)
    assert over_cases([few, good], "geomean") == Interval(None, pytest.approx(10**0.5), None)
    # The smallest is at most 3, whatever the other is; it may be anything below.
    assert over_cases([few, good], "min") == Interval(None, 2.0, 3.0)
    assert over_cases([few, good], "max") == Interval(1.0, 5.0, None)


def test_nothing_has_no_statistic() -> None:
    with pytest.raises(ValueError, match="at least one case"):
        over_cases([], "geomean")
