"""Packs weights into lane groups for one N and hands them to a compiled plan."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

from sparsebench.tiling import Caches, Tiling, choose, choose_kblock

if TYPE_CHECKING:
    from sparsebench.formats.lane_groups import LaneGroups
    from sparsebench.kernel import Plan
    from sparsebench.problem import Problem


@cache
def caches() -> Caches:
    """Data caches of one core; 32 KiB and 512 KiB where the system does not tell."""

    def size(name: str, otherwise: int) -> int:
        try:
            return os.sysconf(name) or otherwise
        except (ValueError, OSError):
            return otherwise

    return Caches(size("SC_LEVEL1_DCACHE_SIZE", 32 << 10), size("SC_LEVEL2_CACHE_SIZE", 512 << 10))


def prepare_groups(
    plan: Callable[[LaneGroups, Tiling], Plan],
    pack: Callable[[int], LaneGroups],
    lanes: int,
    problem: Problem,
    threads: int,
) -> Plan:
    """Choose the block of K, pack with it, tile, and build the compiled plan.

    The level is that of the module which `plan` was compiled in.
    """
    level = plan.__module__.rpartition("__")[2]
    groups = pack(choose_kblock(problem.N, problem.K, lanes, level, caches()))
    return plan(groups, choose(groups, problem.N, level, threads))
