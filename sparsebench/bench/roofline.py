"""The ceilings of this machine, measured: FMA peak and read bandwidth from each cache level and memory."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, NamedTuple

import psutil

from sparsebench import isa
from sparsebench.bench.link import die_with_parent
from sparsebench.bench.machine import cache_sizes, key_hash, machine_key
from sparsebench.bench.pool import run_apart
from sparsebench.cache import cache_folder, write_whole
from sparsebench.problem import Problem

if TYPE_CHECKING:
    from sparsebench.results import CaseResult


@dataclass(frozen=True, slots=True)
class Ceilings:
    """GFLOP/s of fused multiply-adds in fp32, and GB/s of reads by level ("L1d", "L2", "L3", "memory")."""

    fma_gflops: float
    read_gbytes: dict[str, float]


@dataclass(frozen=True, slots=True)
class Roof:
    """The least time that an amount of work can take, and what sets it."""

    seconds: float
    bound: str


def roof(flops: float, nbytes: float, ceilings: Ceilings, caches: dict[str, int | None], threads: int) -> Roof:
    """Bound a time from below by arithmetic and by reading every operand once (Williams, Waterman, Patterson 2009).

    Operands are taken to come from the smallest level that holds all of them, private caches counted once a thread.
    """
    level = "memory"
    for name, instances in (("L1d", threads), ("L2", threads), ("L3", 1)):
        size = caches.get(name)
        if size and name in ceilings.read_gbytes and nbytes <= size * instances:
            level = name
            break
    compute = flops / (ceilings.fma_gflops * 1e9)
    transfer = nbytes / (ceilings.read_gbytes[level] * 1e9)
    return Roof(compute, "compute") if compute >= transfer else Roof(transfer, level)


class Work(NamedTuple):
    """What a call must do: floating-point operations, and bytes read or written if each operand is touched once."""

    flops: float
    nbytes: float


def work(result: CaseResult, *, dense: bool, skips_zeros: bool) -> Work | None:
    """Return the least work of a case; None where its packed weights are not known.

    `dense` and `skips_zeros` say of its kernel what `sparsebench.kernel.Kernel` says.
    """
    if result.nnz is None or result.packed_bytes is None:
        return None
    met = result.act_density if skips_zeros else 1.0
    problem = Problem.parse(result.problem)
    # A column of W is read if any of the inputs that it multiplies is not zero.
    read = 1 - (1 - met) ** problem.columns
    # W as it is packed, X and Y once each.
    nbytes = read * result.packed_bytes + 4 * (math.prod(problem.x_shape) + math.prod(problem.y_shape))
    return Work(2 * met * _macs(result, dense) * problem.N, nbytes)


def _macs(result: CaseResult, dense: bool) -> float:
    """Multiply-adds that a kernel needs for one column or sample, were no activation zero."""
    if result.layers:
        # A network's layers say what each met.
        met = [row["reached"] if row["kernel"] == "complementary-ss" else 1 for row in result.layers]
        return float(sum(row["macs"] * share for row, share in zip(result.layers, met, strict=True)))
    if result.macs is not None and result.dense_macs is not None:
        # Of a network that another library runs only the whole is known.
        return result.dense_macs if dense else result.macs
    return (result.M * result.K if dense else result.nnz or 0) * result.pixels


def working_sets(caches: dict[str, int | None], threads: int, memory: int) -> dict[str, int]:
    """Bytes a thread reads to measure each level: half a private cache, its share of half of L3, four times L3."""
    sets = {name: size // 2 for name in ("L1d", "L2") if (size := caches[name])}
    last = caches["L3"] or caches["L2"] or 8 << 20
    if caches["L3"]:
        # Well beyond L2, or L2 would be measured again.
        sets["L3"] = max(last // 2 // threads, 2 * (caches["L2"] or 0))
    sets["memory"] = min(4 * last, memory // 8) // threads
    return sets


def measure(level: str, threads: int) -> Ceilings:
    """Measure in this process; OpenMP must be allowed `threads` threads."""
    ceiling = isa.module("ceiling", level)
    sets = working_sets(cache_sizes(), threads, psutil.virtual_memory().available)
    return Ceilings(
        ceiling.fma_gflops(threads), {name: ceiling.read_gbytes(nbytes, threads) for name, nbytes in sets.items()}
    )


def measure_apart(level: str, threads: int) -> Ceilings:
    """Measure in a child process with a worker's environment, so that nothing in this one interferes."""
    return Ceilings(**run_apart(__name__, [level, str(threads)], threads, level))


def load_or_measure(level: str, threads: int) -> Ceilings:
    """Return the ceilings of this machine from the cache folder, measured and kept there at the first call."""
    path = cache_folder() / f"ceilings-{key_hash(machine_key())}-{level}-{threads}.json"
    try:
        return Ceilings(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        found = measure_apart(level, threads)
    write_whole(path, json.dumps(asdict(found)))
    return found


if __name__ == "__main__":
    die_with_parent()
    print(json.dumps(asdict(measure(sys.argv[1], int(sys.argv[2])))))
