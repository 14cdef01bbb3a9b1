from __future__ import annotations

from pathlib import Path

import pytest

from sparsebench.bench import machine

INTEL = (
    "vendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 207\nmodel name\t: Xeon\n"
    "stepping\t: 2\nflags\t\t: avx2 fma\n"
)
AMD = INTEL.replace("GenuineIntel", "AuthenticAMD").replace("Xeon", "EPYC").replace("fma", "fma hypervisor")
ARM = "processor\t: 0\nFeatures\t: fp asimd\nCPU implementer\t: 0x41\nCPU architecture: 8\nCPU part\t: 0xd40\n"


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n")


@pytest.fixture
def roots(tmp_path: Path) -> tuple[Path, Path]:
    """A machine of two cores with two threads each."""
    proc, sys = tmp_path / "proc", tmp_path / "sys"
    write(proc / "cpuinfo", INTEL)
    write(proc / "stat", "cpu  100 0 100 700 0 0 0 100 0 0")
    cpus = sys / "devices/system/cpu"
    for number in range(4):
        write(cpus / f"cpu{number}/topology/core_id", str(number % 2))
        write(cpus / f"cpu{number}/topology/physical_package_id", "0")
    for index, (level, kind, size) in enumerate(
        [("1", "Data", "48K"), ("1", "Instruction", "32K"), ("2", "Unified", "2048K"), ("3", "Unified", "260M")]
    ):
        for name, text in (("level", level), ("type", kind), ("size", size)):
            write(cpus / f"cpu0/cache/index{index}/{name}", text)
    return proc, sys


def test_the_key_holds_what_stays(roots: tuple[Path, Path]) -> None:
    key = machine.machine_key(*roots)
    assert (key["vendor"], key["model"], key["family"]) == ("GenuineIntel", "Xeon", "6")
    assert (key["cores"], key["threads_per_core"]) == (2, 2)
    assert key["caches"] == {"L1d": 48 << 10, "L2": 2 << 20, "L3": 260 << 20}
    assert machine.key_hash(key) == machine.key_hash(machine.machine_key(*roots))


def test_another_machine_has_another_key(roots: tuple[Path, Path]) -> None:
    before = machine.key_hash(machine.machine_key(*roots))
    write(roots[0] / "cpuinfo", INTEL.replace("avx2 fma", "avx2 fma avx512f"))
    assert machine.key_hash(machine.machine_key(*roots)) != before
    write(roots[0] / "cpuinfo", INTEL + "cpu MHz\t: 1234.5\n")
    assert machine.key_hash(machine.machine_key(*roots)) == before, "a clock rate is no part of the key"


def test_aarch64(roots: tuple[Path, Path]) -> None:
    write(roots[0] / "cpuinfo", ARM)
    key = machine.machine_key(*roots)
    assert (key["vendor"], key["model"]) == ("0x41", "0xd40")
    assert key["flags"]


def test_a_system_that_tells_nothing(tmp_path: Path) -> None:
    key = machine.machine_key(tmp_path, tmp_path)
    assert key["vendor"] is key["cores"] is key["flags"] is None
    assert key["caches"] == {"L1d": None, "L2": None, "L3": None}
    now = machine.conditions(tmp_path, tmp_path)
    assert now["governor"] is now["steal_share"] is now["cgroup_cpus"] is None
    assert machine.usable_cpus(tmp_path, tmp_path) == sorted(machine.affinity())
    assert now["turbo"] is now["turbo_switch"] is None


def test_one_cpu_of_each_core(roots: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "affinity", lambda: {0, 1, 2, 3})
    assert machine.usable_cpus(roots[1], roots[0]) == [0, 1]
    monkeypatch.setattr(machine, "affinity", lambda: {2, 3})
    assert machine.usable_cpus(roots[1], roots[0]) == [2, 3]
    monkeypatch.setattr(machine, "affinity", lambda: {1, 3})
    assert machine.usable_cpus(roots[1], roots[0]) == [1]


def test_conditions(roots: tuple[Path, Path]) -> None:
    proc, sys = roots
    write(sys / "devices/system/cpu/cpu0/cpufreq/scaling_governor", "schedutil")
    write(sys / "devices/system/cpu/intel_pstate/no_turbo", "1")
    write(sys / "kernel/mm/transparent_hugepage/enabled", "always [madvise] never")
    now = machine.conditions(proc, sys)
    assert (now["governor"], now["turbo"], now["huge_pages"]) == ("schedutil", False, "madvise")
    assert now["steal_share"] == pytest.approx(0.1)
    assert now["libraries"]["numpy"]


def test_governors_that_differ_are_all_told(roots: tuple[Path, Path]) -> None:
    for cpu, governor in enumerate(["performance", "powersave", "performance"]):
        write(roots[1] / f"devices/system/cpu/cpu{cpu}/cpufreq/scaling_governor", governor)
    assert machine.conditions(*roots)["governor"] == "performance, powersave"


@pytest.mark.parametrize(
    ("file", "text", "on"),
    [
        ("intel_pstate/no_turbo", "0", True),
        ("intel_pstate/no_turbo", "1", False),
        ("cpufreq/boost", "1", True),
        ("cpufreq/boost", "0", False),
    ],
)
def test_turbo_and_its_switch(roots: tuple[Path, Path], file: str, text: str, on: bool) -> None:
    write(roots[1] / "devices/system/cpu" / file, text)
    now = machine.conditions(*roots)
    assert (now["turbo"], now["turbo_switch"]) == (on, f"/sys/devices/system/cpu/{file}")


def test_a_quota_takes_cores_away(roots: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    write(roots[1] / "fs/cgroup/cpu.max", "100000 100000")
    monkeypatch.setattr(machine, "affinity", lambda: {0, 1})
    assert machine.usable_cpus(roots[1], roots[0]) == [0]
    assert machine.conditions(*roots)["cgroup_cpus"] == 1.0


def test_the_code_path_of_mkl(tmp_path: Path) -> None:
    assert machine.mkl_code_path(tmp_path) is None
    write(tmp_path / "self/maps", "7f00 r-xp /x/lib/libmkl_core.so.2\n7f01 r-xp /x/lib/libmkl_avx512.so.2")
    assert machine.mkl_code_path(tmp_path) == "avx512"


def test_this_machine() -> None:
    assert machine.usable_cpus()
    found = machine.loaded_libraries()
    assert isinstance(found["pools"], list)
