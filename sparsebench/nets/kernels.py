"""Whole networks as kernels of op "network": one for each mode of `Sequential.compile`."""

from __future__ import annotations

from functools import partial

import sparsebench
from sparsebench.kernel import Kernel, Plan
from sparsebench.nets.compile import MODES, Mode
from sparsebench.nets.network import Sequential
from sparsebench.problem import Problem

_SUMMARIES: dict[Mode, str] = {
    "dense": "every layer multiplies by all weights, zeros included",
    "sparse-dense": "every layer by the kernel of its pattern",
    "sparse-sparse": "the same, and linear layers by their non-zero inputs alone where that is faster",
}


def _supports(problem: Problem) -> str | None:
    return None if problem.net is not None else "takes networks"


def _prepare(mode: Mode, level: str, problem: Problem, weights: Sequential, threads: int) -> Plan:
    return weights.compile(problem.N, mode, threads, level)


def kernels(level: str) -> list[Kernel]:
    """Return the modes as kernels of an instruction-set level; `Kernel.prepare` takes a `Sequential` as weights."""
    return [
        Kernel(
            name=f"net-{mode}",
            op="network",
            provider="sparsebench",
            summary=_SUMMARIES[mode],
            supports=_supports,
            prepare=partial(_prepare, mode, level),
            level=level,
            dense=mode == "dense",
            version=sparsebench.__version__,
        )
        for mode in MODES
    ]
