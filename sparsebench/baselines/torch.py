"""PyTorch on CPUs: dense products and convolutions by MKL and oneDNN, sparse tensors, bfloat16, torch.compile.

Where PyTorch has several ways to compute one problem, all are prepared and the fastest is kept: `detail` says which.
Everything runs in inference mode on views of the operands; a result that PyTorch returns as a new tensor is not copied
within the timed call.
"""

from __future__ import annotations

import importlib
import os
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from sparsebench import isa
from sparsebench.baselines import installed, square_blocks, supports_square_blocks
from sparsebench.candidates import Candidate, keep_fastest, layouts
from sparsebench.formats import BlockSparse
from sparsebench.kernel import Kernel, Matrix, Plan, PythonPlan

if TYPE_CHECKING:
    from sparsebench.layouts import Layout
    from sparsebench.operands import Weights
    from sparsebench.problem import Problem

Tensor = Any
Pair = tuple[Tensor, Tensor]
Given = Callable[[Tensor, Tensor], Pair]
Compute = Callable[[Tensor, Tensor], Tensor]
# Read when the libraries are loaded: a comparison at AVX2 holds all that PyTorch calls to it.
_HELD_TO_AVX2 = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"}
_BF16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}


def library() -> Any:
    """Return the module torch."""
    return importlib.import_module("torch")


@cache
def load(threads: int) -> object:
    """Import PyTorch, set its threads, and begin inference mode, which lasts as long as what this returns."""
    if isa.rivals_at_avx2():
        os.environ.update(_HELD_TO_AVX2)
    # No compiler processes beside the measured one.
    os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")
    torch = library()
    torch.set_num_threads(threads)
    warnings.filterwarnings("ignore", "Sparse (CSR|BSR) tensor support is in beta")
    mode = torch.inference_mode()
    mode.__enter__()
    return mode


def _as_they_are(x: Tensor, out: Tensor) -> Pair:
    return x, out


def _flat(x: Tensor, out: Tensor) -> Pair:
    return x.view(-1), out.view(-1)


def _as_rows(x: Tensor, out: Tensor) -> Pair:
    return x.view(1, -1), out.view(1, -1)


def _transposed(x: Tensor, out: Tensor) -> Pair:
    return x.t(), out.t()


@dataclass(slots=True)
class TensorPlan(PythonPlan):
    """A plan whose `compute` takes and returns tensors; `given` makes the bound arrays into what it takes."""

    given: Given = _as_they_are

    def bind(self, x: Matrix, out: Matrix) -> None:
        """Fix the operands, without copying them."""
        torch = library()
        self._operands = self.given(torch.from_numpy(x), torch.from_numpy(out))

    def collect(self) -> None:
        """Put the last call's result where `bind` said."""
        if self._operands is not None and self._result is not None and self._result is not self._operands[1]:
            out: Tensor = self._operands[1]
            out.copy_(self._result)


def _any(problem: Problem) -> None:
    return None


def columns_of(problem: Problem) -> list[tuple[Layout, Given]]:
    """Return how X and Y can be had as [N, K] and [N, M]: in a layout, or where one column is both layouts."""
    if problem.N == 1:
        return [("row", _as_rows)]
    return [(layout, _as_they_are) for layout in layouts(problem) if layout == "column"]


def _onednn() -> Any:
    """Return oneDNN's products, which torch.compile calls, or None where this build has none."""
    torch = library()
    usable = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    return torch.ops.mkldnn if usable else None


def _packed_by_onednn(W: Tensor, N: int) -> Compute | None:
    """Return X W^T on weights that oneDNN has packed, as torch.compile does when it freezes a model."""
    if (onednn := _onednn()) is None:
        return None
    packed, product = onednn._reorder_linear_weight(W, N), onednn._linear_pointwise.default
    return lambda x, out: product(x, packed, None, "none", [], "")


def _packed_by_mkl(W: Tensor, N: int) -> Compute | None:
    torch = library()
    if not (torch.backends.mkl.is_available() and hasattr(torch.ops.mkl, "_mkl_linear")):
        return None
    packed, product = torch.ops.mkl._mkl_reorder_linear_weight(W, N), torch.ops.mkl._mkl_linear.default
    return lambda x, out: product(x, packed, W, None, N)


def _row_by_onednn(W: Tensor) -> Compute | None:
    """Return W X, W taking the part of the activations: nothing needs to be transposed."""
    if (onednn := _onednn()) is None:
        return None
    product = onednn._linear_pointwise.default
    return lambda x, out: product(W, x.t(), None, "none", [], "")


def _plan(
    make: Callable[[], Compute | None], nbytes: int, detail: str, layout: Layout = "row", given: Given = _as_they_are
) -> Plan | None:
    compute = make()
    return None if compute is None else TensorPlan(compute, nbytes, detail, layout=layout, given=given)


def _prepare_dense(problem: Problem, weights: Weights, threads: int) -> Plan:
    torch = library()
    W, nbytes, N = torch.from_numpy(weights.dense), weights.dense.nbytes, problem.N
    linear, transposed = torch.nn.functional.linear, W.t()
    candidates: list[Candidate] = [
        partial(_plan, lambda: lambda x, out: torch.mm(W, x, out=out), nbytes, "torch.mm"),
        partial(_plan, partial(_row_by_onednn, W), nbytes, "oneDNN"),
    ]
    if N == 1:
        candidates.append(
            partial(_plan, lambda: lambda x, out: torch.mv(W, x, out=out), nbytes, "torch.mv", given=_flat)
        )
    by_columns: dict[str, Callable[[], Compute | None]] = {
        "torch.mm of X as [N, K]": lambda: lambda x, out: torch.mm(x, transposed, out=out),
        "F.linear": lambda: lambda x, out: linear(x, W),
        "oneDNN, packed weights": partial(_packed_by_onednn, W, N),
        "MKL, packed weights": partial(_packed_by_mkl, W, N),
    }
    for form in columns_of(problem):
        candidates += [partial(_plan, make, nbytes, detail, *form) for detail, make in by_columns.items()]
    return keep_fastest("torch-dense", candidates, problem, weights, threads)


def _prepare_bf16(problem: Problem, weights: Weights, threads: int) -> Plan:
    """Hold W, X and Y in bfloat16, as its user does: nothing is converted within the timed call."""
    torch = library()
    W = torch.from_numpy(weights.dense).bfloat16()
    nbytes, said = W.numel() * W.element_size(), "X and Y in bf16"

    def in_bf16(given: Given, x: Tensor, out: Tensor) -> Pair:
        x, out = given(x, out)
        return x.bfloat16(), out

    row = partial(in_bf16, _as_they_are)
    candidates: list[Candidate] = [
        partial(_plan, lambda: lambda x, out: torch.mm(W, x), nbytes, f"torch.mm, {said}", given=row)
    ]
    packed = partial(_plan, partial(_packed_by_onednn, W, problem.N), nbytes, f"oneDNN, packed weights, {said}")
    candidates += [partial(packed, layout, partial(in_bf16, given)) for layout, given in columns_of(problem)]
    return keep_fastest("torch-bf16", candidates, problem, weights, threads)


def _supports_bf16(problem: Problem) -> str | None:
    from sparsebench.bench.machine import cpu_flags

    if not cpu_flags() & _BF16_FLAGS:
        return "this CPU has no bfloat16 instructions (avx512_bf16, amx_bf16 or bf16)"
    return "bfloat16 needs AVX-512, and this level is held to AVX2" if isa.rivals_at_avx2() else None


def _prepare_csr(problem: Problem, weights: Weights, threads: int) -> Plan:
    torch = library()
    matrix = weights.csr
    # PyTorch's MKL takes 32-bit indices; 64-bit ones it would convert at every call.
    parts = [torch.from_numpy(part) for part in (matrix.indptr, matrix.indices, matrix.data)]
    S = torch.sparse_csr_tensor(*parts, size=weights.dense.shape, check_invariants=False)
    nbytes = sum(part.numel() * part.element_size() for part in parts)
    return keep_fastest("torch-csr", list(_sparse(lambda: (S, nbytes), "CSR", problem)), problem, weights, threads)


def _prepare_bsr(problem: Problem, weights: Weights, threads: int) -> Plan:
    torch = library()

    @cache
    def packed(size: int) -> tuple[Tensor, int]:
        matrix = BlockSparse.pack(weights.dense, weights.mask.allowed, (size, size))
        parts = [torch.from_numpy(part) for part in (matrix.indptr, matrix.indices, matrix.values)]
        return torch.sparse_bsr_tensor(*parts, size=weights.dense.shape, check_invariants=False), matrix.nbytes

    candidates: list[Candidate] = []
    for size in square_blocks(problem):
        candidates += _sparse(partial(packed, size), f"BSR {size}x{size}", problem)
    return keep_fastest("torch-bsr", candidates, problem, weights, threads)


def _sparse(packed: Callable[[], tuple[Tensor, int]], form: str, problem: Problem) -> Iterator[Candidate]:
    """Yield the ways to multiply by a sparse tensor, which is packed, with its bytes, when one of them is prepared."""
    torch = library()

    def way(
        multiply: Callable[[Tensor], Compute],
        detail: str,
        layout: Layout = "row",
        given: Given = _as_they_are,
    ) -> Candidate:
        def plan() -> Plan:
            S, nbytes = packed()
            return TensorPlan(multiply(S), nbytes, f"{form}, {detail}", layout=layout, given=given)

        return plan

    yield way(lambda S: lambda x, out: torch.mm(S, x), "torch.mm")
    yield way(lambda S: lambda x, out: torch.addmm(out, S, x, beta=0, out=out), "torch.addmm")
    if "column" in layouts(problem):
        yield way(lambda S: lambda x, out: torch.mm(S, x), "torch.mm of X by columns", "column", _transposed)
    if problem.N == 1:
        yield way(lambda S: lambda x, out: torch.mv(S, x), "torch.mv", given=_flat)


def pytorch() -> dict[str, Any]:
    """Return `missing` or `version`: of the CPU build, since PyPI's for x86-64 is of CUDA, several GB."""
    return installed("torch", "PyTorch", " --index-url https://download.pytorch.org/whl/cpu")


def kernel(name: str, summary: str, supports: Any, prepare: Any, op: str = "matmul", **more: Any) -> Kernel:
    """Return a kernel of PyTorch, timed in a process that loads it alone."""
    common = {"timed_in": "python", "runtime": "torch", **pytorch()}
    return Kernel(name, op, "torch", summary, supports, prepare, **(common | more))


KERNELS = [
    kernel(
        "torch-dense", "torch.mm, F.linear, or packed by oneDNN or MKL: the fastest", _any, _prepare_dense, dense=True
    ),
    kernel("torch-csr", "CSR tensor, torch.mm by MKL", _any, _prepare_csr),
    kernel("torch-bsr", "BSR tensor, torch.mm by MKL, any square block", supports_square_blocks, _prepare_bsr),
    kernel(
        "torch-bf16",
        "dense in bfloat16, its conversions not timed; no rival of float32",
        _supports_bf16,
        _prepare_bf16,
        dtype="bf16",
    ),
]
