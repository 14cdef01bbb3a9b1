"""SciPy: sparse x dense products with CSR and BSR arrays. Single-threaded; the result is a new array each call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import scipy
from scipy import sparse

from sparsebench.baselines import supports_im2col
from sparsebench.convolution import im2col
from sparsebench.formats import BlockSparse
from sparsebench.kernel import Kernel, Matrix, Plan, PythonPlan
from sparsebench.patterns import Block

if TYPE_CHECKING:
    from sparsebench.operands import Weights
    from sparsebench.problem import Problem


def _nbytes(matrix: sparse.csr_array) -> int:
    return matrix.data.nbytes + matrix.indices.nbytes + matrix.indptr.nbytes


def _prepare_csr(problem: Problem, weights: Weights, threads: int) -> Plan:
    matrix = weights.csr
    return PythonPlan(lambda x, out: matrix @ x, _nbytes(matrix), "csr_array @ x, 1 thread")


def _prepare_bsr(problem: Problem, weights: Weights, threads: int) -> Plan:
    assert isinstance(problem.pattern, Block)
    shape = (problem.pattern.rows, problem.pattern.cols)
    block = BlockSparse.pack(weights.dense, weights.mask.allowed, shape)
    empty: Any = sparse.bsr_array
    matrix = empty(block.shape, blocksize=shape, dtype="float32")
    # Given to the constructor, SciPy would copy them to wherever its own allocation happens to lie.
    matrix.data, matrix.indices, matrix.indptr = block.values, block.indices, block.indptr
    detail = f"bsr_array @ x, {shape[0]}x{shape[1]} blocks, 1 thread"
    return PythonPlan(lambda x, out: matrix @ x, block.nbytes, detail)


def _supports_bsr(problem: Problem) -> str | None:
    if not isinstance(problem.pattern, Block):
        return "needs pattern 'block'"
    if problem.M % problem.pattern.rows or problem.K % problem.pattern.cols:
        return f"{problem.pattern} does not divide {problem.M} x {problem.K}"
    return None


def _prepare_ss(problem: Problem, weights: Weights, threads: int) -> Plan:
    matrix = weights.csr

    def compute(x: Matrix, out: Matrix) -> Matrix:
        product: Matrix = (matrix @ sparse.csr_array(x)).toarray(out=out)
        return product

    return PythonPlan(compute, _nbytes(matrix), "csr_array @ csr_array(x), result as an array, 1 thread")


def _supports_ss(problem: Problem) -> str | None:
    return None if problem.act_density < 1 else "needs an activation density below 1"


def _prepare_im2col_csr(problem: Problem, weights: Weights, threads: int) -> Plan:
    conv = problem.conv
    assert conv is not None
    matrix = weights.csr

    def compute(x: Matrix, out: Matrix) -> Matrix:
        columns = (x if conv.pointwise else im2col(x, conv.window)).reshape(problem.N, conv.taps, conv.pixels)
        for sample, result in zip(columns, out, strict=True):
            result[...] = (matrix @ sample).reshape(result.shape)
        return out

    return PythonPlan(compute, _nbytes(matrix), "im2col by a strided copy, csr_array @ columns, 1 thread")


def _kernel(name: str, summary: str, supports: Any, prepare: Any, op: str = "matmul") -> Kernel:
    return Kernel(name, op, "scipy", summary, supports, prepare, timed_in="python", version=scipy.__version__)


KERNELS = [
    _kernel("scipy-csr", "csr_array @ x, one thread", lambda problem: None, _prepare_csr),
    _kernel("scipy-ss", "csr_array @ csr_array(x), conversions in the time, one thread", _supports_ss, _prepare_ss),
    _kernel("scipy-bsr", "bsr_array @ x, one thread", _supports_bsr, _prepare_bsr),
    _kernel(
        "scipy-im2col-csr",
        "im2col and csr_array @ columns, one thread",
        supports_im2col,
        _prepare_im2col_csr,
        "conv2d",
    ),
]
