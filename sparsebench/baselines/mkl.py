"""Intel oneMKL: dense (sgemm, sgemv, packed sgemm) and sparse (CSR, BSR) products, called natively.

Where MKL has several routines for one product, all are prepared and the fastest is kept: `detail` says which.
"""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from importlib import metadata
from typing import TYPE_CHECKING, Any, Literal

from sparsebench import isa
from sparsebench.baselines import square_blocks, supports_im2col, supports_square_blocks
from sparsebench.candidates import keep_fastest, layouts
from sparsebench.errors import UnavailableError
from sparsebench.formats import BlockSparse
from sparsebench.kernel import Kernel, Plan
from sparsebench.layouts import Layout

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
    import sparsebench._kernels._mkl as native

    native.load(library_path(), "gnu")
    if isa.rivals_at_avx2():
        # It says no where it has nothing to hold back.
        native.hold_to_avx2()
    return native


def _any(problem: Problem) -> None:
    return None


def _prepare_dense(problem: Problem, weights: Weights, threads: int) -> Plan:
    mkl = library()
    mkl.set_threads(threads)
    routines = [(name, layout) for layout in layouts(problem) for name in ("sgemm", "sgemm_compute")]
    routines += [("sgemv", "row")] if problem.N == 1 else []
    # Generated code runs on the calling thread alone.
    routines += [("sgemm_jit", "row")] if threads == 1 else []
    candidates = [partial(mkl.dense, weights.dense, problem.N, *routine) for routine in routines]
    return keep_fastest("dense", candidates, problem, weights, threads)


def _sparse_routines(problem: Problem, among: tuple[Layout, ...]) -> list[tuple[str, Layout]]:
    return [("mm", layout) for layout in among] + ([("mv", "row")] if problem.N == 1 else [])


def _prepare_csr(problem: Problem, weights: Weights, threads: int) -> Plan:
    mkl = library()
    mkl.set_threads(threads)
    matrix = weights.csr
    operands = (weights.dense.shape, matrix.indptr, matrix.indices, matrix.data, problem.N)
    routines = _sparse_routines(problem, layouts(problem))
    candidates = [partial(mkl.csr, *operands, *routine, EXPECTED_CALLS) for routine in routines]
    return keep_fastest("csr", candidates, problem, weights, threads)


def _prepare_bsr(problem: Problem, weights: Weights, threads: int) -> Plan:
    mkl = library()
    mkl.set_threads(threads)
    pack = cache(lambda size: BlockSparse.pack(weights.dense, weights.mask.allowed, (size, size)))

    def prepare(size: int, routine: str) -> Plan:
        matrix = pack(size)
        operands = (weights.dense.shape, size, matrix.indptr, matrix.indices, matrix.values, problem.N)
        plan: Plan = mkl.bsr(*operands, routine, EXPECTED_CALLS)
        return plan

    # BSR takes no column-major operands.
    routines = [name for name, _ in _sparse_routines(problem, ("row",))]
    candidates = [partial(prepare, size, name) for size in square_blocks(problem) for name in routines]
    return keep_fastest("bsr", candidates, problem, weights, threads)


def _product(problem: Problem) -> Problem:
    """Return the product that a sample's convolution is after im2col."""
    assert problem.conv is not None
    return replace(problem, op="matmul", N=problem.conv.pixels, conv=None)


def _prepare_im2col(
    prepare: Callable[[Problem, Weights, int], Plan], problem: Problem, weights: Weights, threads: int
) -> Plan:
    """Unroll and multiply sample by sample, all threads on each; or samples side by side, if that is faster."""
    product = _product(problem)
    engine = isa.module("im2col_engine")

    def plan(inner: list[Plan]) -> Plan:
        made: Plan = engine.Im2colPlan(inner, problem.conv, problem.x_shape, problem.y_shape, threads)
        return made

    def one_by_one() -> Plan:
        return plan([prepare(product, weights, threads)])

    def side_by_side() -> Plan:
        made = plan([prepare(product, weights, 1) for _ in range(threads)])
        # MKL's thread count is global, and preparing for one thread has set it to 1. Inside of a parallel region MKL
        # runs on the calling thread alone, whatever the count.
        library().set_threads(threads)
        return made

    if threads == 1 or threads > problem.N:
        return one_by_one()
    return keep_fastest(f"im2col {prepare.__name__}", [one_by_one, side_by_side], problem, weights, threads)


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


def _kernel(
    name: str,
    summary: str,
    supports: Any,
    prepare: Any,
    dense: bool = False,
    op: Literal["matmul", "conv2d"] = "matmul",
) -> Kernel:
    return Kernel(name, op, "mkl", summary, supports, prepare, dense=dense, missing=_missing(), version=_version())


KERNELS = [
    _kernel(
        "mkl-dense",
        "sgemm (plain, packed, generated) or sgemv, the fastest",
        _any,
        _prepare_dense,
        dense=True,
    ),
    _kernel("mkl-csr", "mkl_sparse_s_mm on an optimised CSR handle", _any, _prepare_csr),
    _kernel("mkl-bsr", "mkl_sparse_s_mm on optimised BSR, best square block", supports_square_blocks, _prepare_bsr),
    _kernel(
        "mkl-im2col",
        "im2col and sgemm, the columns written in the timed call",
        supports_im2col,
        partial(_prepare_im2col, _prepare_dense),
        dense=True,
        op="conv2d",
    ),
    _kernel(
        "mkl-im2col-csr",
        "im2col and mkl_sparse_s_mm on an optimised CSR handle",
        supports_im2col,
        partial(_prepare_im2col, _prepare_csr),
        op="conv2d",
    ),
]
