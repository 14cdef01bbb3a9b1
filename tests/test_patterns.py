"""Patterns: labels, what a drawn or pruned mask promises, and that pruning is the best the pattern allows."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from checked import possible
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from sparsebench.errors import InputError
from sparsebench.patterns import (
    PATTERNS,
    Block,
    Complementary,
    Mask,
    Pattern,
    Stored,
    Unstructured,
    kept,
    parse_pattern,
)
from sparsebench.patterns.assignment import balanced_owners, partitioned_owners
from sparsebench.patterns.base import largest
from sparsebench.problem import Problem

DLMC = Path(__file__).parents[2] / "shared/data/dlmc"

LABELS = [
    "unstructured",
    "unstructured/skewed",
    "block/1x1",
    "block/4x3",
    "complementary/1",
    "complementary/4",
    "complementary/8/partitioned",
    "complementary/1/partitioned",
    "complementary/16",
]
SIDES = st.sampled_from([1, 2, 3, 7, 8, 9, 16, 31, 33, 64])
DENSITIES = st.floats(min_value=1e-3, max_value=1.0)


def gaussian(rows: int, cols: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((rows, cols)).astype(np.float32)


def assert_complementary(mask: Mask, pattern: Complementary, overlay: int) -> None:
    rows, cols = mask.allowed.shape
    lanes = pattern.lanes
    groups = -(-rows // lanes)
    assert mask.owner is not None
    assert mask.owner.dtype == np.int32
    assert mask.owner.shape == (-(-groups // overlay), cols)
    assert mask.owner.min() >= 0
    assert mask.owner.max() < overlay
    for row in range(rows):
        at, group = divmod(row // lanes, overlay)
        assert np.array_equal(mask.allowed[row], mask.owner[at] == group)
        assert cols // overlay <= mask.allowed[row].sum() <= -(-cols // overlay)
    if pattern.arrangement == "partitioned":
        for start in range(0, cols, overlay):
            for owners in mask.owner[:, start : start + overlay]:
                assert len(set(owners.tolist())) == len(owners)


@pytest.mark.parametrize("label", [*LABELS, "stored"])
def test_label_round_trip(label: str) -> None:
    pattern = parse_pattern(label)
    assert str(pattern) == label
    assert parse_pattern(str(pattern)) == pattern
    assert hash(parse_pattern(label)) == hash(pattern)


def test_every_pattern_names_and_summarises_itself() -> None:
    for name, kind in PATTERNS.items():
        assert kind.name == name
        assert 10 < len(kind.summary) <= 100
        assert "\n" not in kind.summary


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ("checkered", "pattern 'checkered' is not known; known: unstructured, block"),
        ("unstructured/even", "takes nothing or 'skewed'; got 'even'"),
        ("unstructured/skewed/skewed", "takes nothing or 'skewed'"),
        ("block", "needs a size, such as block/4x4"),
        ("block/4", "needs a size"),
        ("block/4x4/2", "needs a size"),
        ("block/0x4", "block is 0x4; both sides must be at least 1"),
        ("complementary", "needs lanes"),
        ("complementary/x", "needs lanes"),
        ("complementary/3", "lanes is 3; it must be one of 1, 4, 8, 16"),
        ("complementary/8/odd", "arrangement 'odd' is not known; known: balanced, partitioned"),
        ("complementary/8/balanced/1", "needs lanes"),
        ("stored/1", "pattern 'stored' takes no parameters; got '1'"),
    ],
)
def test_bad_label_is_refused(label: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_pattern(label)


@pytest.mark.parametrize("density", [0.0, -0.1, 1.5, float("nan")])
@pytest.mark.parametrize("label", LABELS)
def test_density_out_of_range_is_refused(label: str, density: float) -> None:
    pattern = parse_pattern(label)
    with pytest.raises(InputError, match=r"it must lie in \(0, 1\]"):
        pattern.check(density)
    with pytest.raises(InputError, match="density"):
        pattern.draw(4, 4, density, np.random.default_rng(0))
    with pytest.raises(InputError, match="density"):
        pattern.prune(gaussian(4, 4), density)


@pytest.mark.parametrize("label", LABELS)
def test_density_one_allows_everything(label: str) -> None:
    pattern = parse_pattern(label)
    assert pattern.draw(19, 23, 1.0, np.random.default_rng(0)).allowed.all()
    mask = pattern.prune(gaussian(19, 23), 1.0)
    assert mask.allowed.all()
    assert kept(gaussian(19, 23), mask) == (1.0, 1.0)


@pytest.mark.parametrize("label", LABELS)
def test_the_seed_alone_decides_a_draw(label: str) -> None:
    pattern = parse_pattern(label)
    first, again, other = (pattern.draw(48, 61, 0.1, np.random.default_rng(seed)).allowed for seed in (5, 5, 6))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@settings(max_examples=60, deadline=None)
@given(label=st.sampled_from(LABELS), rows=SIDES, cols=SIDES, density=DENSITIES, seed=st.integers(0, 99))
def test_pruning_keeps_at_least_as_much_as_a_draw(label: str, rows: int, cols: int, density: float, seed: int) -> None:
    pattern = parse_pattern(label)
    density = possible(pattern, density)
    weights = gaussian(rows, cols, seed)
    drawn = pattern.draw(rows, cols, density, np.random.default_rng(seed))
    pruned = pattern.prune(weights, density)
    assert drawn.allowed.shape == pruned.allowed.shape == (rows, cols)
    assert drawn.allowed.dtype == pruned.allowed.dtype == np.bool_
    assert kept(weights, pruned).l1 >= kept(weights, drawn).l1 - 1e-12


@settings(max_examples=60, deadline=None)
@given(skew=st.booleans(), rows=SIDES, cols=SIDES, density=DENSITIES)
def test_unstructured_has_exactly_the_share(skew: bool, rows: int, cols: int, density: float) -> None:
    wanted = max(1, round(density * rows * cols))
    pattern = Unstructured(skew)
    assert pattern.draw(rows, cols, density, np.random.default_rng(0)).nnz == wanted
    assert pattern.prune(gaussian(rows, cols), density).nnz == wanted


def test_unstructured_prunes_to_the_largest() -> None:
    weights = np.array([[3, -1, 2], [-2, 0, 2]], np.float32)
    expected = np.array([[True, False, True], [True, False, False]])
    for pattern in (Unstructured(), Unstructured(skew=True)):
        assert np.array_equal(pattern.prune(weights, 0.5).allowed, expected)


@settings(max_examples=50, deadline=None)
@given(values=st.lists(st.integers(0, 3), min_size=1, max_size=30), data=st.data())
def test_largest_prefers_the_first_of_equal_values(values: list[int], data: st.DataObject) -> None:
    count = data.draw(st.integers(1, len(values)))
    best = sorted(range(len(values)), key=lambda i: (-values[i], i))[:count]
    assert np.flatnonzero(largest(np.array(values, float), count)).tolist() == sorted(best)


def relative_spread(counts: np.ndarray) -> float:
    return float(counts.std() / counts.mean())


def test_skewed_rows_are_uneven() -> None:
    rng = np.random.default_rng(1)
    even, skewed = (Unstructured(skew).draw(512, 512, 0.05, rng).allowed for skew in (False, True))
    assert relative_spread(even.sum(1)) < 0.25
    assert 0.4 < relative_spread(skewed.sum(1)) < 0.8
    assert 0.25 < relative_spread(skewed.sum(0)) < 0.5


def test_skewed_rows_look_like_real_ones() -> None:
    files = sorted(DLMC.rglob("*.smtx"))
    if not files:
        pytest.skip("needs the DLMC matrices in ../shared/data/dlmc")
    real = []
    for file in files[::10]:
        with file.open() as lines:
            next(lines)
            counts = np.diff(np.array(next(lines).split(), np.int64))
        real.append(relative_spread(counts))
    ours = relative_spread(Unstructured(skew=True).draw(512, 512, 0.05, np.random.default_rng(0)).allowed.sum(1))
    assert np.quantile(real, 0.4) < ours < np.quantile(real, 0.95)


@settings(max_examples=60, deadline=None)
@given(r=st.integers(1, 9), c=st.integers(1, 9), rows=SIDES, cols=SIDES, density=DENSITIES)
def test_blocks_are_whole(r: int, c: int, rows: int, cols: int, density: float) -> None:
    pattern = Block(r, c)
    blocks = [(slice(i, i + r), slice(j, j + c)) for i in range(0, rows, r) for j in range(0, cols, c)]
    wanted = max(1, round(density * len(blocks)))
    weights = gaussian(rows, cols)
    for mask in (pattern.draw(rows, cols, density, np.random.default_rng(0)), pattern.prune(weights, density)):
        states = [mask.allowed[block] for block in blocks]
        assert all(state.all() or not state.any() for state in states)
        assert sum(bool(state.any()) for state in states) == wanted
    sums = sorted((float(np.abs(weights[block]).sum(dtype=np.float64)) for block in blocks), reverse=True)
    best = np.abs(weights[pattern.prune(weights, density).allowed]).sum(dtype=np.float64)
    assert best == pytest.approx(sum(sums[:wanted]))


@settings(max_examples=80, deadline=None)
@given(
    lanes=st.sampled_from([1, 4, 8, 16]),
    arrangement=st.sampled_from(["balanced", "partitioned"]),
    rows=SIDES,
    cols=SIDES,
    overlay=st.integers(1, 1000),
    seed=st.integers(0, 99),
)
def test_complementary_invariants(lanes: int, arrangement: str, rows: int, cols: int, overlay: int, seed: int) -> None:
    pattern = Complementary(lanes, arrangement)  # type: ignore[arg-type]
    density = 1 / overlay
    assert pattern.overlay(density) == overlay
    assert_complementary(pattern.draw(rows, cols, density, np.random.default_rng(seed)), pattern, overlay)
    assert_complementary(pattern.prune(gaussian(rows, cols, seed), density), pattern, overlay)


@pytest.mark.parametrize("label", ["complementary/1", "complementary/1/partitioned"])
def test_a_lone_row_is_not_left_empty(label: str) -> None:
    pattern = parse_pattern(label)
    for seed in range(20):
        assert pattern.draw(1, 1, 0.05, np.random.default_rng(seed)).nnz == 1
        assert pattern.prune(gaussian(1, 1, seed), 0.05).nnz == 1


def test_other_patterns_do_not_overlay() -> None:
    patterns: list[Pattern] = [Unstructured(), Block(4, 4), Stored()]
    assert [pattern.overlay(0.05) for pattern in patterns] == [None, None, None]


def awkward_score(kind: str, overlay: int, inputs: int, rng: np.random.Generator) -> np.ndarray:
    score = np.abs(rng.standard_normal((overlay, inputs)))
    match kind:
        case "rows differ":
            score *= np.exp(3 * rng.standard_normal((overlay, 1)))
        case "rank one":
            score = rng.random((overlay, 1)) * rng.random((1, inputs))
        case "mostly zero":
            score *= rng.random(score.shape) < 0.1
        case "whole numbers":
            score = np.round(score)
        case "absent groups":
            score[overlay // 2 :] = 0
        case "equal":
            score[:] = 1
        case "tiny":
            score *= 1e-42
    return score


SCORES = ["plain", "rows differ", "rank one", "mostly zero", "whole numbers", "absent groups", "equal", "tiny"]


def best_balanced_total(score: np.ndarray) -> float:
    """Return the optimum over balanced owners, by a square assignment problem with one line for each place."""
    overlay, inputs = score.shape
    few, extra = divmod(inputs, overlay)
    # Each group has `few` places that must be filled and one that S - extra idle inputs may fill instead.
    places = np.repeat(score, few + 1, axis=0)
    idle = np.full((len(places), overlay - extra), -1e6 * (score.max() + 1))
    idle[few :: few + 1] = 0
    square = np.hstack([places, idle])
    lines, columns = linear_sum_assignment(square, maximize=True)
    return float(square[lines, columns].sum())


@pytest.mark.parametrize("kind", SCORES)
def test_balanced_owners_are_optimal(kind: str) -> None:
    rng = np.random.default_rng(len(kind))
    for _ in range(25):
        overlay, inputs = int(rng.integers(1, 13)), int(rng.integers(1, 60))
        score = awkward_score(kind, overlay, inputs, rng)
        owner = balanced_owners(score)
        owned = np.bincount(owner, minlength=overlay)
        assert inputs // overlay <= owned.min()
        assert owned.max() <= -(-inputs // overlay)
        best = best_balanced_total(score)
        assert score[owner, np.arange(inputs)].sum() == pytest.approx(best, rel=1e-8, abs=1e-8 * score.max())


@pytest.mark.parametrize("kind", SCORES)
@pytest.mark.parametrize("overlay", [1, 2, 3, 4, 5, 6])
def test_partitioned_owners_are_optimal(kind: str, overlay: int) -> None:
    rng = np.random.default_rng(overlay)
    inputs = 3 * overlay + overlay // 2
    score = awkward_score(kind, overlay, inputs, rng)
    owner = partitioned_owners(score)
    for start in range(0, inputs, overlay):
        part = score[:, start : start + overlay]
        places = np.arange(part.shape[1])
        best = max(part[list(order), places].sum() for order in permutations(range(overlay), len(places)))
        chosen = owner[start : start + overlay]
        assert len(set(chosen.tolist())) == len(chosen)
        assert part[chosen, places].sum() == pytest.approx(best)


@pytest.mark.parametrize("lanes", [1, 4])
def test_more_freedom_keeps_more(lanes: int) -> None:
    weights = gaussian(80, 120, seed=3)
    labels = ["unstructured", f"complementary/{lanes}", f"complementary/{lanes}/partitioned"]
    masks = [parse_pattern(label).prune(weights, 0.1) for label in labels]
    assert {mask.nnz for mask in masks} == {960}
    shares = [kept(weights, mask).l1 for mask in masks]
    assert shares[0] > shares[1] > shares[2] > 0.1
    finer = kept(weights, parse_pattern("complementary/1").prune(weights, 0.1)).l1
    assert finer >= shares[1]


def test_stored_keeps_what_is_there() -> None:
    weights = np.array([[0, 1.5], [-0.0, 1e-45]], np.float32)
    mask = Stored().prune(weights, 0.05)
    assert mask.allowed.tolist() == [[False, True], [False, True]]
    assert mask.owner is None
    with pytest.raises(InputError, match="pattern 'stored' needs weights from a file"):
        Stored().draw(2, 2, 0.5, np.random.default_rng(0))


def test_zero_weights_keep_everything() -> None:
    zeros = np.zeros((8, 40), np.float32)
    for label in LABELS:
        assert kept(zeros, parse_pattern(label).prune(zeros, 0.1)) == (1.0, 1.0)


@pytest.mark.parametrize(
    ("density", "lower", "upper"),
    [
        (0.07, r"1/15 = 0.06667 \(sparsity 0.9333\)", r"1/14 = 0.07143 \(sparsity 0.9286\)"),
        (0.3, "1/4 = 0.25 ", "1/3 = 0.3333 "),
        (0.75, "1/2 = 0.5 ", r"1/1 = 1 \(sparsity 0\)"),
    ],
)
def test_a_density_that_is_no_whole_overlay_is_refused_with_the_nearest(density: float, lower: str, upper: str) -> None:
    with pytest.raises(InputError, match=f"density {density} would overlay .* are {lower}.* and {upper}"):
        Complementary(8).check(density)
    with pytest.raises(InputError, match=f"density {density}"):
        Problem.parse(f"matmul:64x64x8:complementary/8+{1 - density:g}:f32")


@given(overlay=st.integers(1, 999))
def test_a_whole_overlay_may_be_written_with_four_digits(overlay: int) -> None:
    for text in (f"{1 / overlay}", f"{1 / overlay:.10g}", f"{1 / overlay:.4g}"):
        Complementary(8).check(float(text))
        assert Complementary(8).overlay(float(text)) == overlay


def test_two_digits_stand_for_the_whole_overlay_within_one_percent() -> None:
    for density, overlay in ((0.33, 3), (0.11, 9), (0.01, 100)):
        Complementary(8).check(density)
        assert Complementary(8).overlay(density) == overlay


def test_a_density_that_overlays_absurdly_many_is_refused() -> None:
    with pytest.raises(InputError, match=r"would overlay 1000000000 lane groups; .* at most 4096"):
        Complementary(8).check(1e-9)
