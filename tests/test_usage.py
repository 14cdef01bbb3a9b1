"""Who used the CPUs, from made-up /proc and /sys trees: two cores of two threads each, 0 and 2 on the first."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from test_machine import write

from sparsebench.bench.usage import Others, between, usage

SECOND = os.sysconf("SC_CLK_TCK")


def stat(*cpus: tuple[float, float, float]) -> str:
    """Lines of (busy, idle, steal) seconds for each CPU."""
    lines = ["cpu  1 2 3 4 5 6 7 8 0 0"]
    for number, (busy, idle, steal) in enumerate(cpus):
        ticks = [round(seconds * SECOND) for seconds in (busy, 0, 0, idle, 0, 0, 0, steal)]
        lines.append(f"cpu{number} {' '.join(map(str, ticks))} 0 0")
    return "\n".join([*lines, "intr 1 2 3", ""])


@pytest.fixture
def sys(tmp_path: Path) -> Path:
    for number in range(4):
        write(tmp_path / f"sys/devices/system/cpu/cpu{number}/topology/core_id", str(number % 2))
        write(tmp_path / f"sys/devices/system/cpu/cpu{number}/topology/physical_package_id", "0")
    return tmp_path / "sys"


def at(proc: Path, *cpus: tuple[float, float, float], own: float = 0.0, throttled: float | None = None) -> Any:
    write(proc / "stat", stat(*cpus))
    return usage(proc, proc) | {"own_s": own, "throttled_s": throttled}


def test_what_a_cpu_did(tmp_path: Path) -> None:
    now = at(tmp_path, (10, 85, 5))
    assert now["cpus"] == {"0": {"busy_s": 10, "steal_s": 5, "total_s": 100}}


def test_between_two_times(tmp_path: Path, sys: Path) -> None:
    before = at(tmp_path, (1, 9, 0), (1, 9, 0), (1, 9, 0), (1, 9, 0), own=3, throttled=1)
    after = at(tmp_path, (8, 10, 2), (9, 10, 1), (5, 15, 0), (1, 19, 0), own=3 + 15, throttled=1.5)
    during = between(before, after, [0, 1], sys)
    assert during["steal_share"] == pytest.approx(3 / 20)
    # CPUs 2 and 3 share the cores of 0 and 1.
    assert during["siblings_share"] == pytest.approx(4 / 20)
    assert during["others_cpus"] == pytest.approx((7 + 8 + 4 - 15) / 10)
    assert during["throttled_share"] == pytest.approx(0.05)


def test_a_run_on_one_core_asks_only_for_its_own_sibling(tmp_path: Path, sys: Path) -> None:
    before = at(tmp_path, *[(0, 0, 0)] * 4)
    after = at(tmp_path, (10, 0, 0), (0, 10, 0), (1, 9, 0), (10, 0, 0), own=10)
    during = between(before, after, [0], sys)
    assert during["siblings_share"] == pytest.approx(0.1)
    assert during["throttled_share"] is None


def test_nothing_between_and_nothing_told(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    blank = usage(tmp_path / "empty", tmp_path / "empty")
    assert blank["cpus"] == {}
    assert set(between(blank, blank, [0], tmp_path).values()) == {None}
    now = at(tmp_path, (10, 85, 5))
    assert set(between(now, now, [0], tmp_path).values()) == {None}


def test_a_cpu_that_went_offline_is_left_out(tmp_path: Path, sys: Path) -> None:
    before = at(tmp_path, (0, 0, 0), (0, 0, 0))
    after = at(tmp_path, (5, 5, 0), own=5)
    assert between(before, after, [0, 1], sys)["others_cpus"] == 0


def test_what_others_take_of_the_cpus_measured_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = {"wall": 100.0, "own": 7.0}
    monkeypatch.setattr("sparsebench.bench.usage.monotonic", lambda: clock["wall"])
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 2})
    write(tmp_path / "stat", stat((10, 0, 1), (10, 0, 0), (10, 0, 0)))
    others = Others(tmp_path, own=lambda: clock["own"])
    clock |= {"wall": 102.0, "own": 10.0}
    # Busy 3.5 s on the two, 3 s of which are this process's; 0.1 s were stolen; CPU 1 is not looked at.
    write(tmp_path / "stat", stat((11.8, 0, 1.1), (12, 0, 0), (11.7, 0, 0)))
    assert others.cpus() == pytest.approx(0.3)
    others.mark()
    clock |= {"wall": 102.1, "own": 10.08}
    write(tmp_path / "stat", stat((11.9, 0, 1.1), (12, 0, 0), (11.7, 0, 0)))
    assert others.cpus() == 0, "two ticks may be anybody's"
    assert Others(tmp_path / "nowhere").cpus() is None


def test_what_is_disturbed_is_measured_again_while_that_helps(tmp_path: Path) -> None:
    others = Others(tmp_path)
    assert not others.worth_another(None, 1, 1)
    assert not others.worth_another(0.09, 2, 1)
    assert others.worth_another(0.11, 2, 1)
    assert not others.worth_another(0.0, 2, 2)
    assert others.worth_another(0.11, 2, 1), "it has helped"
    assert not others.worth_another(0.3, 2, 2), "not a third time"
    assert not others.worth_another(0.3, 2, 1), "it has not helped, and will not"
