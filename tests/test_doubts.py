"""Everything that makes numbers doubtful is named, with advice; what does not is not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from test_results import MEASURED

from sparsebench.bench import doubts
from sparsebench.bench.doubts import Doubt
from sparsebench.results import CaseResult

KEY = {"cores": 4, "threads_per_core": 1, "architecture": "x86_64", "vendor": "GenuineIntel"}
NOW: dict[str, Any] = {
    "governor": "performance",
    "turbo": False,
    "turbo_switch": "/sys/devices/system/cpu/intel_pstate/no_turbo",
    "load": [0.1, 0.2, 0.3],
    "steal_share": 0.0,
    "cgroup_cpus": None,
    "affinity": [0, 1, 2, 3],
    "huge_pages": "madvise",
    "hypervisor": False,
    "openblas_variables": {},
}
QUIET = {"steal_share": 0.001, "siblings_share": 0.01, "others_cpus": 0.02, "throttled_share": 0.0}


def test_a_machine_without_fault() -> None:
    assert doubts.of_conditions(KEY, NOW) == []


def test_a_machine_that_tells_nothing() -> None:
    told_nothing = dict.fromkeys(("governor", "turbo", "turbo_switch", "steal_share", "cgroup_cpus", "huge_pages"))
    key = dict.fromkeys(KEY)
    assert doubts.of_conditions(key, NOW | told_nothing) == []


@pytest.mark.parametrize(
    ("key", "now", "says", "command"),
    [
        ({}, {"governor": "powersave"}, "governor is 'powersave'", "cpupower frequency-set -g performance"),
        ({}, {"governor": "performance, schedutil"}, "schedutil", "cpupower frequency-set -g performance"),
        ({}, {"turbo": True}, "turbo is on", "echo 1 | sudo tee /sys/devices/system/cpu/intel_pstate/no_turbo"),
        (
            {},
            {"turbo": True, "turbo_switch": "/sys/devices/system/cpu/cpufreq/boost"},
            "turbo is on",
            "echo 0 | sudo tee /sys/devices/system/cpu/cpufreq/boost",
        ),
        ({"threads_per_core": 2}, {}, "2 hardware threads share each core", "smt/control"),
        ({}, {"load": [3.0, 0, 0]}, "load is 3.0 on 4 cores", "ps aux"),
        ({}, {"steal_share": 0.1}, "hypervisor took 10.0% of the time since boot", None),
        ({}, {"cgroup_cpus": 1.5}, "control group allows 1.5 of 4 cores", "docker update"),
        ({}, {"hypervisor": True}, "virtual machine", None),
        ({}, {"huge_pages": "never"}, "huge pages are off", "transparent_hugepage/enabled"),
        ({}, {"openblas_variables": {"OPENBLAS_CORETYPE": "Haswell"}}, "OPENBLAS_CORETYPE set in this shell", None),
        ({"vendor": "AuthenticAMD"}, {}, "MKL runs its generic code on this CPU (AuthenticAMD)", None),
    ],
)
def test_conditions(key: dict[str, Any], now: dict[str, Any], says: str, command: str | None) -> None:
    (doubt,) = doubts.of_conditions(KEY | key, NOW | now)
    assert says in doubt.what
    assert doubt.advice
    assert bool(doubt.commands) == (command is not None)
    assert command is None or any(command in line for line in doubt.commands)


def test_mkl_is_not_missed_where_it_does_not_exist() -> None:
    assert doubts.of_conditions(KEY | {"architecture": "aarch64", "vendor": "0x41"}, NOW) == []


@pytest.mark.parametrize(
    ("during", "says"),
    [
        ({"steal_share": 0.034}, "hypervisor took 3.4% of the time of the run"),
        ({"siblings_share": 0.4}, "hardware threads that share cores with the measured ones were busy 40%"),
        ({"others_cpus": 1.3}, "other processes kept 1.3 CPUs busy during the run"),
        ({"throttled_share": 0.2}, "control group stopped all threads for 20.0% of the run"),
    ],
)
def test_usage(during: dict[str, float], says: str) -> None:
    (doubt,) = doubts.of_usage(QUIET | during, [0, 1])
    assert says in doubt.what
    assert doubt.advice


def test_a_quiet_run_and_one_of_which_nothing_is_known() -> None:
    assert doubts.of_usage(QUIET, [0, 1]) == []
    assert doubts.of_usage(dict.fromkeys(QUIET), [0]) == []


def test_libraries_that_use_fewer_threads_are_named() -> None:
    pools = [
        {"library": "mkl", "version": "2026.2", "threads": 1},
        {"library": "openblas", "version": "0.3.30", "threads": 4},
        {"library": "openmp", "version": None, "threads": 2},
    ]
    assert [d.what for d in doubts.of_libraries(4, {"pools": pools})] == [
        "mkl 2026.2 uses 1 of the 4 threads asked for",
        "openmp uses 2 of the 4 threads asked for",
    ]
    assert doubts.of_libraries(1, {"pools": pools}) == []


def case(**changes: Any) -> CaseResult:
    steady = [1e-6 * (1 + 0.001 * ((7 * i) % 5)) for i in range(20)]
    return replace(MEASURED, **({"samples_s": steady, "rounds": 20} | changes))


def said(results: list[CaseResult]) -> list[str]:
    return [doubt.what for doubt in doubts.of_results(results)]


def test_steady_samples() -> None:
    assert said([case(), case(threads=4, busy_threads=3.9), case(threads=4, busy_threads=1.0)]) == []
    assert said([]) == []


def test_threads_that_did_not_run() -> None:
    slow = [case(threads=4, busy_threads=1.0), case(threads=4, busy_threads=2.1), case(threads=1, busy_threads=1.0)]
    assert said(slow) == ["of 4 threads asked for, never more than 2.1 ran at a time"]


def test_cpus_that_were_moved() -> None:
    near, far = case(threads=2, round_trip_s=57e-9), case(threads=2, round_trip_s=375e-9)
    assert said([near, far]) == ["the CPUs were moved meanwhile: a cache line took 57 to 375 ns between them"]
    assert said([far, far, near]) == said([near, far])
    assert said([near, near, case(), case(threads=4, round_trip_s=375e-9)]) == []


def test_too_few_rounds() -> None:
    assert said([case(), case(rounds=5)]) == ["1 of 2 cases have fewer than 6 rounds"]
    assert said([case(status="failed", rounds=0, samples_s=[], median_s=None)]) == []


def test_drift_and_two_modes_beyond_what_chance_gives() -> None:
    rising = [1e-6 * (1 + 0.01 * i) for i in range(20)]
    jumping = [1e-6 * (1 + 0.2 * ((5 * i) % 20 < 10)) for i in range(20)]
    assert said([case(samples_s=rising), case()]) == []
    assert said([case(samples_s=rising)] * 2 + [case()]) == ["drift in 2 of 3 cases"]
    assert said([case(samples_s=jumping)] * 3) == ["bimodal in 3 of 3 cases"]
    assert said([case(samples_s=rising)] * 2 + [case()] * 198) == []


def test_every_remark_has_advice() -> None:
    assert set(doubts.REMARKS) == {"outliers", "drift", "bimodal"}


def test_a_doubt_in_one_line() -> None:
    assert str(Doubt("it is so", "do this", ("run that", "or this"))) == "it is so: do this (run that; or this)"
    assert str(Doubt("it is so", "bear it")) == "it is so: bear it"
