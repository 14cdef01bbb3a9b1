"""Where a library has several ways to compute a problem, all are prepared and the fastest is kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from sparsebench.bench.sampler import fastest
from sparsebench.kernel import Plan
from sparsebench.layouts import Layout

if TYPE_CHECKING:
    from sparsebench.problem import Problem

Candidate = Callable[[], Plan | None]

# Which candidate was the fastest, by kernel, problem and threads, for as long as the weights live: copies of cold
# weights and plans side by side are then of one routine, and cost one search.
_winners: WeakKeyDictionary[Any, dict[tuple[str, Problem, int], int]] = WeakKeyDictionary()


def layouts(problem: Problem) -> tuple[Layout, ...]:
    """Layouts of X and Y to try: a library's own best is one of these where a problem leaves it the choice."""
    return ("row",) if problem.x_layout == "row" else ("row", "column")


def keep_fastest(name: str, candidates: Sequence[Candidate], problem: Problem, weights: Any, threads: int) -> Plan:
    """Prepare all candidates, of which some may say no with None, and return the fastest.

    Parameters
    ----------
    name
        Of the kernel.
    weights
        What `Kernel.prepare` was given.
    """
    found = _winners.setdefault(getattr(weights, "original", None) or weights, {})
    key = (name, problem, threads)
    if key in found and (plan := candidates[found[key]]()) is not None:
        return plan
    plans = {index: plan for index, prepare in enumerate(candidates) if (plan := prepare()) is not None}
    chosen = fastest(list(plans.values()), problem) if len(plans) > 1 else 0
    found[key] = list(plans)[chosen]
    return plans[found[key]]
