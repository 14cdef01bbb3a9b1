"""Packs weights into lane groups for one N and hands them to a compiled plan."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

from sparsebench.bench.machine import cache_sizes
from sparsebench.tiling import Caches, Tiling, choose, choose_kblock

if TYPE_CHECKING:
    from sparsebench.formats.lane_groups import LaneGroups
    from sparsebench.kernel import Plan
    from sparsebench.problem import Problem

# Where the system does not tell: what the smallest cores of recent years have.
_L1_BYTES, _L2_BYTES = 32 << 10, 512 << 10


@cache
def caches() -> Caches:
    """Return data caches of one core."""
    sizes = cache_sizes()
    return Caches(sizes["L1d"] or _L1_BYTES, sizes["L2"] or _L2_BYTES)


def prepare_groups(
    plan: Callable[[LaneGroups, Tiling], Plan],
    pack: Callable[[int], LaneGroups],
    lanes: int,
    problem: Problem,
    threads: int,
) -> Plan:
    """Choose the block of K, pack with it, tile, and build the compiled plan.

    The module that `plan` was compiled in knows the floats a vector of its level has.
    """
    vlen = sys.modules[plan.__module__].VECTOR_FLOATS
    groups = pack(choose_kblock(problem.N, problem.M, problem.K, lanes, vlen, caches()))
    return plan(groups, choose(groups, problem.N, vlen, threads, caches()))
