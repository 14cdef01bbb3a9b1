"""The ceilings of this machine, measured: FMA peak and read bandwidth from each cache level and memory."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from typing import Any

import psutil

from sparsebench.bench.machine import cache_sizes


@dataclass(frozen=True, slots=True)
class Ceilings:
    """GFLOP/s of fused multiply-adds in fp32, and GB/s of reads by level ("L1d", "L2", "L3", "memory")."""

    fma_gflops: float
    read_gbytes: dict[str, float]


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
    module: Any = importlib.import_module(f"sparsebench._kernels.ceiling__{level}")
    sets = working_sets(cache_sizes(), threads, psutil.virtual_memory().available)
    return Ceilings(
        module.fma_gflops(threads), {name: module.read_gbytes(nbytes, threads) for name, nbytes in sets.items()}
    )


def measure_apart(level: str, threads: int) -> Ceilings:
    """Measure in a child process with the environment of a worker, so that nothing in this one interferes.

    Raises
    ------
    RuntimeError
        If the child fails; with the last line that it printed.
    """
    from sparsebench.bench.pool import worker_environment

    done = subprocess.run(
        [sys.executable, "-m", "sparsebench.bench.roofline", level, str(threads)],
        env=worker_environment(threads, level, os.environ),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"measuring the ceilings failed: {(done.stderr.strip().splitlines() or ['?'])[-1]}")
    return Ceilings(**json.loads(done.stdout))


if __name__ == "__main__":
    print(json.dumps(asdict(measure(sys.argv[1], int(sys.argv[2])))))
