"""What tests share: a kernel run on a problem, its answer held against float64; a density that a pattern can have."""

from __future__ import annotations

from sparsebench.bench.verify import poison, reference
from sparsebench.kernel import Kernel, Matrix
from sparsebench.layouts import arrange, restore
from sparsebench.memory import aligned_empty
from sparsebench.operands import Operands, make_operands
from sparsebench.patterns import Pattern
from sparsebench.problem import Problem


def possible(pattern: Pattern, density: float) -> float:
    """Return the density nearest to one, that the pattern can have."""
    overlay = pattern.overlay(density)
    return density if overlay is None else 1 / overlay


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
        verdict = right.judge(plan, out, kernel)
        assert verdict.status in ("ok", "mistrusted"), f"{kernel.name} {problem} T={threads}: {verdict.error}"
    return restore(out, *right.y.shape[:2], plan.layout)
