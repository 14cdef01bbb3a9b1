"""Statistics of ``sparsebench ab`` on data whose right answer is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from sparsebench.bench.ab import BLOCKS
from sparsebench.bench.ab_stats import Change, Criteria, change, is_same, p_different, pair_log_ratio, verdicts

CRITERIA = Criteria()
# Cases of 1 ms: the floor in time plays no part.
LONG = 1e-3


def test_the_median_of_log_ratios_knows_who_came_first() -> None:
    assert pair_log_ratio("ABBA", [1.0, 2.0, 4.0, 2.0]) == pytest.approx(math.log(2))
    assert pair_log_ratio("BAAB", [2.0, 1.0, 2.0, 4.0]) == pytest.approx(math.log(2))
    # One sample that something else disturbed changes nothing.
    assert pair_log_ratio("ABBAABBA", [1, 2, 2, 1, 1, 200, 2, 1]) == pytest.approx(math.log(2))


@pytest.mark.parametrize("block", BLOCKS)
def test_a_trend_in_time_is_nobodys_difference(block: str) -> None:
    assert block.count("A") == block.count("B") == 4
    time = np.arange(8)
    for trend in (time, time**2):
        sides = [sum(value for value, side in zip(trend, block, strict=True) if side == letter) for letter in "AB"]
        assert sides[0] == sides[1]
    assert pair_log_ratio(block, np.exp(0.01 * time)) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize(
    ("order", "samples"),
    [
        ("", []),
        ("AB", [1.0]),
        ("ABB", [1.0, 1.0, 1.0]),
        ("AABB", [1.0] * 4),
        ("AB", [1.0, 0.0]),
        ("AB", [1.0, math.nan]),
    ],
)
def test_samples_that_do_not_pair_up_are_refused(order: str, samples: list[float]) -> None:
    with pytest.raises(ValueError, match=r"pair up|neither AB nor BA|finite and positive"):
        pair_log_ratio(order, samples)


@given(st.lists(st.floats(-0.5, 0.5), min_size=2, max_size=12))
def test_the_interval_is_students(values: list[float]) -> None:
    found = change(values)
    assert found.pairs == len(values)
    assert found.estimate == pytest.approx(np.mean(values), abs=1e-12)
    if np.std(values) > 1e-6:
        low, high = stats.ttest_1samp(values, 0).confidence_interval(0.95)
        assert (found.low, found.high) == pytest.approx((low, high))


@given(st.lists(st.floats(-0.3, 0.3), min_size=2, max_size=9), st.floats(0.001, 0.2))
def test_sides_are_treated_alike(values: list[float], threshold: float) -> None:
    one, other = change(values), change([-value for value in values])
    assert p_different(one, threshold) == pytest.approx(p_different(other, threshold))
    turned = {"slower": "faster", "faster": "slower"}
    criteria = Criteria(threshold=threshold)
    (verdict,), (mirrored,) = verdicts([one], [LONG], criteria), verdicts([other], [LONG], criteria)
    assert mirrored == turned.get(verdict, verdict)


def test_one_pair_of_processes_decides_nothing() -> None:
    lonely = change([math.log(2)])
    assert lonely[:4] == (None, math.log(2), None, None)
    assert verdicts([lonely], [LONG], CRITERIA) == ["undecided"]
    assert verdicts([], [], CRITERIA) == []


def test_p_values_are_those_of_a_one_sample_test_shifted_by_the_threshold() -> None:
    values = [0.07, 0.09, 0.08, 0.075, 0.1]
    expected = stats.ttest_1samp(values, math.log(1.03)).pvalue
    assert p_different(change(values), 0.03) == pytest.approx(expected)
    assert p_different(change([0.02, 0.021, 0.02]), 0.03) == 1.0
    assert p_different(change([0.5, 0.5]), 0.03) == 0.0


def test_verdicts_with_known_answers() -> None:
    slower = change([0.08, 0.082, 0.078, 0.081, 0.079, 0.08, 0.08])
    faster = Change(*(-value for value in (slower.high, slower.estimate, slower.low)), slower.spread, slower.pairs)
    same = change([0.001, -0.002, 0.0, 0.001, 0.002, -0.001, 0.0])
    # 2 % slower for certain, but that does not matter; and 8 % as likely as none.
    little = change([0.02, 0.021, 0.019, 0.02, 0.02, 0.02, 0.02])
    noisy = change([0.3, -0.2, 0.25, -0.1, 0.2, 0.1, 0.0])
    found = verdicts([slower, faster, same, little, noisy], [LONG] * 5, CRITERIA)
    assert found == ["slower", "faster", "same", "same", "undecided"]


def test_a_difference_of_a_few_nanoseconds_does_not_matter() -> None:
    slower = change([0.08, 0.082, 0.078, 0.081, 0.079, 0.08, 0.08])
    assert verdicts([slower], [100e-9], CRITERIA) == ["same"]
    assert verdicts([slower], [1e-6], CRITERIA) == ["slower"]


def test_same_needs_evidence() -> None:
    assert is_same(change([0.0, 0.001, -0.001, 0.0, 0.001]), CRITERIA)
    assert not is_same(change([0.0, 0.1, -0.1, 0.05, -0.05]), CRITERIA)
    assert not is_same(change([0.0]), CRITERIA)


def _processes(rng: np.random.Generator, kind: str, shape: tuple[int, ...]) -> np.ndarray:
    """Medians of one pair of processes each, of versions that do not differ: sd 1 to 3 % between processes."""
    if kind == "normal":
        return rng.normal(0, 0.01, shape)
    if kind == "heavy tails":
        return 0.01 * rng.standard_t(3, shape)
    # Every process, on either side, is 6 % slower with probability 0.3, for how its memory lies.
    modes = [0.06 * (rng.random(shape) < 0.3) for _ in range(2)]
    return modes[0] - modes[1] + rng.normal(0, 0.003, shape)


@pytest.mark.parametrize(("kind", "least", "most"), [("normal", 0.94, 0.96), ("heavy tails", 0.93, 0.98)])
def test_intervals_cover_the_truth(kind: str, least: float, most: float) -> None:
    values = _processes(np.random.default_rng(0), kind, (4000, 7)) + 0.05
    covered = [low <= 0.05 <= high for low, _, high, *_ in map(change, values)]
    assert least <= np.mean(covered) <= most


@pytest.mark.parametrize("kind", ["normal", "heavy tails", "two modes"])
def test_what_differs_between_processes_raises_no_alarm(kind: str) -> None:
    """At most 1 in 20 comparisons of 144 identical cases may name one; these name far fewer."""
    rng = np.random.default_rng(1)
    alarms = 0
    for _ in range(60):
        changes = [change(values) for values in _processes(rng, kind, (144, 7))]
        alarms += not {"slower", "faster"}.isdisjoint(verdicts(changes, [LONG] * 144, CRITERIA))
    assert alarms <= 1


@pytest.mark.parametrize(("kind", "least"), [("normal", 1.0), ("heavy tails", 1.0), ("two modes", 0.5)])
def test_a_slowdown_of_8_per_cent_in_one_kernel_is_seen(kind: str, least: float) -> None:
    rng = np.random.default_rng(2)
    seen = []
    for _ in range(30):
        values = _processes(rng, kind, (144, 7))
        values[:18] += math.log(1.08)
        seen.append("slower" in verdicts([change(value) for value in values], [LONG] * 144, CRITERIA)[:18])
    assert np.mean(seen) >= least


def test_counting_samples_instead_of_processes_would_cry_wolf() -> None:
    """Why processes are counted: within one pair, samples agree on a difference that the next pair does not have."""
    rng = np.random.default_rng(3)
    between = _processes(rng, "two modes", (144,))
    within = between[:, None] + rng.normal(0, 0.005, (144, 80))
    naive = verdicts([change(values) for values in within], [LONG] * 144, CRITERIA)
    assert naive.count("slower") + naive.count("faster") > 30
