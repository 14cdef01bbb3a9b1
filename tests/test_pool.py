"""A worker that crashes, hangs or lies costs its case and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from sparsebench import isa, registry
from sparsebench.bench.pool import Settings, WorkerError, run_groups, worker_environment
from sparsebench.bench.sampler import Effort
from sparsebench.bench.worker import _copies
from sparsebench.errors import InputError
from sparsebench.kernel import PythonPlan
from sparsebench.problem import Problem
from sparsebench.results import CaseResult
from sparsebench.suite import Group

PROBLEM = "matmul:48x64x5:unstructured+0.9:f32"
QUICK = Effort(sample_s=1e-4, min_rounds=3, max_rounds=3, seconds=0.1)


class Quiet:
    def __init__(self) -> None:
        self.started: list[str] = []
        self.measured: list[tuple[str, ...]] = []
        self.libraries: dict[str, Any] = {}

    def group_started(self, group: Group) -> None:
        self.started.append(str(group.problem))

    def measuring(self, group: Group, kernels: Sequence[str]) -> None:
        self.measured.append(tuple(kernels))

    def worker_finished(self, threads: int, level: str, libraries: dict[str, Any]) -> None:
        self.libraries = libraries


@pytest.fixture
def bad_kernels(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv(registry.baselines.PATH_VARIABLE, str(Path(__file__).parent / "rival_kernels"))
    registry.kernels.cache_clear()
    yield registry.all_kernels()
    registry.kernels.cache_clear()
    registry.baselines.__path__[:] = registry.baselines.__path__[:1]


def group(*kernels: str, problem: str = PROBLEM, threads: int = 1) -> Group:
    return Group("test", Problem.parse(problem), kernels, threads, isa.active(), "numpy-dense")


def run(
    groups: list[Group], kernels: Any, settings: Settings | None = None, listener: Quiet | None = None
) -> list[dict[str, CaseResult]]:
    settings = settings or Settings(effort=QUICK)
    found = run_groups(groups, kernels, settings, listener or Quiet())
    return [{result.kernel: result for result in results} for results in found]


def test_all_kernels_of_a_group_share_its_rounds() -> None:
    listener = Quiet()
    (results,) = run([group("csr", "numpy-dense", "scipy-csr", "block")], registry.kernels(), listener=listener)
    measured = [results[name] for name in ("csr", "numpy-dense", "scipy-csr")]
    assert {result.status for result in measured} == {"ok"}
    assert len({result.group for result in measured}) == 1
    assert {len(result.samples_s) for result in measured} == {3}
    assert results["csr"].timed_in == "native"
    assert results["scipy-csr"].timed_in == "python"
    assert results["block"].status == "unsupported"
    assert "needs pattern 'block'" in results["block"].error
    assert listener.measured == [("csr", "numpy-dense", "scipy-csr")]
    assert listener.libraries


@pytest.mark.parametrize("bad", ["bad-crash", "bad-crash-when-timed"])
def test_a_crash_costs_its_case(bad_kernels: Any, bad: str) -> None:
    first, second = run([group("csr", bad, "numpy-dense"), group("csr", problem=PROBLEM + ";seed=1")], bad_kernels)
    assert first[bad].status == "failed"
    assert ("SIGSEGV" if bad == "bad-crash" else "SIGKILL") in first[bad].error
    assert first["csr"].status == first["numpy-dense"].status == "ok"
    assert first["csr"].group == first["numpy-dense"].group
    assert second["csr"].status == "ok"


def test_a_hang_costs_its_case(bad_kernels: Any) -> None:
    settings = Settings(effort=QUICK, time_limit=3.0)
    (results,) = run([group("csr", "bad-hang")], bad_kernels, settings)
    assert results["bad-hang"].status == "timeout"
    assert "no end after 3 s while in 'prepare'" in results["bad-hang"].error
    assert results["csr"].status == "ok"


def test_a_group_of_crashes_ends(bad_kernels: Any) -> None:
    (results,) = run([group("bad-crash", "bad-crash-when-timed")], bad_kernels)
    assert {result.status for result in results.values()} == {"failed"}


@pytest.mark.parametrize("bad", ["bad-lie", "bad-lie-later"])
def test_a_wrong_answer_is_never_a_time(bad_kernels: Any, bad: str) -> None:
    (results,) = run([group("csr", bad)], bad_kernels)
    assert results[bad].status == "wrong"
    assert results[bad].median_s is None
    assert results[bad].samples_s == []
    assert results["csr"].status == "ok"


def test_an_exception_costs_its_case(bad_kernels: Any) -> None:
    (results,) = run([group("csr", "bad-raise")], bad_kernels)
    assert results["bad-raise"].status == "failed"
    assert results["bad-raise"].error == "prepare: MemoryError: no room for this one"


def test_a_missing_library_is_reported(bad_kernels: Any) -> None:
    (results,) = run([group("csr", "bad-missing")], bad_kernels)
    assert results["bad-missing"].status == "unavailable"
    assert "pip install" in results["bad-missing"].error


def test_bad_weights_end_the_run_with_their_error(tmp_path: Path) -> None:
    absent = tmp_path / "absent.npy"
    groups = [group("csr"), group("csr", problem=f"matmul:4x4x1:unstructured+0.5:f32;weights={absent}")]
    found = run_groups(groups, registry.kernels(), Settings(effort=QUICK), Quiet())
    assert next(found)[0].status == "ok"
    with pytest.raises(InputError, match=r"absent\.npy"):
        next(found)


def test_a_worker_that_cannot_start_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/bin/false")
    with pytest.raises(WorkerError, match="exit code 1"):
        run([group("csr")], registry.kernels())


def test_cold_weights_rotate_among_copies(bad_kernels: Any) -> None:
    (results,) = run(
        [group("csr", "numpy-dense", "thrifty", problem="matmul:700x900x4:unstructured+0.5:f32;cache=cold")],
        bad_kernels,
    )
    assert {name: (result.status, result.error) for name, result in results.items()} == dict.fromkeys(
        ("csr", "numpy-dense", "thrifty"), ("ok", "")
    )
    assert {result.cache for result in results.values()} == {"cold"}


def test_the_environment_is_set_before_anything_is_imported() -> None:
    crippling = {"OPENBLAS_CORETYPE": "Haswell", "OPENBLAS_L2_SIZE": "512", "OMP_PROC_BIND": "true"}
    crippling |= {"ATEN_CPU_CAPABILITY": "default", "MKL_ENABLE_INSTRUCTIONS": "SSE4_2", "NUMBA_DISABLE_JIT": "1"}
    environment = worker_environment(3, "v3", crippling | {"HOME": "/h"})
    assert environment.keys().isdisjoint(crippling)
    assert (
        environment["OMP_NUM_THREADS"] == environment["OPENBLAS_NUM_THREADS"] == environment["MKL_NUM_THREADS"] == "3"
    )
    assert environment["SPARSEBENCH_ISA"] == "v3"
    assert environment["HOME"] == "/h"


@pytest.mark.parametrize(("sizes", "copies"), [((1 << 10, 4 << 20), 8), ((1 << 20, None), 2), ((None, None), 64)])
def test_cold_copies_exceed_the_cache_that_the_machine_has(
    sizes: tuple[int | None, int | None], copies: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {"L1d": None, "L2": sizes[0], "L3": sizes[1]}
    monkeypatch.setattr("sparsebench.bench.machine.cache_sizes", lambda: found)
    plan = PythonPlan(lambda x, out: out, packed_bytes=1 << 20)
    assert _copies(Problem.parse(PROBLEM), plan) == 1
    assert _copies(Problem.parse(PROBLEM + ";cache=cold"), plan) == copies
