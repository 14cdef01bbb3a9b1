"""sparse_dot_mkl: SciPy's arrays multiplied by MKL, on a handle that is made anew at every call and never optimised.

It is what a user of SciPy gets who wants MKL; `mkl-csr` is what MKL can do.
"""

from __future__ import annotations

import importlib
import os
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any

from sparsebench import isa
from sparsebench.baselines import installed
from sparsebench.baselines.mkl import library_path
from sparsebench.candidates import Candidate, keep_fastest
from sparsebench.errors import UnavailableError
from sparsebench.kernel import Kernel, Plan, PythonPlan

if TYPE_CHECKING:
    from sparsebench.operands import Weights
    from sparsebench.problem import Problem


@cache
def _library() -> Any:
    """Return the module; it finds MKL by a variable, where that is not in a folder of the system's."""
    with suppress(UnavailableError):
        os.environ.setdefault("MKL_RT", library_path())
    return importlib.import_module("sparse_dot_mkl")


def load(threads: int) -> None:
    """Load MKL on its own threads, Intel's OpenMP, and say how many; like `mkl`, held to AVX2 where all are."""
    if isa.rivals_at_avx2():
        os.environ["MKL_ENABLE_INSTRUCTIONS"] = "AVX2"
    _library().mkl_set_num_threads(threads)


def _prepare(problem: Problem, weights: Weights, threads: int) -> Plan:
    matrix, multiply = weights.csr, _library().dot_product_mkl
    nbytes = matrix.data.nbytes + matrix.indices.nbytes + matrix.indptr.nbytes
    candidates: list[Candidate] = [
        lambda: PythonPlan(lambda x, out: multiply(matrix, x), nbytes, "dot_product_mkl"),
        lambda: PythonPlan(
            lambda x, out: multiply(matrix, x, out=out, out_scalar=0), nbytes, "dot_product_mkl into an array"
        ),
    ]
    return keep_fastest("sparse-dot-mkl-csr", candidates, problem, weights, threads)


KERNELS = [
    Kernel(
        "sparse-dot-mkl-csr",
        "matmul",
        "sparse_dot_mkl",
        "dot_product_mkl of a csr_array, a new handle each call",
        lambda problem: None,
        _prepare,
        timed_in="python",
        runtime="sparse_dot_mkl",
        **installed("sparse_dot_mkl", "sparse_dot_mkl"),
    )
]
