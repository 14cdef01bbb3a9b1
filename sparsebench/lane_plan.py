"""Packs weights into lane groups for one N and hands them to a compiled plan."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import TYPE_CHECKING

from sparsebench import isa, tuning
from sparsebench.bench.machine import cache_sizes
from sparsebench.bench.sampler import fastest
from sparsebench.tiling import Caches, Choice, Setting, lay_out, model_choice, model_kblock

if TYPE_CHECKING:
    from sparsebench.formats.lane_groups import LaneGroups
    from sparsebench.kernel import Plan
    from sparsebench.problem import Problem

# Where the system does not tell: what the smallest cores of recent years have.
_L1_BYTES, _L2_BYTES = 32 << 10, 512 << 10


@cache
def cache_bytes() -> Caches:
    """Return data caches of one core."""
    sizes = cache_sizes()
    return Caches(sizes["L1d"] or _L1_BYTES, sizes["L2"] or _L2_BYTES, sizes["L3"] or 0)


def supports_layout(problem: Problem) -> str | None:
    """Return why a lane-group plan cannot take the problem's layout, or None."""
    if problem.x_layout == "blocked" and problem.N < 16:
        return "a blocked layout needs N of at least 16: fewer columns fill no cache line"
    return None


def prepare_groups(
    kernel: str,
    pack: Callable[[int], LaneGroups],
    lanes: int,
    problem: Problem,
    threads: int,
) -> Plan:
    """Choose the block of K, pack with it, tile, and build the compiled plan.

    A pointwise convolution is one product for each sample, of as many columns as it has pixels.
    `kernel` is the name of the compiled module that asks: its level's engine is used.
    """
    engine = isa.module("lane_engine", isa.level_of(kernel))
    conv = problem.conv
    N, samples = (problem.N, 1) if conv is None else (conv.pixels, problem.N)
    # A product's shapes follow from its layout.
    shapes = (None, None) if conv is None else (problem.x_shape, problem.y_shape)
    setting = Setting(
        problem.M, problem.K, N, lanes, problem.x_layout, engine.VECTOR_FLOATS, threads, cache_bytes(), samples
    )
    packed = cache(pack)

    def build(choice: Choice) -> Plan:
        groups = packed(choice.kblock)
        plan: Plan = engine.Plan(groups, lay_out(setting, choice, groups), samples, *shapes)
        return plan

    groups = packed(model_kblock(setting))
    choice = model_choice(setting, groups)
    if tuning.wanted():
        name = tuning.name_of(setting, isa.level_of(kernel), groups.index.size)
        choice = tuning.best_choice(setting, choice, name, build, partial(fastest, problem=problem))
    return build(choice)
