from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from sparsebench.errors import InputError
from sparsebench.memory import aligned_empty, is_aligned, require_memory
from sparsebench.operands import LastWeights, make_operands, make_weights
from sparsebench.patterns import parse_pattern
from sparsebench.problem import Problem


def problem(label: str = "unstructured", weights: str = "random", **changes: object) -> Problem:
    fields: dict[str, object] = {"M": 24, "K": 40, "N": 6, "density": 0.25} | changes
    return Problem(op="matmul", pattern=parse_pattern(label), weights=weights, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize("label", ["unstructured", "block/4x4", "complementary/4"])
def test_the_same_problem_gives_the_same_operands(label: str) -> None:
    first, second = make_operands(problem(label)), make_operands(problem(label))
    assert np.array_equal(first.weights.dense, second.weights.dense)
    assert np.array_equal(first.x, second.x)
    other = make_operands(problem(label, seed=1))
    assert not np.array_equal(first.weights.dense, other.weights.dense)
    assert not np.array_equal(first.x, other.x)


@pytest.mark.parametrize("seed", range(5))
def test_operands_are_aligned_and_zero_outside_the_mask(seed: int) -> None:
    operands = make_operands(problem(seed=seed))
    weights = operands.weights
    assert is_aligned(operands.x)
    assert is_aligned(weights.dense)
    assert is_aligned(weights.csr.data)
    assert is_aligned(weights.csr.indices)
    assert not weights.dense[~weights.mask.allowed].any()
    assert weights.mask.nnz == round(0.25 * 24 * 40)
    assert weights.kept is None


def test_all_kernels_get_the_identical_matrix() -> None:
    weights = make_operands(problem("complementary/4")).weights
    assert np.array_equal(weights.csr.toarray(), weights.dense)
    assert weights.csr.indices.dtype == weights.csr.indptr.dtype == np.int32


def test_given_weights_are_pruned_and_the_rest_reported(tmp_path: Path) -> None:
    dense = np.random.default_rng(0).standard_normal((24, 40)).astype(np.float32)
    np.save(tmp_path / "w.npy", dense)
    weights = make_weights(problem(weights=str(tmp_path / "w.npy")))
    assert weights.kept is not None
    assert weights.kept.l1 == pytest.approx(np.abs(weights.dense).sum() / np.abs(dense).sum(), rel=1e-5)
    assert weights.kept.l2_squared == pytest.approx((weights.dense**2).sum() / (dense**2).sum(), rel=1e-5)
    assert np.array_equal(weights.dense[weights.mask.allowed], dense[weights.mask.allowed])


def test_stored_keeps_what_the_file_stores(tmp_path: Path) -> None:
    from scipy.io import mmwrite

    matrix = sparse.random_array((24, 40), density=0.1, rng=np.random.default_rng(0), dtype=np.float32)
    mmwrite(tmp_path / "w.mtx", matrix)
    weights = make_weights(problem("stored", weights=str(tmp_path / "w.mtx"), density=0.1))
    np.testing.assert_allclose(weights.dense, matrix.toarray(), rtol=1e-6)
    assert weights.mask.nnz == matrix.nnz


def test_another_shape_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "w.npy", np.ones((3, 5), np.float32))
    with pytest.raises(InputError, match="are 3 x 5; the problem asks for 24 x 40"):
        make_weights(problem(weights=str(tmp_path / "w.npy")))


def test_stored_zeros_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "w.npy", np.zeros((24, 40), np.float32))
    with pytest.raises(InputError, match="hold no non-zero"):
        make_weights(problem("stored", weights=str(tmp_path / "w.npy")))


def test_what_does_not_fit_is_refused_before_it_is_allocated() -> None:
    with pytest.raises(InputError, match=r"needs about [\d,]+\.\d GiB, and"):
        make_operands(problem(M=2_000_000, K=2_000_000))


def test_activation_density() -> None:
    x = make_operands(problem(K=400, N=50, act_density=0.12)).x
    assert 0.08 < np.count_nonzero(x) / x.size < 0.16


@pytest.mark.parametrize("shape", [1, 7, (3, 5), (0, 4)])
def test_alignment(shape: int | tuple[int, ...]) -> None:
    array = aligned_empty(shape)
    assert array.shape == ((shape,) if isinstance(shape, int) else shape)
    assert array.flags.c_contiguous
    assert array.size == 0 or is_aligned(array)


def test_memory_that_is_there_is_granted() -> None:
    require_memory(1, "a byte")


def test_large_arrays_begin_on_a_huge_page() -> None:
    large = aligned_empty((600, 1000))
    assert large.ctypes.data % (2 << 20) == 0
    large[...] = 1
    assert large.sum() == 600_000
    assert aligned_empty(1000).ctypes.data % 64 == 0


def test_weights_are_kept_from_problem_to_problem_and_nothing_derived_is() -> None:
    last = LastWeights()
    first = Problem.parse("matmul:24x32x1:unstructured+0.75:f32")
    one, two = (last.make(problem, None) for problem in (first, replace(first, N=64)))
    assert two.dense is one.dense
    assert one.csr is not two.csr
    np.testing.assert_array_equal(two.dense, make_weights(first).dense)


@pytest.mark.parametrize(
    "changes", [{"M": 16}, {"K": 16}, {"seed": 1}, {"density": 0.5}, {"pattern": parse_pattern("block/4x4")}]
)
def test_other_weights_are_not_the_last(changes: dict[str, Any]) -> None:
    last = LastWeights()
    first = Problem.parse("matmul:24x32x1:unstructured+0.75:f32")
    last.make(first, None)
    other = replace(first, **changes)
    np.testing.assert_array_equal(last.make(other, None).dense, make_weights(other).dense)
    np.testing.assert_array_equal(last.make(first, None).dense, make_weights(first).dense)
