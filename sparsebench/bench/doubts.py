"""What makes numbers doubtful, each named with advice and with commands that a person could run: nothing is changed.

Every function is pure: from facts that a run records (`machine.conditions`, `usage.between`, results,
`machine.loaded_libraries`) to doubts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sparsebench.bench.distance import differ
from sparsebench.bench.stats import remarks
from sparsebench.bench.usage import DISTURBED
from sparsebench.results import CaseResult

_CPU = "/sys/devices/system/cpu"
_SMT_OFF = f"echo off | sudo tee {_CPU}/smt/control"
_WHO = "ps aux --sort=-%cpu | head"
# Shares of time, and load per core, from which on a doubt is due. Rounds aim at intervals of 2 %.
_SHARE = 0.01
_BUSY_SHARE = 0.05
_BUSY_LOAD = 0.5
# Of the threads asked for: a team of T that runs on less than this share of T CPUs was kept from running.
RUNNING = 0.75
# 1 - 2 / 2^n, how surely n samples enclose the median, reaches 95 % here (David & Nagaraja, Order Statistics, 2003,
# section 7.1).
ENOUGH_ROUNDS = 6

# What samples can be (`stats.remarks`), and what to do about it.
REMARKS = {
    "outliers": "single rounds were disturbed: stop other work; medians hardly notice",
    "drift": "times went up or down from round to round: hold the clock (sparsebench doctor), and let the machine rest"
    " or warm up first",
    "bimodal": "times jump between two values: see who else runs, and pin CPUs (taskset -c); the median may be either",
}


@dataclass(frozen=True, slots=True)
class Doubt:
    """Something that makes numbers doubtful, what to do about it, and commands for that where there are some."""

    what: str
    advice: str
    commands: tuple[str, ...] = ()

    def __str__(self) -> str:
        commands = f" ({'; '.join(self.commands)})" if self.commands else ""
        return f"{self.what}: {self.advice}{commands}"


def of_conditions(key: Mapping[str, Any], now: Mapping[str, Any]) -> list[Doubt]:
    """Return what is doubtful on a machine (`machine.machine_key`) under its conditions (`machine.conditions`)."""
    return [*_clock(now), *_company(key, now), *_software(key, now)]


def _clock(now: Mapping[str, Any]) -> Iterator[Doubt]:
    if now["governor"] not in (None, "performance"):
        yield Doubt(
            f"the CPU frequency governor is '{now['governor']}'",
            "the clock follows the load; hold it",
            ("sudo cpupower frequency-set -g performance",),
        )
    if now["turbo"]:
        off = "1" if now["turbo_switch"].endswith("no_turbo") else "0"
        yield Doubt(
            "turbo is on",
            "the clock depends on heat and on the cores in use: trust ratios within a run more than times",
            (f"echo {off} | sudo tee {now['turbo_switch']}",),
        )


def _company(key: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Doubt]:
    cores = key["cores"] or len(now["affinity"])
    steal, quota = now["steal_share"], now["cgroup_cpus"]
    if now["load"][0] > _BUSY_LOAD * cores:
        yield Doubt(f"the load is {now['load'][0]:.1f} on {cores} cores", "stop other work, then run again", (_WHO,))
    if steal is not None and steal > _SHARE:
        yield Doubt(
            f"the hypervisor took {steal:.1%} of the time since boot", "trust ratios, not times; run on bare metal"
        )
    if (key["threads_per_core"] or 1) > 1:
        yield Doubt(
            f"{key['threads_per_core']} hardware threads share each core",
            "one of each is used; keep the others idle, or switch them off",
            (_SMT_OFF,),
        )
    if quota is not None and quota < cores:
        yield Doubt(
            f"the control group allows {quota:g} of {cores} cores",
            "raise the container's CPU limit; beyond it all threads are stopped for a while",
            ("systemctl set-property --runtime UNIT CPUQuota=", "docker update --cpus N CONTAINER"),
        )
    if now["hypervisor"]:
        yield Doubt("this is a virtual machine", "trust ratios within a run more than times across runs")


def _software(key: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Doubt]:
    if now["huge_pages"] == "never":
        yield Doubt(
            "transparent huge pages are off",
            "large matrices miss the TLB; allow them",
            ("echo madvise | sudo tee /sys/kernel/mm/transparent_hugepage/enabled",),
        )
    if now["openblas_variables"]:
        yield Doubt(
            f"{' and '.join(now['openblas_variables'])} set in this shell slow NumPy and SciPy down",
            "nothing to do: they are removed from the environment in which is measured",
        )
    if key["architecture"] in ("x86_64", "AMD64") and key["vendor"] not in (None, "GenuineIntel"):
        yield Doubt(
            f"MKL runs its generic code on this CPU ({key['vendor']})",
            "mkl-* rows understate what a dense library can do here: read numpy-dense beside them",
        )


def of_usage(during: Mapping[str, float | None], cpus: Sequence[int]) -> list[Doubt]:
    """Return what disturbed a run, from `usage.between` and the CPUs that it was measured on."""
    found = []
    if (share := during["steal_share"] or 0.0) > _SHARE:
        found.append(Doubt(f"the hypervisor took {share:.1%} of the time of the run", "trust ratios, not times"))
    if (share := during["siblings_share"] or 0.0) > _BUSY_SHARE:
        found.append(
            Doubt(
                f"hardware threads that share cores with the measured ones were busy {share:.0%} of the time",
                "they take half of a core's units: stop what runs there, or switch them off",
                (_WHO, _SMT_OFF),
            )
        )
    if (busy := during["others_cpus"] or 0.0) > _BUSY_SHARE * max(2, len(cpus)):
        found.append(
            Doubt(
                f"other processes kept {busy:.1f} CPUs busy during the run",
                "stop them, or keep them off the CPUs measured on",
                (_WHO, "taskset -a -c -p OTHER_CPUS PID"),
            )
        )
    if (share := during["throttled_share"] or 0.0) > _SHARE:
        found.append(
            Doubt(
                f"the control group stopped all threads for {share:.1%} of the run",
                "raise the container's CPU limit, or ask for fewer threads",
                ("sparsebench run --threads 1 ...",),
            )
        )
    return found


def of_libraries(threads: int, loaded: Mapping[str, Any]) -> list[Doubt]:
    """Return which BLAS and OpenMP libraries of a worker (`machine.loaded_libraries`) use fewer threads than asked."""
    everywhere = [loaded, *loaded.get("satellites", {}).values()]
    few = {
        f"{pool['library']} {pool['version'] or ''}".strip(): pool["threads"]
        for process in everywhere
        for pool in process["pools"]
        if pool["threads"] < threads
    }
    return [
        Doubt(
            f"{name} uses {count} of the {threads} threads asked for",
            "its rows are not what it can do; see what limits it (OMP_THREAD_LIMIT, the build of the library)",
            ("env | grep -E 'OMP|MKL|BLAS'",),
        )
        for name, count in few.items()
    ]


def of_results(results: Iterable[CaseResult]) -> list[Doubt]:
    """Return what is doubtful about samples: threads that did not run, CPUs that moved, rounds too few or unsteady."""
    measured = [result for result in results if result.measured and result.samples_s]
    return [*_idle_threads(measured), *_disturbed(measured), *_moved(measured), *_rounds(measured)]


def _idle_threads(measured: Sequence[CaseResult]) -> Iterator[Doubt]:
    """One kernel may well use fewer threads on a small problem; where none ran on all, something kept them."""
    for threads in sorted({result.threads for result in measured if result.threads > 1}):
        running = [r.busy_threads for r in measured if r.threads == threads and r.busy_threads is not None]
        if running and max(running) < RUNNING * threads:
            yield Doubt(
                f"of {threads} threads asked for, never more than {max(running):.1f} ran at a time",
                "see which CPUs are allowed, how many the control group grants, and what else runs on them",
                ("taskset -c -p $$", "cat /sys/fs/cgroup/cpu.max", _WHO),
            )


def _disturbed(measured: Sequence[CaseResult]) -> Iterator[Doubt]:
    groups = {r.group: (r.others_cpus or 0.0) / r.threads for r in measured}
    count, most = sum(share > DISTURBED for share in groups.values()), max(groups.values(), default=0.0)
    if count:
        yield Doubt(
            f"while {count} of {len(groups)} problems were timed, others took up to {most:.0%} of the CPUs",
            "these were timed twice, and the calmer time counts, if that helped; stop other work and run again",
            (_WHO,),
        )


def _moved(measured: Sequence[CaseResult]) -> Iterator[Doubt]:
    for threads in sorted({result.threads for result in measured}):
        trips = [r.round_trip_s for r in measured if r.threads == threads and r.round_trip_s is not None]
        low, high = min(trips, default=None), max(trips, default=None)
        if low and high and differ(low, high):
            yield Doubt(
                f"the CPUs were moved meanwhile: a cache line took {1e9 * low:.0f} to {1e9 * high:.0f} ns between them",
                f"times on {threads} threads depend on it, and 'compare' leaves out what differs; pin virtual CPUs on"
                " the host, or measure on bare metal",
            )


def _rounds(measured: Sequence[CaseResult]) -> Iterator[Doubt]:
    few = sum(result.rounds < ENOUGH_ROUNDS for result in measured)
    if few:
        yield Doubt(
            f"{few} of {len(measured)} cases have fewer than {ENOUGH_ROUNDS} rounds",
            "so few samples do not enclose a median with 95 %, so its interval reaches beyond them: give them time",
            ("sparsebench run --budget SECONDS ...",),
        )
    words = Counter(word for result in measured for word in remarks(result.samples_s))
    for word in ("drift", "bimodal"):
        # By chance alone a case in a hundred is remarked on.
        if words[word] > max(1, len(measured) / 50):
            yield Doubt(f"{word} in {words[word]} of {len(measured)} cases", REMARKS[word])
