"""SuiteSparse:GraphBLAS by python-graphblas: CSR times a full matrix over the semiring plus_times.

X is handed over before the timed call, and the result stays a GraphBLAS matrix, as in its users' programs.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from sparsebench.baselines import installed
from sparsebench.candidates import keep_fastest
from sparsebench.kernel import Kernel, Matrix, Plan, PythonPlan

if TYPE_CHECKING:
    from sparsebench.operands import Weights
    from sparsebench.problem import Problem


def _library() -> Any:
    return importlib.import_module("graphblas")


def load(threads: int) -> None:
    """Import the library, and set its threads."""
    _library().ss.config["nthreads"] = threads


@dataclass(slots=True)
class GraphPlan(PythonPlan):
    """A plan whose `compute` takes and returns GraphBLAS matrices."""

    _target: Matrix | None = None

    def bind(self, x: Matrix, out: Matrix) -> None:
        """Hand x over, and make a full matrix for the result of what `out` holds."""
        make = _library().Matrix.from_dense
        self._operands, self._target = (make(x), make(out)), out

    def collect(self) -> None:
        """Put the last call's result where `bind` said; what is not stored is zero."""
        if self._result is not None and self._target is not None:
            result: Any = self._result
            self._target[:] = result.to_dense(fill_value=0)


def _replacing(A: Any, x: Any, y: Any) -> Any:
    y << _library().semiring.plus_times(A @ x)
    y.wait()
    return y


def _adding(A: Any, x: Any, y: Any) -> Any:
    library = _library()
    y[:, :] = 0
    y(library.binary.plus) << library.semiring.plus_times(A @ x)
    y.wait()
    return y


_WAYS: dict[str, Callable[[Any, Any, Any], Any]] = {"y << A @ x": _replacing, "y[:, :] = 0, y(plus) << A @ x": _adding}


def _prepare(problem: Problem, weights: Weights, threads: int) -> Plan:
    csr = weights.csr
    A = _library().Matrix.from_csr(csr.indptr, csr.indices, csr.data, ncols=problem.K)
    # Its indices have 64 bits.
    nbytes = csr.data.nbytes + 2 * (csr.indices.nbytes + csr.indptr.nbytes)

    def plan(detail: str) -> Plan:
        return GraphPlan(partial(_WAYS[detail], A), nbytes, detail)

    return keep_fastest("graphblas-csr", [partial(plan, detail) for detail in _WAYS], problem, weights, threads)


KERNELS = [
    Kernel(
        "graphblas-csr",
        "matmul",
        "graphblas",
        "SuiteSparse:GraphBLAS, mxm over plus_times",
        lambda problem: None,
        _prepare,
        timed_in="python",
        runtime="graphblas",
        **installed("python-graphblas", "python-graphblas"),
    )
]
