"""Packs weights into lane groups for one N and hands them to a compiled plan."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

from sparsebench import tuning
from sparsebench.bench.machine import cache_sizes
from sparsebench.tiling import Caches, Choice, Setting, Tiling, lay_out, model_choice, model_kblock

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


def supports_layout(problem: Problem) -> str | None:
    """Return why a lane-group plan cannot take the problem's layout, or None."""
    if problem.x_layout == "blocked" and problem.N < 16:
        return "a blocked layout needs N of at least 16: fewer columns fill no cache line"
    return None


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
    module = sys.modules[plan.__module__]
    vlen, level = module.VECTOR_FLOATS, module.__name__.rpartition("__")[2]
    setting = Setting(problem.M, problem.K, problem.N, lanes, problem.x_layout, vlen, threads, caches())
    packed = cache(pack)

    def build(choice: Choice) -> Plan:
        groups = packed(choice.kblock)
        return plan(groups, lay_out(setting, choice, groups))

    groups = packed(model_kblock(setting))
    choice = model_choice(setting, groups)
    if tuning.wanted():
        choice = tuning.best_choice(setting, choice, tuning.name_of(setting, level, groups.index.size), build)
    return build(choice)
