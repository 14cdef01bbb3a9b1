from __future__ import annotations

import numpy as np
import pytest

from sparsebench.bench.stats import MIN_SAMPLES
from sparsebench.models.amdahl import RESAMPLES, Part, gain, interval, median_of, middle, ratio_of


def certain(value: float) -> np.ndarray:
    return np.full(1 + RESAMPLES, value)


def test_amdahls_law() -> None:
    # 80 % of a second become 10 times as fast: 1 / (0.2 + 0.8 / 10).
    found = gain([Part(2, certain(0.4), certain(10.0))], rest_s=certain(0.2))
    assert found.before_s.estimate == pytest.approx(0.8)
    assert found.after_s.estimate == pytest.approx(0.08)
    assert found.layers.estimate == pytest.approx(10)
    assert found.model_s is not None and found.model_s.estimate == pytest.approx(0.28)
    assert found.amdahl is not None
    assert found.amdahl == pytest.approx((1 / 0.28,) * 3)
    assert found.over_engine is None


def test_a_layer_that_stays_dense_limits_the_model() -> None:
    found = gain([Part(1, certain(1.0), certain(100.0)), Part(3, certain(1.0), None)])
    assert found.layers.estimate == pytest.approx(4 / 3.01)
    assert (found.model_s, found.amdahl) == (None, None)


def test_the_engine_is_compared_with_what_the_model_would_take() -> None:
    # The engine is faster at the dense layers (3 s) than what was measured (4 s): Amdahl's figure is over the latter.
    found = gain([Part(1, certain(4.0), certain(4.0))], rest_s=certain(1.0), engine_s=certain(4.0))
    assert found.amdahl is not None and found.amdahl.estimate == pytest.approx(2.5)
    assert found.over_engine is not None and found.over_engine.estimate == pytest.approx(2)


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    rng, held = np.random.default_rng(3), 0
    for trial in range(400):
        # What slows a round down slows both kernels.
        rounds = rng.lognormal(0, 0.05, 25)
        parts = []
        for dense, speedup in ((1.0, 8.0), (2.0, 4.0)):
            slow = rounds * dense * rng.lognormal(0, 0.03, 25)
            fast = rounds * dense / speedup * rng.lognormal(0, 0.03, 25)
            # The same rounds are drawn for both.
            drawn = [np.random.default_rng([trial, int(dense)]) for _ in range(2)]
            parts.append(Part(1, median_of(slow, drawn[0]), ratio_of(slow, fast, drawn[1])))
        found = gain(parts, rest_s=certain(0.5)).amdahl
        assert found is not None and found.low is not None and found.high is not None
        held += found.low <= 3.5 / (0.5 + 1 / 8 + 2 / 4) <= found.high
    assert held >= 0.92 * 400


def test_too_few_rounds_claim_no_interval() -> None:
    few = median_of([1.0] * (MIN_SAMPLES - 1), np.random.default_rng(0))
    assert interval(few) == (None, 1.0, None)
    found = gain([Part(1, few, certain(2.0))], rest_s=certain(1.0))
    assert found.amdahl == (None, pytest.approx(2 / 1.5), None)


def test_what_was_measured_several_times_counts_by_its_middle() -> None:
    assert interval(middle([certain(1.0), certain(5.0), certain(2.0)])) == (2.0, 2.0, 2.0)


def test_ratios_are_paired_by_round() -> None:
    found = ratio_of([1.0, 10.0, 100.0], [0.5, 5.0, 50.0], np.random.default_rng(0))
    assert interval(found) == (2.0, 2.0, 2.0)
