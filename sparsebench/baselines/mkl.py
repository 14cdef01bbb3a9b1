"""Intel oneMKL: dense (sgemm, sgemv, packed sgemm) and sparse (CSR, BSR) products, called natively.

Where MKL has several routines for one product, all are prepared and the fastest is kept: `detail` says which.
"""

from __future__ import annotations

import importlib
import platform
from functools import cache
from importlib import metadata
from typing import TYPE_CHECKING, Any

import numpy as np

from sparsebench.errors import UnavailableError
from sparsebench.formats import BlockSparse
from sparsebench.kernel import Kernel, Plan
from sparsebench.memory import aligned_copy, aligned_empty
from sparsebench.patterns import Block

if TYPE_CHECKING:
    from sparsebench.operands import Weights
    from sparsebench.problem import Problem

INSTALL = "pip install mkl"
# What mkl_sparse_set_mm_hint is told: far more calls than a run makes, so that any set-up is worth MKL's while.
EXPECTED_CALLS = 1_000_000


def library_path() -> str:
    """Path of libmkl_rt, from the metadata of the installed package.

    Raises
    ------
    UnavailableError
        If the package is not installed or has no such file; names the command that installs it.
    """
    if platform.machine() not in ("x86_64", "AMD64"):
        raise UnavailableError(f"MKL exists for x86-64 only; this machine is {platform.machine()}")
    try:
        files = metadata.files("mkl") or []
    except metadata.PackageNotFoundError:
        raise UnavailableError(f"MKL is not installed: {INSTALL}") from None
    for file in files:
        if file.name.startswith("libmkl_rt.so"):
            return str(file.locate())
    raise UnavailableError(f"the installed mkl package has no libmkl_rt.so: {INSTALL} --force-reinstall")


@cache
def library() -> Any:
    """Return the loaded `_mkl` module, GNU threading layer asserted: we and MKL then share one OpenMP runtime."""
    module = importlib.import_module("sparsebench._kernels._mkl")
    module.load(library_path(), "gnu")
    return module


def _fastest(plans: list[Plan], problem: Problem) -> Plan:
    if len(plans) == 1:
        return plans[0]
    from sparsebench.bench.sampler import calibrate, timer_for

    rng = np.random.default_rng(0)
    x = aligned_copy(rng.standard_normal((problem.K, problem.N), dtype=np.float32))
    out = aligned_empty((problem.M, problem.N))
    seconds = []
    for plan in plans:
        plan.run(x, out)
        timer = timer_for([plan])
        calls = calibrate(timer, 1e-3)
        seconds.append(min(timer.seconds(calls) / calls for _ in range(5)))
    return plans[int(np.argmin(seconds))]


def _any(problem: Problem) -> None:
    return None


def _prepare_dense(problem: Problem, weights: Weights, threads: int) -> Plan:
    mkl = library()
    mkl.set_threads(threads)
    routines = ["sgemm", "sgemm_compute"] + (["sgemv"] if problem.N == 1 else [])
    return _fastest([mkl.dense(weights.dense, problem.N, routine) for routine in routines], problem)


def _sparse_routines(N: int) -> list[str]:
    return ["mm", "mv"] if N == 1 else ["mm"]


def _prepare_csr(problem: Problem, weights: Weights, threads: int) -> Plan:
    mkl = library()
    mkl.set_threads(threads)
    matrix = weights.csr
    operands = (weights.dense.shape, matrix.indptr, matrix.indices, matrix.data, problem.N)
    return _fastest([mkl.csr(*operands, routine, EXPECTED_CALLS) for routine in _sparse_routines(problem.N)], problem)


def square_blocks(problem: Problem) -> list[int]:
    """Square block sizes that hold the pattern without fill and divide the matrix: MKL's BSR knows no other."""
    if not isinstance(problem.pattern, Block):
        return []
    rows, cols = problem.pattern.rows, problem.pattern.cols
    return [
        size
        for size in range(2, min(rows, cols) + 1)
        if rows % size == cols % size == problem.M % size == problem.K % size == 0
    ]


def _supports_bsr(problem: Problem) -> str | None:
    if not isinstance(problem.pattern, Block):
        return "needs pattern 'block'"
    if not square_blocks(problem):
        return f"no square block divides both {problem.pattern} and {problem.M} x {problem.K}"
    return None


def _prepare_bsr(problem: Problem, weights: Weights, threads: int) -> Plan:
    mkl = library()
    mkl.set_threads(threads)
    plans = []
    for size in square_blocks(problem):
        matrix = BlockSparse.pack(weights.dense, weights.mask.allowed, (size, size))
        operands = (weights.dense.shape, size, matrix.indptr, matrix.indices, matrix.values, problem.N)
        plans += [mkl.bsr(*operands, routine, EXPECTED_CALLS) for routine in _sparse_routines(problem.N)]
    return _fastest(plans, problem)


def _missing() -> str | None:
    try:
        library()
    except UnavailableError as error:
        return str(error)
    return None


def _version() -> str:
    try:
        return metadata.version("mkl")
    except metadata.PackageNotFoundError:
        return ""


def _kernel(name: str, summary: str, supports: Any, prepare: Any, dense: bool = False) -> Kernel:
    return Kernel(
        name, "matmul", "mkl", summary, supports, prepare, dense=dense, missing=_missing(), version=_version()
    )


KERNELS = [
    _kernel("mkl-dense", "sgemm, packed sgemm or sgemv, whichever is fastest", _any, _prepare_dense, dense=True),
    _kernel("mkl-csr", "mkl_sparse_s_mm on an optimised CSR handle", _any, _prepare_csr),
    _kernel("mkl-bsr", "mkl_sparse_s_mm on optimised BSR, best square block", _supports_bsr, _prepare_bsr),
]
