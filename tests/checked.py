"""What tests of kernels share: a kernel run on a problem, and its answer held against float64."""

from __future__ import annotations

from sparsebench.bench.verify import poison, reference
from sparsebench.kernel import Kernel, Matrix
from sparsebench.layouts import arrange, restore
from sparsebench.memory import aligned_empty
from sparsebench.operands import Operands, make_operands
from sparsebench.problem import Problem


def run_checked(kernel: Kernel, problem: Problem, threads: int, operands: Operands | None = None) -> Matrix:
    """Prepare and run a kernel; return its answer, row-major or NCHW, which is right.

    It runs twice: the second call finds what the first has left in its scratch.
    """
    operands = operands or make_operands(problem)
    plan = kernel.prepare(problem, operands.weights, threads)
    assert plan.packed_bytes > 0
    right = reference(operands)
    x, out = arrange(operands.x, plan.layout), aligned_empty(problem.y_shape_in(plan.layout))
    for _ in range(2):
        poison(out)
        plan.run(x, out)
        verdict = right.judge(plan, out)
        assert verdict.status in ("ok", "mistrusted"), f"{kernel.name} {problem} T={threads}: {verdict.error}"
    return restore(out, *right.y.shape[:2], plan.layout)
