"""NumPy: dense products by the BLAS that it was built with (OpenBLAS in PyPI's wheels)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from sparsebench.convolution import im2col
from sparsebench.kernel import Kernel, Matrix, Plan, PythonPlan

if TYPE_CHECKING:
    from sparsebench.operands import Weights
    from sparsebench.problem import Problem


def _prepare(problem: Problem, weights: Weights, threads: int) -> Plan:
    dense = weights.dense
    return PythonPlan(lambda x, out: np.matmul(dense, x, out=out), dense.nbytes, "np.matmul")


def _prepare_im2col(problem: Problem, weights: Weights, threads: int) -> Plan:
    conv = problem.conv
    assert conv is not None
    dense = weights.dense.reshape(1, conv.groups, -1, conv.taps)
    grouped = (problem.N, conv.groups, conv.taps, conv.pixels)

    def compute(x: Matrix, out: Matrix) -> Matrix:
        columns = x if conv.pointwise else im2col(x, conv.window)
        np.matmul(dense, columns.reshape(grouped), out=out.reshape(problem.N, conv.groups, -1, conv.pixels))
        return out

    detail = "np.matmul" if conv.pointwise else "im2col by a strided copy, np.matmul"
    return PythonPlan(compute, dense.nbytes, detail)


def _kernel(name: str, op: str, summary: str, prepare: Callable[..., Plan]) -> Kernel:
    return Kernel(
        name, op, "numpy", summary, lambda problem: None, prepare, dense=True, timed_in="python", version=np.__version__
    )


KERNELS = [
    _kernel("numpy-dense", "matmul", "np.matmul into a given array", _prepare),
    _kernel("numpy-im2col", "conv2d", "im2col and np.matmul into a given array", _prepare_im2col),
]
