"""What a run's record says of how it went."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from test_doubts import NOW, QUIET
from test_pool import Quiet
from test_run_folder import make_group

from sparsebench import locks
from sparsebench.bench import machine, watch
from sparsebench.bench.watch import account, overhead, watching
from sparsebench.run_folder import RunFolder

SECONDS = {"wall": 100.0, "measure": 70.0, "prepare": 20.0, "start": 4.0, "verify": 3.0, "idle": 0.1}


def test_overhead_is_all_but_measuring_and_packing() -> None:
    assert overhead(SECONDS) == pytest.approx(0.1)
    assert (
        account(SECONDS) == "100.0 s: 70% measuring, 20% packing, 10.0% overhead (start 4.0%, verify 3.0%, other 2.9%)"
    )


def test_a_run_that_is_all_measuring() -> None:
    assert account({"wall": 1.0, "measure": 1.0}) == "1.0 s: 100% measuring, 0% packing, 0.0% overhead"


@pytest.fixture
def conditions(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the machine will say next, and again from then on."""
    said = [NOW, NOW]
    monkeypatch.setattr(machine, "conditions", lambda: said.pop(0) if len(said) > 1 else said[0])
    monkeypatch.setattr(
        machine,
        "machine_key",
        lambda: {"cores": 2, "threads_per_core": 1, "architecture": "x86_64"} | {"vendor": "GenuineIntel"},
    )
    monkeypatch.setattr(watch, "between", lambda before, after, cpus: dict(QUIET))
    return said


def test_a_quiet_run(tmp_path: Path, conditions: list[dict[str, Any]]) -> None:
    folder = RunFolder.create(tmp_path / "run", {})
    listener = Quiet()
    with watching(folder, listener, [0]) as seen:
        seen.spent["measure"] += 1.0
        seen.worker_finished(1, "v4", {"pools": []})
        folder.append(make_group())
    assert listener.libraries == {"pools": []}
    run = RunFolder.open(tmp_path / "run").run
    assert run["libraries"] == {"threads=1 level=v4": {"pools": []}}
    assert run["seconds"]["measure"] == 1.0
    assert run["seconds"]["wall"] > 0
    assert run["disturbance"] == QUIET
    assert run["conditions_after"] == NOW
    assert "finished" in run
    # The samples are three a case.
    assert [text.split(":")[0] for text in run["warnings"]] == ["2 of 2 cases have fewer than 6 rounds"]


def test_what_was_so_before_and_what_came_up_is_warned_of_once(
    tmp_path: Path, conditions: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    busy = {"load": [9.0, 0, 0], "steal_share": 0.2}
    conditions[:] = [NOW | {"turbo": True} | busy, NOW | {"turbo": True, "governor": "powersave"} | busy]
    monkeypatch.setattr(watch, "between", lambda before, after, cpus: QUIET | {"others_cpus": 1.5})
    folder = RunFolder.create(tmp_path / "run", {"warnings": ["of the plan"]})
    with watching(folder, Quiet(), [0, 1]) as seen:
        seen.worker_finished(2, "v4", {"pools": [{"library": "mkl", "version": "1", "threads": 1}]})
    assert [text.split(":")[0] for text in folder.warnings()] == [
        "of the plan",
        "turbo is on",
        "the load is 9.0 on 2 cores",
        "the hypervisor took 20.0% of the time since boot",
        "the CPU frequency governor is 'powersave'",
        "other processes kept 1.5 CPUs busy during the run",
        "mkl 1 uses 1 of the 2 threads asked for",
    ]


def test_a_run_that_is_interrupted_is_not_finished(tmp_path: Path, conditions: list[dict[str, Any]]) -> None:
    folder = RunFolder.create(tmp_path / "run", {})
    with pytest.raises(KeyboardInterrupt), watching(folder, Quiet(), [0]):
        raise KeyboardInterrupt
    assert "finished" not in folder.run
    assert "seconds" not in folder.run


def test_another_run_on_the_machine_is_in_the_record(tmp_path: Path, conditions: list[dict[str, Any]]) -> None:
    folder = RunFolder.create(tmp_path / "run", {"finished": "now"})
    # Descriptors, not processes, hold these locks.
    with locks.measuring(lambda text: None), watching(folder, Quiet(), [0]):
        pass
    assert "another run was being measured on this machine" in folder.warnings()[0]


def test_stages_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([1.0, 3.0, 5.0, 5.5])
    monkeypatch.setattr(watch, "monotonic", lambda: next(clock))
    seen = watch.Watch(Quiet())
    for _ in range(2):
        with seen.stage("ceilings"):
            pass
    assert seen.spent == {"ceilings": 2.5}


def test_what_the_listener_hears_is_passed_on() -> None:
    heard: list[Any] = []

    class Ears(Quiet):
        def measuring(self, group: Any, kernels: Sequence[str]) -> None:
            heard.append(kernels)

        def group_started(self, group: Any) -> None:
            heard.append(group)

    seen = watch.Watch(Ears())
    seen.group_started("g")  # type: ignore[arg-type]
    seen.measuring("g", ["csr"])  # type: ignore[arg-type]
    assert heard == ["g", ["csr"]]
