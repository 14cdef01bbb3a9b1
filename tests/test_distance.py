"""How far CPUs are apart, and whether they were moved."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from sparsebench.bench.distance import differ, round_trip_s
from sparsebench.bench.machine import affinity


def test_a_round_trip_takes_nanoseconds_and_leaves_the_affinity_alone() -> None:
    if len(affinity()) < 2:
        pytest.skip("one CPU is nowhere apart from itself")
    before = affinity()
    found = round_trip_s(2)
    assert affinity() == before
    if found is None:
        pytest.skip("the other CPU did not come to answer")
    assert 5e-9 < found < 1e-3


def test_nothing_is_apart_from_one_cpu() -> None:
    assert round_trip_s(1) is None
    assert round_trip_s(len(affinity()) + 1) is None


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="the system does not hold threads to CPUs")
def test_a_cpu_that_may_not_be_used_is_no_time() -> None:
    # In a process of its own, and of the installed package: a CPU beyond the machine's is refused, no crash.
    code = "from sparsebench._kernels._round_trip import seconds; print(seconds(0, 1023), seconds(1023, 0))"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == ["nan", "nan"]


@pytest.mark.parametrize(
    ("one", "other", "are"),
    [(45e-9, 72e-9, False), (57e-9, 375e-9, True), (375e-9, 57e-9, True), (None, 375e-9, False), (57e-9, None, False)],
)
def test_what_is_another_placement(one: float | None, other: float | None, are: bool) -> None:
    assert differ(one, other) is are
