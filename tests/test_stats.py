from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sparsebench.bench import stats
from sparsebench.bench.stats import Interval

SAMPLES = st.lists(st.floats(1e-9, 1e3), min_size=1, max_size=50)


def test_median_of_known_samples() -> None:
    assert stats.median([3e-6, 1e-6, 2e-6]) == 2e-6
    assert stats.median([1.0, 2.0, 3.0, 10.0]) == 2.5


@pytest.mark.parametrize("bad", [[], [1.0, 0.0], [1.0, -1.0], [1.0, float("nan")], [float("inf")], [[1.0]]])
@pytest.mark.parametrize(
    "function",
    [stats.median, stats.median_interval, stats.geomean, stats.outliers, stats.drift, stats.modes, stats.remarks],
)
def test_what_is_no_sample_is_refused(function: Callable[[object], object], bad: object) -> None:
    with pytest.raises(ValueError, match="samples must be"):
        function(bad)


def test_limits_are_the_samples_of_the_binomial_distribution() -> None:
    # P(Binomial(11, 1/2) < 3) = 67 / 2048: the interval from the third of 11 samples to the ninth.
    samples = np.random.default_rng(3).lognormal(size=11)
    interval = stats.median_interval(samples, 1 - 2 * 67 / 2048)
    assert interval == pytest.approx((np.sort(samples)[2], np.median(samples), np.sort(samples)[8]))


def test_limits_between_samples_are_those_of_hettmansperger_and_sheather() -> None:
    # n = 10, 95 %: coverages 0.9785 of (x2, x9) and 0.8906 of (x3, x8); I = 0.3243, share = 8 I / (2 + 6 I) = 0.6575.
    low, _, high = stats.median_interval(np.arange(1.0, 11.0))
    assert (low, high) == pytest.approx((2.6575, 8.3425), abs=1e-3)


def test_beyond_the_samples_the_interval_is_exact_for_uniform_ones() -> None:
    samples = np.exp(np.random.default_rng(1).uniform(-0.1, 0.1, (4000, 4)))
    missed = [not low <= 1 <= high for low, _, high in map(stats.median_interval, samples)]
    assert np.mean(missed) == pytest.approx(0.05, abs=0.01)
    assert stats.median_interval([1.0, 2.0, 3.0], 0.9999) == Interval(None, 2.0, None)


def test_interval_is_deterministic_and_does_not_depend_on_the_order() -> None:
    samples = list(np.random.default_rng(4).lognormal(size=15))
    assert stats.median_interval(samples) == stats.median_interval(samples) == stats.median_interval(samples[::-1])


def test_less_confidence_is_a_narrower_interval() -> None:
    samples = np.random.default_rng(6).lognormal(size=21)
    wide, narrow = stats.median_interval(samples, 0.99), stats.median_interval(samples, 0.5)
    assert wide.low < narrow.low <= narrow.estimate <= narrow.high < wide.high
    with pytest.raises(ValueError, match="confidence"):
        stats.median_interval(samples, 1.0)


@pytest.mark.parametrize("samples", [[2.0], [1.0, 3.0]])
def test_too_few_samples_claim_no_interval(samples: list[float]) -> None:
    interval = stats.median_interval(samples)
    assert interval == Interval(None, 2.0, None)
    assert stats.half_width(interval) is None
    assert not stats.is_precise(interval, 1e9)


@given(SAMPLES)
@example([1.0] * 7 + [825.3802460050593] * 3)
def test_interval_holds_the_median_and_lies_within_six_samples_or_more(samples: list[float]) -> None:
    interval = stats.median_interval(samples)
    if len(samples) < stats.MIN_SAMPLES:
        assert interval.low is interval.high is None
    else:
        assert interval.low <= np.median(samples) <= interval.high
        if len(samples) > 5:
            assert min(samples) <= interval.low <= interval.high <= max(samples)


def test_precision_is_half_the_relative_width() -> None:
    interval = Interval(98.0, 100.0, 102.0)
    assert stats.half_width(interval) == pytest.approx(0.02)
    assert stats.is_precise(interval, 0.02)
    assert not stats.is_precise(interval, 0.019)


def test_ratios_of_rounds_cancel_what_slows_a_whole_round() -> None:
    rounds = np.random.default_rng(7).uniform(1, 3, 20)
    interval = stats.ratio_interval(6e-6 * rounds, 2e-6 * rounds)
    assert interval == pytest.approx((3, 3, 3))


def test_ratio_above_one_means_faster_than_the_baseline() -> None:
    assert stats.ratio_interval([4.0, 4.0, 4.0], [2.0, 1.0, 4.0]).estimate == 2.0


def test_rounds_that_do_not_pair_up_are_refused() -> None:
    with pytest.raises(ValueError, match="3 baseline samples, 2 samples"):
        stats.ratio_interval([1.0, 1.0, 1.0], [1.0, 1.0])


def test_geomean_of_known_values() -> None:
    assert stats.geomean([2.0, 8.0]) == pytest.approx(4.0)
    assert stats.geomean([0.5, 2.0]) == pytest.approx(1.0)


@given(st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=20))
def test_geomean_of_ratios_is_the_ratio_of_geomeans(values: list[float]) -> None:
    assert stats.geomean(1 / np.array(values)) == pytest.approx(1 / stats.geomean(values))


def test_outliers_are_counted_by_tukeys_fences() -> None:
    # Quartiles 13 and 17: inner fences 7 and 23, outer fences 1 and 29.
    samples = [11.0, 12.0, 13.0, 14.0, 15.0, 16.0, 17.0, 18.0, 19.0]
    assert stats.outliers(samples) == (0, 0, 0, 0)
    # Quartiles 12 and 18: inner fences 3 and 27, outer fences -6 and 36.
    assert stats.outliers([*samples, 28.0, 2.0]) == (0, 1, 1, 0)
    assert stats.outliers([*samples, 37.0, 28.0]).severe_high == 1


def test_drift_of_a_straight_line_and_of_noise() -> None:
    line = stats.drift(np.linspace(1.0, 1.2, 21))
    assert line.change == pytest.approx(0.2 / 1.1)
    assert line.z > 6
    assert stats.drift(np.linspace(1.2, 1.0, 21)).z == pytest.approx(-line.z)
    assert abs(stats.drift(np.random.default_rng(8).normal(1, 0.01, 41)).z) < 3
    assert stats.drift([1.0, 2.0]) == (0.0, 0.0)


def test_modes_of_known_distributions() -> None:
    rng = np.random.default_rng(9)
    two = np.concatenate([rng.normal(1.0, 0.01, 20), rng.normal(1.5, 0.01, 20)])
    assert stats.modes(two).separation > 0.98
    assert stats.modes(two).apart == pytest.approx(0.4, rel=0.1)
    assert stats.modes(rng.normal(10, 1, 20_000)).separation == pytest.approx(2 / np.pi, abs=0.02)
    assert stats.modes(rng.uniform(1, 2, 20_000)).separation == pytest.approx(0.75, abs=0.02)
    assert stats.modes([1.0] * 9) == (0.0, 0.0)
    assert stats.modes([1.0]) == (0.0, 0.0)


def test_remarks_label_what_is_unusual() -> None:
    rng = np.random.default_rng(10)
    steady = rng.normal(1, 0.005, 31)
    assert stats.remarks(steady) == ()
    assert stats.remarks([*steady, 5.0]) == ("outliers",)
    assert stats.remarks(np.linspace(1, 1.3, 31)) == ("drift",)
    # Two narrow modes, in turn so that there is no trend.
    modes = np.tile([1.0, 1.3], 16) + rng.normal(0, 0.002, 32)
    assert stats.remarks(modes) == ("bimodal",)


def test_unusual_but_small_differences_are_not_worth_a_remark() -> None:
    assert stats.remarks(np.linspace(1, 1.01, 31)) == ()
    assert stats.remarks(np.tile([1.0, 1.01], 16)) == ()
