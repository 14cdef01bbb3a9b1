"""Which pattern zeros follow: every pattern is recognised where it was drawn, and packing loses and invents nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsebench.formats import BlockSparse
from sparsebench.models import zeros
from sparsebench.patterns import parse_pattern


def drawn(label: str, rows: int, cols: int, density: float, seed: int = 0) -> np.ndarray:
    return parse_pattern(label).draw(rows, cols, density, np.random.default_rng(seed)).allowed


@pytest.mark.parametrize(
    ("label", "density", "found"),
    [
        ("complementary/8", 0.05, "complementary/8"),
        ("complementary/16", 0.25, "complementary/16"),
        ("complementary/4", 0.5, "complementary/4"),
        ("complementary/1", 0.1, "complementary/1"),
        ("complementary/1/partitioned", 0.25, "complementary/1"),
        ("block/4x4", 0.1, "block/4x4"),
        ("block/16x1", 0.2, "block/16x1"),
        ("block/1x8", 0.2, "block/1x8"),
        ("block/8x8", 0.3, "block/8x8"),
        ("unstructured", 0.05, "unstructured"),
        ("unstructured", 0.5, "unstructured"),
        ("unstructured/skewed", 0.3, "unstructured"),
    ],
)
# The second has a last set, a last block and a last lane group that are not whole.
@pytest.mark.parametrize(("rows", "cols"), [(384, 512), (400, 480)])
def test_a_pattern_is_found_in_what_was_drawn_from_it(label: str, density: float, found: str, rows: int, cols: int):
    values = drawn(label, rows, cols, density) * np.float32(2)
    assert zeros.find(values).pattern == found


def test_two_of_four_is_found_and_its_efficiency_is_whole():
    rng = np.random.default_rng(0)
    mask = np.zeros((64, 32, 4), np.bool_)
    np.put_along_axis(mask, rng.permuted(np.tile(np.arange(4), (64, 32, 1)), axis=2)[..., :2], True, axis=2)
    found = zeros.find(mask.reshape(64, 128).astype(np.float32))
    assert found.pattern == "2:4"
    assert [fit.efficiency for fit in found.fits if fit.pattern == "2:4"] == [1]


def test_two_of_four_along_the_channels_of_each_tap_is_found():
    rng = np.random.default_rng(0)
    mask = np.zeros((16, 9, 8, 4), np.bool_)
    np.put_along_axis(mask, rng.permuted(np.tile(np.arange(4), (16, 9, 8, 1)), axis=3)[..., :2], True, axis=3)
    values = mask.reshape(16, 9, 32).transpose(0, 2, 1).reshape(16, 288).astype(np.float32)
    assert zeros.find(values, taps=9).pattern == "2:4"
    assert zeros.find(values).pattern == "unstructured"


@pytest.mark.parametrize(("axis", "name"), [(0, "rows"), (1, "columns")])
def test_pruned_filters_and_channels_are_found(axis: int, name: str):
    values = np.ones((24, 36), np.float32)
    np.moveaxis(values, axis, 0)[[1, 5, 6]] = 0
    assert zeros.find(values).pattern == name


def test_hardly_any_zero_is_dense_and_nothing_else_is_all_zero():
    values = np.ones((100, 100), np.float32)
    values[0, 0] = 0
    found = zeros.find(values)
    assert (found.pattern, found.fits, found.best, found.share) == ("dense", (), None, pytest.approx(1e-4))
    assert zeros.find(values * 0).pattern == "all zero"
    assert zeros.find(values * 0).rows == (0, 0, 0)


def test_rows_are_counted():
    values = np.zeros((4, 8), np.float32)
    values[0, :1] = values[1, :3] = values[2, :4] = 1
    found = zeros.find(values)
    assert (found.size, found.nnz, found.rows) == (32, 8, (0, 2, 4))


MASKS = st.builds(
    lambda rows, cols, density, seed: np.random.default_rng(seed).random((rows, cols)) < density,
    st.integers(1, 40),
    st.integers(1, 70),
    st.floats(0.02, 0.9),
    st.integers(0, 1000),
).filter(np.any)


@given(mask=MASKS)
@settings(max_examples=100, deadline=None)
def test_blocks_are_those_of_the_format(mask: np.ndarray):
    for rows, cols in zeros.BLOCKS:
        fit = zeros.block(mask, rows, cols)
        packed = BlockSparse.pack(mask.astype(np.float32), mask, (rows, cols))
        assert fit.units == len(packed.indices)
        assert fit.efficiency == np.count_nonzero(mask) / packed.values.size


@given(mask=MASKS, m=st.sampled_from([4, 8, 16]))
@settings(max_examples=100, deadline=None)
def test_n_is_the_most_that_any_group_has(mask: np.ndarray, m: int):
    groups = [row[start : start + m] for row in mask for start in range(0, len(row), m)]
    fit = zeros.n_of_m(mask, m)
    assert fit.units == max(map(np.count_nonzero, groups))
    assert fit.efficiency == np.count_nonzero(mask) / sum(min(fit.units, len(group)) for group in groups)


@given(mask=MASKS, lanes=st.sampled_from([1, 4, 8, 16]))
@settings(max_examples=100, deadline=None)
def test_overlays_lie_between_what_the_inputs_need_and_one_for_each_group(mask: np.ndarray, lanes: int):
    """The fewest overlays are not known; no input may be in one twice, so that its busiest input bounds them."""
    groups = [mask[start : start + lanes].any(axis=0) for start in range(0, len(mask), lanes)]
    fit = zeros.complementary(mask, lanes)
    assert max(np.sum(groups, axis=0)) <= fit.units <= sum(map(np.any, groups))
    assert fit.efficiency == np.count_nonzero(mask) / (fit.units * mask.shape[1] * lanes)
    assert 0 < fit.efficiency <= 1


def test_groups_share_an_overlay_exactly_where_they_have_no_input_in_common():
    rows = {"A": [0, 1], "B": [2, 3], "C": [1, 2], "D": [0, 3]}
    for order, overlays in (("AB", 1), ("ABC", 2), ("ACBD", 2), ("AC", 2)):
        mask = np.zeros((len(order), 200), np.bool_)
        for row, name in enumerate(order):
            # Beyond the first words, which are looked at before the others.
            mask[row, [190 + at for at in rows[name]]] = True
        assert zeros.complementary(mask, 1).units == overlays


@given(mask=MASKS, seed=st.integers(0, 100))
@settings(max_examples=50, deadline=None)
def test_values_do_not_matter_where_they_are_not_zero(mask: np.ndarray, seed: int):
    values = np.random.default_rng(seed).uniform(1, 2, mask.shape) * mask
    assert zeros.find(values) == zeros.find(mask.astype(np.float32))
