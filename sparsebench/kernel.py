"""The contract between a kernel, ours or another library's, and the bench that measures it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from sparsebench.layouts import Layout

# Provider of the kernels that are compiled from pyx/.
OURS = "sparsebench"

if TYPE_CHECKING:
    from sparsebench.problem import Problem

Matrix = NDArray[np.float32]
# What a kernel computes in; X, Y and W are float32 whatever it is.
Dtype = Literal["f32", "bf16"]


class Plan(Protocol):
    """A kernel prepared for one weight matrix: packed weights, chosen tiles, scratch memory.

    `bind` fixes the operands, `call` computes on them once. A native plan also has the address of a
    ``void (*)(void *)`` in `entry` and its argument in `context`, so that the timer can call it
    without Python; for a plan that only Python can call both are 0.
    """

    @property
    def entry(self) -> int:
        """Address of the native function, or 0."""

    @property
    def context(self) -> int:
        """Address that `entry` is called with, or 0."""

    @property
    def layout(self) -> Layout:
        """How the plan takes X and gives Y."""

    @property
    def packed_bytes(self) -> int:
        """Bytes of the weights as the kernel reads them, indices included."""

    @property
    def detail(self) -> str:
        """What the plan chose, for people: a tile, a block size, fewer threads than allowed."""

    def bind(self, x: Matrix, out: Matrix) -> None:
        """Fix the operands: x is [K, N], out is [M, N] in `layout`; float32, C order, 64-byte aligned."""

    def call(self) -> None:
        """Compute out = W x for the bound operands."""

    def run(self, x: Matrix, out: Matrix) -> object:
        """Bind and call; afterwards `out` holds the result."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """One way to compute a problem.

    `dense` kernels multiply by every weight, zeros included: their roofline is that of 2 M K N operations.
    `skips_zeros` kernels read and multiply only what meets a non-zero activation.
    `prepare` takes (problem, weights, threads); our convolutions also what
    `sparsebench.conv_plan.prepare_conv` fuses with them: `bias`, `relu`, `winners`.
    `supports` answers None, or the reason why the kernel cannot take the problem. `missing` is None,
    or says which library is absent and the command that installs it.
    `engine` kernels of op "network" run it as the user of a dense engine does, with ReLU for k-winners, and with the
    weights that are stored or with dense ones: see `sparsebench.nets.engines`.
    A kernel whose library brings threads of its own names a `runtime`: all kernels of that name are prepared and timed
    in one process that loads nothing else, see `sparsebench.bench.satellite`. Its module must import the library in
    functions only; if it has a function `load(threads)`, that is called before the first of them is prepared.
    `module` is filled in by the registry.
    """

    name: str
    op: str
    provider: str
    summary: str
    supports: Callable[[Problem], str | None]
    prepare: Callable[..., Plan]
    level: str = ""
    dense: bool = False
    skips_zeros: bool = False
    timed_in: Literal["native", "python"] = "native"
    missing: str | None = None
    version: str = ""
    runtime: str = ""
    dtype: Dtype = "f32"
    engine: Literal["", "stored", "dense"] = ""
    module: str = ""


@dataclass(slots=True)
class PythonPlan:
    """A plan for a library that can only be called from Python.

    `compute(x, out)` returns the array that holds the result: `out`, or a new one where the library takes no
    output. A new one is what the library's user pays for, so `call` is timed without copying it to `out`; `collect`
    does that when an answer is looked at.
    """

    compute: Callable[[Matrix, Matrix], Matrix]
    packed_bytes: int
    detail: str = ""
    entry: int = 0
    context: int = 0
    layout: Layout = "row"
    _operands: tuple[Matrix, Matrix] | None = field(default=None, repr=False)
    _result: Matrix | None = field(default=None, repr=False)

    def bind(self, x: Matrix, out: Matrix) -> None:
        """Fix the operands."""
        self._operands = (x, out)

    def call(self) -> None:
        """Compute on the bound operands."""
        if self._operands is None:
            raise ValueError("bind(x, out) before call()")
        self._result = self.compute(*self._operands)

    def collect(self) -> None:
        """Put the last call's result where `bind` said."""
        if self._operands is not None and self._result is not None and self._result is not self._operands[1]:
            np.copyto(self._operands[1], self._result)

    def run(self, x: Matrix, out: Matrix) -> None:
        """Bind, call and collect."""
        self.bind(x, out)
        self.call()
        self.collect()
