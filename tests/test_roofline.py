from __future__ import annotations

import json

import pytest

from sparsebench import doctor, isa, registry
from sparsebench.bench.plan import set_roof
from sparsebench.bench.pool import WorkerError, run_apart
from sparsebench.bench.roofline import Ceilings, load_or_measure, measure_apart, roof, working_sets
from sparsebench.problem import Problem
from sparsebench.results import blank_result
from sparsebench.suite import Group

CACHES = {"L1d": 48 << 10, "L2": 2 << 20, "L3": 32 << 20}


def test_working_sets_lie_in_their_level() -> None:
    one = working_sets(CACHES, threads=1, memory=64 << 30)
    assert one == {"L1d": 24 << 10, "L2": 1 << 20, "L3": 16 << 20, "memory": 128 << 20}
    two = working_sets(CACHES, threads=2, memory=64 << 30)
    assert (two["L2"], two["L3"], two["memory"]) == (1 << 20, 8 << 20, 64 << 20)


def test_memory_is_never_filled() -> None:
    assert working_sets(CACHES, threads=1, memory=80 << 20)["memory"] == 10 << 20


def test_caches_that_are_not_told_are_left_out() -> None:
    assert set(working_sets({"L1d": None, "L2": None, "L3": None}, 1, 1 << 30)) == {"memory"}


CEILINGS = Ceilings(100.0, {"L1d": 200.0, "L2": 100.0, "L3": 50.0, "memory": 10.0})


@pytest.mark.parametrize(
    ("flops", "nbytes", "threads", "seconds", "bound"),
    [
        (1e9, 1000, 1, 1e-2, "compute"),
        (1, 48 << 10, 1, (48 << 10) / 200e9, "L1d"),
        (1, 49 << 10, 1, (49 << 10) / 100e9, "L2"),
        (1, 49 << 10, 2, (49 << 10) / 200e9, "L1d"),
        (1, 3 << 20, 1, (3 << 20) / 50e9, "L3"),
        (1, 1 << 30, 4, (1 << 30) / 10e9, "memory"),
    ],
)
def test_the_roof_is_the_tighter_of_two_bounds(
    flops: float, nbytes: int, threads: int, seconds: float, bound: str
) -> None:
    found = roof(flops, nbytes, CEILINGS, CACHES, threads)
    assert found.seconds == pytest.approx(seconds)
    assert found.bound == bound


def test_ceilings_are_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[str, int]] = []

    def measured(level: str, threads: int) -> Ceilings:
        calls.append((level, threads))
        return CEILINGS

    monkeypatch.setattr("sparsebench.bench.roofline.measure_apart", measured)
    assert load_or_measure("v3", 1) == load_or_measure("v3", 1) == CEILINGS
    assert load_or_measure("v3", 2) == CEILINGS
    assert calls == [("v3", 1), ("v3", 2)]


@pytest.mark.parametrize("level", isa.available())
def test_every_level_measures_something(level: str) -> None:
    module = isa.module("ceiling", level)
    for threads in (1, 2):
        assert module.fma_gflops(threads, 1e-3) > 0
        assert module.read_gbytes(10_000, threads, 1e-3) > 0


def test_measured_apart() -> None:
    found = measure_apart(isa.active(), 1)
    assert found.fma_gflops > 0
    assert found.read_gbytes["memory"] > 0


def test_a_child_that_fails_says_why() -> None:
    with pytest.raises(WorkerError, match="'v9' is not a level"):
        run_apart("sparsebench.bench.roofline", ["v9", "1"], 1, isa.active())


def test_doctor_knows_the_machine() -> None:
    facts = doctor.examine(measure=False)
    json.dumps(facts)
    assert facts["levels"]["used"] in facts["levels"]["built"]
    assert facts["empty_call_ns"]["native"] > 0
    assert "ceilings" not in facts
    if facts["mkl"]["available"]:
        assert facts["mkl"]["threading_layer"] == "gnu"
        assert facts["mkl"]["code_path"]
    else:
        assert facts["mkl"]["reason"]


@pytest.mark.parametrize(("N", "share"), [(1, 0.25), (2, 1 - 0.75**2)])
def test_zeros_that_are_skipped_are_neither_multiplied_nor_read(N: int, share: float) -> None:
    problem = Problem.parse(f"matmul:4096x4096x{N}:complementary/16+0.95:f32@0.25")
    kernel = registry.kernels()["complementary-ss"]
    group = Group("test", problem, (kernel.name,), 1, kernel.level, "")
    result = blank_result(group, kernel, "ok")
    result.nnz, result.packed_bytes = 800_000, 4_000_000
    operands = 4 * N * (4096 + 4096)
    slow_reads = Ceilings(1e9, {"L1d": 1.0, "L2": 1.0, "L3": 1.0, "memory": 1.0})
    set_roof(result, kernel, {(kernel.level, 1): slow_reads}, dict(CACHES))
    assert result.roofline_s == pytest.approx((share * 4_000_000 + operands) * 1e-9)
    slow_sums = Ceilings(1e-3, dict.fromkeys(slow_reads.read_gbytes, 1e12))
    set_roof(result, kernel, {(kernel.level, 1): slow_sums}, dict(CACHES))
    assert (result.bound, result.roofline_s) == ("compute", pytest.approx(2 * 0.25 * 800_000 * N / 1e6))
