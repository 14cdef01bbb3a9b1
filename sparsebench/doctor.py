"""What ``sparsebench doctor`` knows: the machine, its ceilings, the libraries, and what would make numbers doubtful."""

from __future__ import annotations

import importlib
import json
from dataclasses import asdict
from typing import Any

from sparsebench import __version__, isa
from sparsebench.bench import doubts, machine
from sparsebench.bench.link import die_with_parent
from sparsebench.bench.pool import run_apart
from sparsebench.bench.roofline import measure_apart
from sparsebench.bench.sampler import python_call_seconds
from sparsebench.errors import UnavailableError


def mkl_state() -> dict[str, Any]:
    """Version, threading layer and code path of MKL after a first call, or why there is none."""
    from sparsebench.baselines import mkl
    from sparsebench.memory import aligned_empty

    try:
        library = mkl.library()
    except UnavailableError as error:
        return {"available": False, "reason": str(error)}
    operands = [aligned_empty((8, 8)) for _ in range(3)]
    for array in operands:
        array.fill(0)
    # MKL loads the code for this CPU with the first product.
    library.dense(operands[0], 8, "sgemm").run(operands[1], operands[2])
    return {
        "available": True,
        "version": library.version(),
        "threading_layer": "gnu",
        "code_path": machine.mkl_code_path(),
    }


def libraries() -> dict[str, Any]:
    """MKL's state and the BLAS and OpenMP libraries of this process."""
    for name in ("numpy", "scipy.linalg"):
        importlib.import_module(name)
    return {"mkl": mkl_state(), "libraries": machine.loaded_libraries()}


def examine(measure: bool = True) -> dict[str, Any]:
    """Return all facts as JSON types; without `measure`, the ceilings are left out.

    Libraries are looked at in a worker's environment: what a run would use, not what this shell sets.
    """
    from sparsebench._kernels._timer import empty_call_seconds

    key, now = machine.machine_key(), machine.conditions()
    level = isa.active()
    cores = len(machine.usable_cpus())
    facts: dict[str, Any] = {
        "sparsebench": __version__,
        "machine": key,
        "machine_key": machine.key_hash(key),
        "conditions": now,
        "levels": {"built": isa.built(), "this_cpu": isa.detected(), "used": level},
        **run_apart(__name__, [], cores, level),
        "empty_call_ns": {"native": empty_call_seconds() * 1e9, "python": python_call_seconds() * 1e9},
        "warnings": [asdict(warning) for warning in doubts.of_conditions(key, now)],
    }
    if measure:
        facts["ceilings"] = {str(threads): asdict(measure_apart(level, threads)) for threads in sorted({1, cores})}
    return facts


if __name__ == "__main__":
    die_with_parent()
    print(json.dumps(libraries()))
