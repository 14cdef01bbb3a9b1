"""Numba: a CSR product as its users write one, rows in parallel, columns vectorised, compiled while preparing."""

from __future__ import annotations

import importlib
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from sparsebench.baselines import installed
from sparsebench.kernel import Kernel, Matrix, Plan, PythonPlan

if TYPE_CHECKING:
    from sparsebench.operands import Weights
    from sparsebench.problem import Problem


def load(threads: int) -> None:
    """Import Numba, and set its threads."""
    importlib.import_module("numba").set_num_threads(threads)


@cache
def _product() -> Any:
    numba = importlib.import_module("numba")

    @numba.njit(parallel=True, fastmath=True)
    def product(indptr, indices, values, x, out):  # type: ignore[no-untyped-def]
        for row in numba.prange(len(indptr) - 1):
            out[row, :] = 0
            for place in range(indptr[row], indptr[row + 1]):
                weight, k = values[place], indices[place]
                for column in range(x.shape[1]):
                    out[row, column] += weight * x[k, column]

    @numba.njit(parallel=True, fastmath=True)
    def vector_product(indptr, indices, values, x, out):  # type: ignore[no-untyped-def]
        for row in numba.prange(len(indptr) - 1):
            total = values.dtype.type(0)
            for place in range(indptr[row], indptr[row + 1]):
                total += values[place] * x[indices[place], 0]
            out[row, 0] = total

    return product, vector_product


def _prepare(problem: Problem, weights: Weights, threads: int) -> Plan:
    product = _product()[problem.N == 1]
    csr = weights.csr
    arrays = (csr.indptr, csr.indices, csr.data)

    def compute(x: Matrix, out: Matrix) -> Matrix:
        product(*arrays, x, out)
        return out

    # Compiled at the first call.
    compute(np.zeros(problem.x_shape, np.float32), np.zeros(problem.y_shape, np.float32))
    layer = importlib.import_module("numba").threading_layer()
    return PythonPlan(compute, sum(array.nbytes for array in arrays), f"njit(parallel, fastmath), threads by {layer}")


KERNELS = [
    Kernel(
        "numba-csr",
        "matmul",
        "numba",
        "loops over CSR rows, njit(parallel, fastmath)",
        lambda problem: None,
        _prepare,
        timed_in="python",
        runtime="numba",
        **installed("numba", "Numba"),
    )
]
