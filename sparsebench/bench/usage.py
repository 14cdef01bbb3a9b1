"""Who used the CPUs while a run was measured: seconds by CPU before and after it, and what lies between."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from time import monotonic, process_time
from typing import Any

from sparsebench.bench import cgroup
from sparsebench.bench.machine import PROC, SYS, core_of

# Columns of a line of /proc/stat (proc(5)): user, nice, system, idle, iowait, irq, softirq, steal.
_COLUMNS = 8
_IDLE, _IOWAIT, _STEAL = 3, 4, 7
# The system counts in ticks, by looking who runs at each: less than so many are nobody's.
_FEWEST_TICKS = 3
# Of the CPUs measured on, the share that others may take before a group of cases is disturbed.
DISTURBED = 0.05


def usage(proc: Path = PROC, sys: Path = SYS) -> dict[str, Any]:
    """Return seconds since boot of each CPU, of this process and its children that have ended, and of throttling."""
    own = os.times()
    return {
        "cpus": _cpus(proc),
        "own_s": own.user + own.system + own.children_user + own.children_system,
        "throttled_s": cgroup.throttled_seconds(proc, sys),
    }


def _cpus(proc: Path) -> dict[str, dict[str, float]]:
    try:
        lines = (proc / "stat").read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    second = os.sysconf("SC_CLK_TCK")
    found = {}
    for line in lines:
        name, *fields = line.split() or [""]
        if name.startswith("cpu") and name != "cpu" and len(fields) >= _COLUMNS:
            ticks = [int(field) for field in fields[:_COLUMNS]]
            busy = sum(ticks) - ticks[_IDLE] - ticks[_IOWAIT] - ticks[_STEAL]
            found[name.removeprefix("cpu")] = {
                "busy_s": busy / second,
                "steal_s": ticks[_STEAL] / second,
                "total_s": sum(ticks) / second,
            }
    return found


def between(before: dict[str, Any], after: dict[str, Any], cpus: Sequence[int], sys: Path = SYS) -> dict[str, Any]:
    """Return what happened from one `usage` to the next, in which `cpus` were measured on.

    Returns
    -------
    dict
        ``steal_share`` of the time of the CPUs measured on; ``siblings_share`` for which other hardware threads of
        their cores were busy; ``others_cpus``, how many CPUs other processes kept busy on average; ``throttled_share``
        of the time. None where the system does not tell.
    """
    spans = {
        int(cpu): {name: after["cpus"][cpu][name] - then[name] for name in then}
        for cpu, then in before["cpus"].items()
        if cpu in after["cpus"]
    }
    wall = max((span["total_s"] for span in spans.values()), default=0.0)
    if not wall:
        return dict.fromkeys(("steal_share", "siblings_share", "others_cpus", "throttled_share"))
    cores = core_of(sys)
    used = {cores[cpu] for cpu in cpus if cpu in cores}
    siblings = [cpu for cpu in spans if cores.get(cpu) in used and cpu not in cpus]
    throttled = [before["throttled_s"], after["throttled_s"]]
    others = (sum(span["busy_s"] for span in spans.values()) - (after["own_s"] - before["own_s"])) / wall
    return {
        "steal_share": _share(spans, [cpu for cpu in spans if cpu in cpus] or list(spans), "steal_s"),
        "siblings_share": _share(spans, siblings, "busy_s"),
        "others_cpus": max(0.0, others),
        "throttled_share": None if None in throttled else (throttled[1] - throttled[0]) / wall,
    }


def _share(spans: dict[int, dict[str, float]], cpus: Sequence[int], what: str) -> float | None:
    total = sum(spans[cpu]["total_s"] for cpu in cpus)
    return sum(spans[cpu][what] for cpu in cpus) / total if total else None


def cpu_clock(pid: int) -> int:
    """Return the clock of a process's CPU time, for `time.clock_gettime`; see clock_getcpuclockid(3)."""
    clock = ctypes.c_int()
    if error := ctypes.CDLL(None).clock_getcpuclockid(pid, ctypes.byref(clock)):
        raise OSError(error, os.strerror(error))
    return clock.value


class Others:
    """Tells how much of this process's CPUs others take: other processes, and the hypervisor.

    `own` gives the CPU seconds of this process, with those of the processes that it has started to measure in.
    """

    def __init__(self, proc: Path = PROC, own: Callable[[], float] = process_time) -> None:
        self._proc = proc
        self._own = own
        self._cpus = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set[int]()
        self._stay = False
        self.mark()

    def mark(self) -> None:
        """Begin to count."""
        self._taken, self._since = self._seconds(), monotonic()

    def cpus(self) -> float | None:
        """Return how many CPUs others took since `mark`, on average; None where the system does not tell."""
        now = self._seconds()
        if now is None or self._taken is None:
            return None
        seconds = now - self._taken
        if seconds < _FEWEST_TICKS / os.sysconf("SC_CLK_TCK"):
            return 0.0
        return seconds / (monotonic() - self._since)

    def worth_another(self, taken: float | None, threads: int, attempts: int) -> bool:
        """Whether to measure again what was disturbed: once, and never again once that has not helped."""
        disturbed = taken is not None and taken > DISTURBED * threads
        if attempts > 1:
            self._stay = disturbed
            return False
        return disturbed and not self._stay

    def _seconds(self) -> float | None:
        found = [used for cpu, used in _cpus(self._proc).items() if int(cpu) in self._cpus]
        if not found:
            return None
        return sum(used["busy_s"] + used["steal_s"] for used in found) - self._own()
