"""Intervals of accuracies: known values, coverage, and what they say."""

from __future__ import annotations

import numpy as np
import pytest

from sparsebench.accuracy.paired import Estimate, difference, estimate, verdict


def hits(accuracy: float, n: int = 100) -> np.ndarray:
    return (np.arange(n) < round(accuracy * n)).astype(np.float64)


def test_seeds_of_one_fold_are_units() -> None:
    found = estimate({("", 0): hits(0.9), ("", 1): hits(0.8), ("", 2): hits(0.7)})
    assert found.mean == pytest.approx(0.8) and found.units == 3
    # Student, 2 degrees of freedom: 4.303 * 0.1 / sqrt(3).
    assert found.half == pytest.approx(0.2484, abs=1e-4)


def test_folds_are_units_and_their_seeds_are_averaged_first() -> None:
    one = estimate({("a", 0): hits(0.9), ("b", 0): hits(0.7)})
    two = estimate({("a", 0): hits(0.95), ("a", 1): hits(0.85), ("b", 0): hits(0.7), ("b", 1): hits(0.7)})
    assert one.mean == pytest.approx(two.mean) and one.units == two.units == 2
    # 12.706 * 0.1414 / sqrt(2).
    assert one.half == pytest.approx(1.2706, abs=1e-4) and two.half == pytest.approx(1.2706, abs=1e-4)


def test_few_samples_widen_an_interval_that_seeds_agree_on() -> None:
    found = estimate({("", 0): hits(0.9), ("", 1): hits(0.9)})
    # 1.96 * sqrt(p * (1 - p) / 104), p = 92 / 104.
    assert found.half == pytest.approx(0.0614, abs=1e-4)
    assert estimate({("", 0): hits(0.9)}) == Estimate(pytest.approx(0.9), pytest.approx(0.0614, abs=1e-4), 1)


def test_differences_are_paired_by_sample() -> None:
    better = {("", 0): hits(0.9), ("", 1): hits(0.9)}
    worse = {("", 0): hits(0.8), ("", 1): hits(0.8), ("", 2): hits(0.1)}
    found = difference(better, worse)
    assert found is not None and found.mean == pytest.approx(0.1) and found.units == 2
    # 10 of 100 differ, with those imagined a share of 10.5 / 102 and 0.5 / 102.
    assert found.half == pytest.approx(1.96 * np.sqrt((11 / 102 - (10 / 102) ** 2) / 102), abs=1e-4)
    same = difference(better, better)
    assert same is not None and same.mean == 0
    # That none of 100 differs has not shown that none would: 1.96 / 102.
    assert same.half == pytest.approx(0.0192, abs=1e-4)
    assert difference(better, {("x", 0): hits(0.5)}) is None


@pytest.mark.parametrize("truth", [0.9, 0.99])
def test_intervals_of_few_mistakes_hold_the_truth_as_often_as_they_say(truth: float) -> None:
    rng = np.random.default_rng(0)
    found = [estimate({("", 0): (rng.random(300) < truth).astype(np.float64)}) for _ in range(1000)]
    assert sum(one.low <= truth <= one.high for one in found) > 920
    # Of two networks, each has one sample in a hundred to itself.
    pairs = [rng.choice([-1.0, 0.0, 1.0], 300, p=[1 - truth, 2 * truth - 1, 1 - truth]) for _ in range(1000)]
    differences = [difference({("", 0): pair}, {("", 0): np.zeros(300)}) for pair in pairs]
    assert sum(one is not None and one.low <= 0 <= one.high for one in differences) > 920


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(400):
        # Three seeds on one test set: samples differ in how hard they are, seeds in how good.
        hard = rng.normal(1.5, 1.0, 300)
        skill = rng.normal(0, 0.2, 3)
        runs = {("", s): (hard + skill[s] + rng.normal(0, 0.5, 300) > 0).astype(np.float64) for s in range(3)}
        truth = 0.9065  # P(normal(1.5, 1 + 0.04 + 0.25) > 0)
        found = estimate(runs)
        held += found.low <= truth <= found.high
    assert held > 0.93 * 400


@pytest.mark.parametrize(
    ("mean", "half", "words"),
    [
        (0.02, 0.01, "better"),
        (-0.02, 0.01, "worse"),
        (-0.004, 0.006, "not worse"),
        (-0.004, 0.008, "undecided"),
        (0.005, 0.012, "not worse"),
        (0.0, 0.0, "not worse"),
        (-0.004, 0.012, "undecided"),
    ],
)
def test_verdicts(mean: float, half: float, words: str) -> None:
    assert verdict(Estimate(mean, half, 6)) == words
