from __future__ import annotations

from pathlib import Path

import pytest
from test_machine import write

from sparsebench.bench import cgroup


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({"cpu.max": "150000 100000"}, 1.5),
        ({"cpu.max": "max 100000"}, None),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
        ({"cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "50000"}, 2.0),
        ({"cpu/cpu.cfs_quota_us": "100000"}, None),
        ({"cpu.max": "nonsense"}, None),
        ({}, None),
    ],
)
def test_the_quota_of_a_container(tmp_path: Path, files: dict[str, str], quota: float | None) -> None:
    for name, text in files.items():
        write(tmp_path / "fs/cgroup" / name, text)
    assert cgroup.quota(tmp_path, tmp_path) == quota


def test_the_tightest_group_on_the_way_up_counts(tmp_path: Path) -> None:
    write(tmp_path / "self/cgroup", "0::/user.slice/run.scope")
    group = tmp_path / "fs/cgroup/user.slice"
    write(group / "run.scope/cpu.max", "300000 100000")
    assert cgroup.quota(tmp_path, tmp_path) == 3.0
    write(group / "cpu.max", "50000 100000")
    assert cgroup.quota(tmp_path, tmp_path) == 0.5


def test_version_1_is_looked_up_in_the_group_of_the_process(tmp_path: Path) -> None:
    write(tmp_path / "self/cgroup", "4:memory:/m\n1:cpu,cpuacct:/docker/abc")
    write(tmp_path / "fs/cgroup/cpu/docker/abc/cpu.cfs_quota_us", "75000")
    write(tmp_path / "fs/cgroup/cpu/docker/abc/cpu.cfs_period_us", "100000")
    write(tmp_path / "fs/cgroup/cpu/m/cpu.cfs_quota_us", "1000")
    write(tmp_path / "fs/cgroup/cpu/m/cpu.cfs_period_us", "100000")
    assert cgroup.quota(tmp_path, tmp_path) == 0.75


@pytest.mark.parametrize(
    ("name", "text", "seconds"),
    [
        ("cpu.stat", "usage_usec 9\nnr_throttled 3\nthrottled_usec 2500000", 2.5),
        ("cpu/cpu.stat", "nr_throttled 3\nthrottled_time 1500000000", 1.5),
        ("cpu.stat", "usage_usec 9", None),
    ],
)
def test_throttling(tmp_path: Path, name: str, text: str, seconds: float | None) -> None:
    write(tmp_path / "fs/cgroup" / name, text)
    assert cgroup.throttled_seconds(tmp_path, tmp_path) == seconds


def test_a_system_without_groups(tmp_path: Path) -> None:
    assert cgroup.throttled_seconds(tmp_path, tmp_path) is None
