"""Kernels in processes of their own: as right, as wrong and as costly as in the worker."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from time import clock_gettime, process_time
from typing import Any

import numpy as np
import pytest
from test_pool import QUICK, Quiet, bad_kernels, group, run  # noqa: F401

from sparsebench import isa, registry
from sparsebench.bench.doubts import of_libraries
from sparsebench.bench.handover import as_bytes, give, take
from sparsebench.bench.pool import Settings
from sparsebench.bench.remote import RemoteError, RemotePlan, Satellites
from sparsebench.bench.sampler import Contender, timer_for
from sparsebench.bench.usage import cpu_clock
from sparsebench.kernel import Kernel
from sparsebench.memory import aligned_copy, aligned_empty
from sparsebench.operands import make_operands
from sparsebench.problem import Problem

PROBLEM = Problem.parse("matmul:48x64x5:unstructured+0.9:f32")


@pytest.fixture
def kernels(bad_kernels: Any) -> dict[str, Kernel]:  # noqa: F811
    return dict(bad_kernels["matmul"])


@pytest.fixture
def satellites(monkeypatch: pytest.MonkeyPatch) -> Iterator[Satellites]:
    # What a worker's own environment says already.
    monkeypatch.setenv("PYTHONPATH", str(Path(registry.__file__).parents[1]))
    with Satellites() as started:
        yield started


def plan_of(satellites: Satellites, kernel: Kernel, problem: Problem = PROBLEM) -> tuple[RemotePlan, Any]:
    operands = make_operands(problem)
    return satellites.prepare(kernel, problem, operands.weights, 1), operands


def test_arrays_arrive_as_they_were() -> None:
    one, other = socket.socketpair()
    parts = [np.arange(5, dtype=np.uint8), np.empty(0, np.uint8), as_bytes(np.full((3, 700), np.nan, np.float32))]
    with other:
        with one:
            taken = take(other, give(one, parts))
        with pytest.raises(EOFError):
            take(other, [1])
    for part, copy in zip(parts, taken, strict=True):
        assert np.array_equal(part, copy)
        assert not copy.size or copy.ctypes.data % 64 == 0


def test_a_plan_elsewhere_is_a_plan(satellites: Satellites, kernels: dict[str, Kernel]) -> None:
    plan, operands = plan_of(satellites, kernels["far-good-test"])
    assert (plan.layout, plan.packed_bytes) == ("column", operands.weights.dense.nbytes)
    assert plan.detail not in ("", str(os.getpid()))
    x, out = aligned_copy(operands.x.T), aligned_empty((5, 48))
    out.fill(np.nan)
    plan.run(x, out)
    np.testing.assert_allclose(out, (operands.weights.dense @ operands.x).T, rtol=1e-4, atol=1e-5)


def test_nothing_is_found_in_an_output_that_was_spoilt(satellites: Satellites, kernels: dict[str, Kernel]) -> None:
    """What a call before has left there must not pass for the answer of one that does nothing."""
    plan, operands = plan_of(satellites, kernels["far-lie-later"])
    out = aligned_empty((48, 5))
    plan.run(operands.x, out)
    assert np.isfinite(out).all()
    out.fill(np.nan)
    plan.spoil()
    plan.call()
    plan.collect()
    assert np.isnan(out).all()


def test_two_at_once_and_one_for_each_runtime(satellites: Satellites, kernels: dict[str, Kernel]) -> None:
    first, _ = plan_of(satellites, kernels["far-good-test"])
    second, _ = plan_of(satellites, kernels["far-good-other"])
    again, _ = plan_of(satellites, kernels["far-good-test"])
    assert first.detail == again.detail != second.detail
    assert first.number != again.number
    assert satellites.leave().keys() == {"test", "other"}


def test_what_is_forgotten_is_prepared_anew(satellites: Satellites, kernels: dict[str, Kernel]) -> None:
    plan, operands = plan_of(satellites, kernels["far-good-test"])
    satellites.forget()
    with pytest.raises(RemoteError, match="KeyError"):
        plan.run(aligned_copy(operands.x.T), aligned_empty((5, 48)))
    plan, operands = plan_of(satellites, kernels["far-good-test"])
    plan.run(aligned_copy(operands.x.T), aligned_empty((5, 48)))


def test_an_exception_comes_back_in_its_own_words(satellites: Satellites, kernels: dict[str, Kernel]) -> None:
    with pytest.raises(RemoteError, match=r"^MemoryError: no room for this one$"):
        plan_of(satellites, kernels["far-raise"])


@pytest.mark.parametrize(("bad", "how"), [("far-crash", "SIGSEGV"), ("far-crash-when-timed", "SIGKILL")])
def test_a_process_that_dies_takes_this_one_along(
    satellites: Satellites, kernels: dict[str, Kernel], bad: str, how: str
) -> None:
    with pytest.raises(SystemExit, match=rf"the process of 'test' died \({how}\)"):
        plan, operands = plan_of(satellites, kernels[bad])
        plan.bind(operands.x, aligned_empty((48, 5)))
        timer_for([plan]).seconds(10)


def test_its_cpu_time_is_counted(satellites: Satellites, kernels: dict[str, Kernel]) -> None:
    plan, operands = plan_of(satellites, kernels["far-busy"])
    plan.bind(operands.x, aligned_empty((48, 5)))
    contender = Contender("far-busy", timer_for([plan]), satellites.cpu_seconds, inner=50)
    own = process_time()
    contender.sample()
    assert contender.samples_s[0] > 0
    # Half: it may have been kept from its CPU, or have been slow to answer.
    assert contender.cpu_s > 0.5 * 50 * contender.samples_s[0] > 10 * (process_time() - own)


def test_the_cpu_clock_of_a_process_is_its_own() -> None:
    before = process_time()
    there = clock_gettime(cpu_clock(os.getpid()))
    assert before <= there <= process_time()
    with pytest.raises(OSError):
        cpu_clock(2**22 + 1)


def test_doubts_look_into_every_process() -> None:
    pool = {"library": "openblas", "version": "1", "threads": 1}
    loaded = {"pools": [], "satellites": {"test": {"pools": [pool]}}}
    assert [doubt.what for doubt in of_libraries(2, loaded)] == ["openblas 1 uses 1 of the 2 threads asked for"]


def test_all_share_the_rounds_of_a_group(kernels: dict[str, Kernel]) -> None:
    listener = Quiet()
    names = ("csr", "far-good-test", "far-good-other", "far-lie", "far-lie-later", "far-raise", "far-missing")
    (results,) = run([group(*names)], {"matmul": kernels}, listener=listener)
    measured = ("csr", "far-good-test", "far-good-other")
    assert {results[name].status for name in measured} == {"ok"}
    assert {len(results[name].samples_s) for name in measured} == {3}
    assert len({results[name].group for name in measured}) == 1
    assert results["far-lie"].status == results["far-lie-later"].status == "wrong"
    assert results["far-lie"].samples_s == results["far-lie-later"].samples_s == []
    assert results["far-raise"].error == "prepare: MemoryError: no room for this one"
    assert results["far-missing"].status == "unavailable"
    assert listener.libraries["satellites"].keys() == {"test", "other"}
    assert all(loaded["pools"] for loaded in listener.libraries["satellites"].values())


@pytest.mark.parametrize("bad", ["far-crash", "far-crash-when-timed"])
def test_a_crash_costs_its_case(kernels: dict[str, Kernel], bad: str) -> None:
    (results,) = run([group("csr", "far-good-test", bad)], {"matmul": kernels})
    assert results[bad].status == "failed"
    assert "the process of 'test' died" in results[bad].error
    assert results["csr"].status == results["far-good-test"].status == "ok"


def test_a_hang_costs_its_case(kernels: dict[str, Kernel]) -> None:
    settings = Settings(effort=QUICK, time_limit=3.0)
    (results,) = run([group("csr", "far-good-test", "far-hang")], {"matmul": kernels}, settings)
    assert results["far-hang"].status == "timeout"
    assert "no end after 3 s while in 'prepare'" in results["far-hang"].error
    assert results["csr"].status == results["far-good-test"].status == "ok"


def test_cold_weights_rotate_there_too(kernels: dict[str, Kernel]) -> None:
    cold = group("csr", "far-good-test", "far-thrifty", problem="matmul:700x900x4:unstructured+0.5:f32;cache=cold")
    (results,) = run([cold], {"matmul": kernels})
    assert {name: result.error for name, result in results.items()} == dict.fromkeys(results, "")
    assert {result.status for result in results.values()} == {"ok"}


def test_a_process_that_dies_when_its_work_is_done_costs_nothing(kernels: dict[str, Kernel]) -> None:
    groups = [group("csr", "far-die-at-the-end", "far-good-test")] * 2
    for results in run(groups, {"matmul": kernels}):
        assert {result.status for result in results.values()} == {"ok"}


def test_the_registry_knows_where_a_kernel_is_from() -> None:
    assert registry.kernels("matmul", isa.active())["scipy-csr"].module == "sparsebench.baselines.scipy"
