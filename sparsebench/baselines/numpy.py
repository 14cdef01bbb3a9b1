"""NumPy: dense products by the BLAS that it was built with (OpenBLAS in PyPI's wheels)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sparsebench.kernel import Kernel, Plan, PythonPlan

if TYPE_CHECKING:
    from sparsebench.operands import Weights
    from sparsebench.problem import Problem


def _prepare(problem: Problem, weights: Weights, threads: int) -> Plan:
    dense = weights.dense
    return PythonPlan(lambda x, out: np.matmul(dense, x, out=out), dense.nbytes, "np.matmul")


KERNELS = [
    Kernel(
        name="numpy-dense",
        op="matmul",
        provider="numpy",
        summary="np.matmul into a given array",
        supports=lambda problem: None,
        prepare=_prepare,
        dense=True,
        timed_in="python",
        version=np.__version__,
    )
]
