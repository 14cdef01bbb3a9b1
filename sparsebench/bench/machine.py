"""What this machine is (its key: what may be compared) and how it is doing (conditions: what was so at the time).

Read from /proc and /sys; both roots can be given, for tests. What a system does not tell is None, never an error.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import re
from pathlib import Path
from typing import Any

import psutil

from sparsebench.bench import cgroup

PROC = Path("/proc")
SYS = Path("/sys")
_LIBRARIES = ("numpy", "scipy", "mkl", "pandas", "threadpoolctl")


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None


def _first_cpu(proc: Path) -> dict[str, str]:
    fields: dict[str, str] = {}
    for line in (_text(proc / "cpuinfo") or "").splitlines():
        name, colon, value = line.partition(":")
        if colon:
            fields.setdefault(name.strip(), value.strip())
    return fields


def _bytes(text: str | None) -> int | None:
    match = re.fullmatch(r"(\d+)([KMG]?)", text or "")
    return int(match[1]) << {"": 0, "K": 10, "M": 20, "G": 30}[match[2]] if match else None


def cpu_flags(proc: Path = PROC) -> frozenset[str]:
    """Return what the system calls the extensions that the first CPU has."""
    cpu = _first_cpu(proc)
    return frozenset((cpu.get("flags") or cpu.get("Features") or "").split())


def cache_sizes(sys: Path = SYS) -> dict[str, int | None]:
    """Bytes of one instance of the data caches L1d, L2 and L3, as the first CPU sees them; None where not told."""
    sizes: dict[str, int | None] = {"L1d": None, "L2": None, "L3": None}
    for index in sorted((sys / "devices/system/cpu/cpu0/cache").glob("index[0-9]*")):
        if _text(index / "type") in ("Data", "Unified"):
            name = {"1": "L1d", "2": "L2", "3": "L3"}.get(_text(index / "level") or "")
            if name:
                sizes[name] = _bytes(_text(index / "size"))
    return sizes


def machine_key(proc: Path = PROC, sys: Path = SYS) -> dict[str, Any]:
    """Facts that decide whether two runs may be compared; no clock rates, which change by the minute."""
    cpu = _first_cpu(proc)
    flags = sorted(cpu_flags(proc))
    return {
        "architecture": platform.machine(),
        "vendor": cpu.get("vendor_id") or cpu.get("CPU implementer"),
        "model": cpu.get("model name") or cpu.get("CPU part"),
        "family": cpu.get("cpu family") or cpu.get("CPU architecture"),
        "model_number": cpu.get("model") or cpu.get("CPU variant"),
        "stepping": cpu.get("stepping") or cpu.get("CPU revision"),
        "cores": len(_cores(sys)) or None,
        "threads_per_core": _threads_per_core(sys),
        "caches": cache_sizes(sys),
        "numa_nodes": len(list((sys / "devices/system/node").glob("node[0-9]*"))) or None,
        "flags": hashlib.sha256(" ".join(flags).encode()).hexdigest()[:12] if flags else None,
    }


def key_hash(key: dict[str, Any]) -> str:
    """Return a short name for a machine key."""
    return hashlib.sha256(repr(sorted(key.items())).encode()).hexdigest()[:12]


def _cores(sys: Path) -> dict[tuple[str | None, str], list[int]]:
    """CPUs of each core, by (package, core id)."""
    found: dict[tuple[str | None, str], list[int]] = {}
    for cpu in (sys / "devices/system/cpu").glob("cpu[0-9]*"):
        core = _text(cpu / "topology/core_id")
        if core is not None:
            package = _text(cpu / "topology/physical_package_id")
            found.setdefault((package, core), []).append(int(cpu.name.removeprefix("cpu")))
    return found


def core_of(sys: Path = SYS) -> dict[int, tuple[str | None, str]]:
    """Return the core of each CPU, as (package, core id)."""
    return {cpu: core for core, cpus in _cores(sys).items() for cpu in cpus}


def _threads_per_core(sys: Path) -> int | None:
    return max((len(cpus) for cpus in _cores(sys).values()), default=None)


def affinity() -> set[int]:
    """CPUs that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))


def usable_cpus(sys: Path = SYS, proc: Path = PROC) -> list[int]:
    """One CPU of each core that this process may use, at most as many as the control group's quota allows."""
    allowed = affinity()
    cores = _cores(sys)
    chosen = sorted(min(mine) for cpus in cores.values() if (mine := allowed.intersection(cpus)))
    chosen = chosen or sorted(allowed)
    quota = cgroup.quota(proc, sys)
    return chosen[: max(1, int(quota))] if quota else chosen


def _steal_share(proc: Path) -> float | None:
    """Share of all time since boot that the hypervisor took."""
    fields = (_text(proc / "stat") or "").splitlines()[:1]
    ticks = [int(field) for field in fields[0].split()[1:9]] if fields else []
    total = sum(ticks)
    return ticks[7] / total if len(ticks) == 8 and total else None


def conditions(proc: Path = PROC, sys: Path = SYS) -> dict[str, Any]:
    """Return what may differ from one run to the next on the same machine."""
    cpu = _first_cpu(proc)
    frequency = sys / "devices/system/cpu"
    switch, turbo = _turbo(frequency)
    return {
        "governor": _governors(frequency),
        "turbo": turbo,
        "turbo_switch": switch,
        "clock_mhz": float(cpu["cpu MHz"]) if "cpu MHz" in cpu else None,
        "load": list(os.getloadavg()),
        "steal_share": _steal_share(proc),
        "cgroup_cpus": cgroup.quota(proc, sys),
        "affinity": sorted(affinity()),
        "huge_pages": _selected(_text(sys / "kernel/mm/transparent_hugepage/enabled")),
        "hypervisor": "hypervisor" in cpu.get("flags", "").split(),
        "kernel": platform.release(),
        "memory_bytes": psutil.virtual_memory().total,
        "python": platform.python_version(),
        "build": build_info(),
        "libraries": {name: version for name in _LIBRARIES if (version := _version(name))},
        "openblas_variables": {
            name: os.environ[name] for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE") if name in os.environ
        },
    }


def _governors(cpus: Path) -> str | None:
    """Return the governor of all CPUs, or all that some CPU has."""
    found = {_text(path) for path in cpus.glob("cpu[0-9]*/cpufreq/scaling_governor")} - {None}
    return ", ".join(sorted(str(name) for name in found)) or None


# Files that switch turbo, with what they say where it is on.
_TURBO = {"intel_pstate/no_turbo": "0", "cpufreq/boost": "1"}


def _turbo(cpus: Path) -> tuple[str | None, bool | None]:
    """Return the path of the file that switches turbo, and whether it is on."""
    for name, when_on in _TURBO.items():
        if (text := _text(cpus / name)) in ("0", "1"):
            return f"/sys/devices/system/cpu/{name}", text == when_on
    return None, None


def _selected(text: str | None) -> str | None:
    match = re.search(r"\[(\w+)\]", text or "")
    return match[1] if match else None


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def build_info() -> dict[str, Any] | None:
    """Compiler, flags and levels as the build recorded them."""
    try:
        from sparsebench._kernels import _build_info
    except ImportError:
        return None
    return {
        "compiler": _build_info.COMPILER,
        "cython": _build_info.CYTHON,
        "flags": _build_info.FLAGS,
        "levels": _build_info.LEVELS,
        "commit": _build_info.COMMIT or None,
    }


def mkl_code_path(proc: Path = PROC) -> str | None:
    """Which of its code paths MKL has loaded into this process (avx512, avx2, def, ...); None before its first call."""
    found = re.findall(r"/libmkl_(def|mc3|avx2|avx512|avx10)\.so", _text(proc / "self/maps") or "")
    return str(found[-1]) if found else None


def loaded_libraries(proc: Path = PROC) -> dict[str, Any]:
    """BLAS and OpenMP libraries really loaded in this process, their kernels and threads, and MKL's code path."""
    import threadpoolctl

    pools = [
        {
            "api": pool["user_api"],
            "library": pool["internal_api"],
            "version": pool["version"],
            "kernel": pool.get("architecture"),
            "layer": pool.get("threading_layer"),
            "threads": pool["num_threads"],
            "file": Path(pool["filepath"]).name,
        }
        for pool in threadpoolctl.threadpool_info()
    ]
    return {"pools": pools, "mkl_code_path": mkl_code_path(proc)}
