"""PyData sparse: a GCXS array (compressed rows), its product compiled by Numba; one thread, a new array each call."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

import numpy as np

from sparsebench.baselines import installed
from sparsebench.kernel import Kernel, Plan, PythonPlan

if TYPE_CHECKING:
    from sparsebench.operands import Weights
    from sparsebench.problem import Problem


def load(threads: int) -> None:
    """Import the library."""
    importlib.import_module("sparse")


def _prepare(problem: Problem, weights: Weights, threads: int) -> Plan:
    csr = weights.csr
    sparse = importlib.import_module("sparse")
    matrix = sparse.GCXS((csr.data, csr.indices, csr.indptr), shape=csr.shape, compressed_axes=(0,))
    # Compiled at the first call.
    matrix @ np.zeros(problem.x_shape, np.float32)
    nbytes = csr.data.nbytes + csr.indices.nbytes + csr.indptr.nbytes
    return PythonPlan(lambda x, out: matrix @ x, nbytes, "GCXS @ x, 1 thread")


KERNELS = [
    Kernel(
        "pydata-csr",
        "matmul",
        "sparse",
        "PyData sparse: GCXS @ x, one thread",
        lambda problem: None,
        _prepare,
        timed_in="python",
        runtime="pydata_sparse",
        **installed("sparse", "PyData sparse"),
    )
]
