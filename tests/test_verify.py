from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sparsebench.bench import verify
from sparsebench.bench.verify import check, poison, reference
from sparsebench.operands import Operands, make_operands
from sparsebench.patterns import parse_pattern
from sparsebench.problem import Problem


@pytest.fixture
def operands() -> Operands:
    return make_operands(Problem("matmul", 20, 30, 6, parse_pattern("unstructured"), density=0.3))


@pytest.mark.parametrize("density", [0.05, 0.9])
def test_reference_is_the_product_in_float64(density: float) -> None:
    operands = make_operands(Problem("matmul", 20, 30, 6, parse_pattern("unstructured"), density))
    expected = reference(operands)
    dense = operands.weights.dense.astype(np.float64)
    assert expected.y.dtype == np.float64
    np.testing.assert_allclose(expected.y, dense @ operands.x.astype(np.float64), rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(expected.magnitude, abs(dense) @ abs(operands.x.astype(np.float64)), rtol=1e-13)
    assert expected.length == np.count_nonzero(operands.weights.mask.allowed, axis=1).max()


def test_the_right_answer_in_fp32_is_ok(operands: Operands) -> None:
    expected = reference(operands)
    verdict = check(operands.weights.dense @ operands.x, expected)
    assert verdict.status == "ok"
    assert 0 < verdict.max_rel_error <= expected.tolerance


def test_a_small_mistake_is_wrong(operands: Operands) -> None:
    expected = reference(operands)
    out = expected.y.astype(np.float32)
    out[7, 3] += np.float32(2e-4) * np.float32(expected.magnitude[7, 3])
    verdict = check(out, expected)
    assert verdict.status == "wrong"
    assert "y[7, 3]" in verdict.error


def test_weights_too_small_for_all_digits_are_no_mistake(operands: Operands) -> None:
    dense = operands.weights.dense.copy()
    # Numbers of float32 there are 1.4e-45 apart.
    dense[3] *= np.float32(1e-40)
    few = replace(operands, weights=replace(operands.weights, dense=dense))
    expected = reference(few)
    out = dense @ few.x
    assert np.abs(out[3] / expected.y[3] - 1).max() > expected.tolerance
    assert check(out, expected).status == "ok"
    out[3, 2] += np.float32(1e-39)
    assert check(out, expected).status == "wrong"


def test_an_element_not_written_is_wrong(operands: Operands) -> None:
    expected = reference(operands)
    out = np.empty((20, 6), np.float32)
    poison(out)
    out[:, :5] = expected.y[:, :5]
    verdict = check(out, expected)
    assert verdict.status == "wrong"
    assert "y[0, 5] is nan" in verdict.error


def test_anything_in_an_empty_row_is_wrong() -> None:
    operands = make_operands(Problem("matmul", 40, 4, 3, parse_pattern("unstructured"), density=0.1))
    expected = reference(operands)
    empty = int(np.flatnonzero(expected.magnitude[:, 0] == 0)[0])
    out = expected.y.astype(np.float32)
    out[empty, 0] = 1e-30
    assert check(out, expected).status == "wrong"


def test_an_answer_of_zeros_is_mistrusted() -> None:
    operands = make_operands(Problem("matmul", 500, 4, 3, parse_pattern("unstructured"), density=1e-6))
    expected = reference(operands)
    verdict = check(expected.y.astype(np.float32), expected)
    assert verdict.status == "mistrusted"


@pytest.fixture(scope="module")
def large() -> Operands:
    """Of more elements than are compared at a time."""
    return make_operands(Problem("matmul", 300, 20, 150, parse_pattern("unstructured"), density=0.3))


def test_all_parts_of_a_large_answer_are_compared(large: Operands) -> None:
    expected = reference(large)
    right = expected.y.astype(np.float32)
    assert right.size > 2 * verify._PART
    assert check(right, expected).status == "ok"
    for place in ((0, 0), (150, 7), (299, 149)):
        out = right.copy()
        out[place] += np.float32(1e-3) * np.float32(expected.magnitude[place])
        verdict = check(out, expected)
        assert verdict.status == "wrong"
        assert f"y{list(place)}" in verdict.error
        assert verdict.max_rel_error == pytest.approx(1e-3, rel=0.01)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_told_before_what_is_only_wrong(large: Operands, value: float) -> None:
    expected = reference(large)
    out = expected.y.astype(np.float32)
    out[0, 0] += 100
    out[299, 3] = value
    verdict = check(out, expected)
    assert (verdict.status, verdict.max_rel_error) == ("wrong", np.inf)
    assert f"y[299, 3] is {value}: not written, or overflowed" in verdict.error


def test_a_large_number_where_nothing_may_be_is_wrong() -> None:
    operands = make_operands(Problem("matmul", 40, 4, 3, parse_pattern("unstructured"), density=0.1))
    expected = reference(operands)
    empty = int(np.flatnonzero(expected.magnitude[:, 0] == 0)[0])
    out = expected.y.astype(np.float32)
    out[empty, 0] = 1e30
    verdict = check(out, expected)
    assert verdict.status == "wrong"
    assert f"y[{empty}, 0] is 1e+30" in verdict.error


def test_an_answer_in_another_order_of_memory(operands: Operands) -> None:
    expected = reference(operands)
    assert check(np.asfortranarray(operands.weights.dense @ operands.x), expected).status == "ok"
