"""Every kernel x level x pattern x awkward shape against float64."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from checked import possible, run_checked
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sparsebench import isa, lane_plan, registry
from sparsebench.bench.verify import check, poison, reference
from sparsebench.memory import aligned_empty
from sparsebench.operands import make_operands
from sparsebench.patterns import parse_pattern
from sparsebench.problem import Problem

PATTERNS = (
    "unstructured",
    "unstructured/skewed",
    "block/4x4",
    "block/8x1",
    "block/16x1",
    "block/3x5",
    "block/32x2",
    "complementary/1",
    "complementary/1/partitioned",
    "complementary/4",
    "complementary/8",
    "complementary/16",
    "complementary/16/partitioned",
)
# 1, primes, and one beside the widths of a vector, a tile and a lane group.
SHAPES = ((1, 1), (1, 31), (31, 1), (7, 13), (16, 48), (17, 49), (67, 101), (130, 64))
COLUMNS = (1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 48, 49, 65, 97)


# Peers run in processes of their own: tests/test_baselines_peers.py.
IN_PROCESS = {name: kernel for name, kernel in registry.kernels().items() if not kernel.runtime}
OURS = [
    (name, pattern)
    for name, kernel in registry.kernels().items()
    for pattern in PATTERNS
    if kernel.provider == "sparsebench"
    and not kernel.supports(Problem("matmul", 8, 8, 8, parse_pattern(pattern), density=0.2))
]


@pytest.mark.parametrize(("name", "pattern"), OURS)
@pytest.mark.parametrize("level", isa.built())
def test_our_kernels(level: str, name: str, pattern: str) -> None:
    if level not in isa.available():
        pytest.skip(f"this CPU does not have level {level}")
    kernel = registry.kernels("matmul", level)[name]
    for M, K in SHAPES:
        for N in COLUMNS:
            problem = Problem("matmul", M, K, N, parse_pattern(pattern), density=0.2)
            run_checked(kernel, problem, threads=1 + (M + N) % 2)


@pytest.mark.parametrize("level", isa.available())
@pytest.mark.parametrize("pattern", ["unstructured", "block/4x4", "complementary/8", "complementary/16"])
def test_results_past_the_caches(monkeypatch: pytest.MonkeyPatch, level: str, pattern: str) -> None:
    """Y larger than the last cache, which is made tiny, is stored past it: only where its rows are whole lines."""
    tiny = replace(lane_plan.cache_bytes(), last=64)
    monkeypatch.setattr(lane_plan, "cache_bytes", lambda: tiny)
    engine = isa.module("lane_engine", level)
    name = pattern.partition("/")[0].replace("unstructured", "csr")
    for M, N in ((7, 16), (70, 48), (33, 96), (33, 97)):
        problem = Problem("matmul", M, 50, N, parse_pattern(pattern), density=0.25)
        operands = make_operands(problem)
        plan = registry.kernels("matmul", level)[name].prepare(problem, operands.weights, 1 + N % 2)
        assert ("Y past the caches" in plan.detail) == (engine.VECTOR_FLOATS == 16 and N % 16 == 0)
        room = aligned_empty(M * N + 1)
        # The second begins within a line.
        for out in (room[:-1].reshape(M, N), room[1:].reshape(M, N)):
            poison(out)
            plan.run(operands.x, out)
            assert check(out, reference(operands)).status == "ok"


@pytest.mark.parametrize("name", sorted(IN_PROCESS))
def test_every_kernel_in_its_own_layout(name: str) -> None:
    kernel = registry.kernels()[name]
    if kernel.missing:
        pytest.skip(kernel.missing)
    for pattern in ("unstructured", "block/4x4", "complementary/8", "complementary/1/partitioned"):
        for M, K, N in ((67, 101, 16), (32, 200, 49), (8, 48, 97), (96, 64, 192), (40, 3000, 100)):
            problem = Problem("matmul", M, K, N, parse_pattern(pattern), density=0.2, x_layout="blocked")
            if not kernel.supports(problem):
                run_checked(kernel, problem, threads=1 + N % 2)


def test_a_blocked_layout_needs_a_cache_line() -> None:
    problem = Problem("matmul", 8, 8, 15, parse_pattern("unstructured"), density=0.5, x_layout="blocked")
    assert "at least 16" in (registry.kernels()["csr"].supports(problem) or "")


@pytest.mark.parametrize("level", isa.built())
def test_non_zero_activations_alone(level: str) -> None:
    if level not in isa.available():
        pytest.skip(f"this CPU does not have level {level}")
    kernel = registry.kernels("matmul", level)["complementary-ss"]
    for lanes in (1, 4, 8, 16):
        for number, (M, K) in enumerate(((1, 1), (7, 13), (67, 101), (130, 64), (320, 40))):
            for N in (1, 2, 7, 16, 17):
                for act_density in (0.01, 0.3, 0.9):
                    pattern = parse_pattern(f"complementary/{lanes}")
                    problem = Problem("matmul", M, K, N, pattern, density=0.2, act_density=act_density)
                    run_checked(kernel, problem, threads=1 + (number + N) % 3)


def test_non_zero_activations_are_asked_for() -> None:
    kernel = registry.kernels()["complementary-ss"]
    dense = Problem("matmul", 8, 8, 1, parse_pattern("complementary/4"), density=0.5)
    assert "activation density below 1" in (kernel.supports(dense) or "")
    assert "up to 64" in (kernel.supports(replace(dense, N=65, act_density=0.5)) or "")
    assert "pattern" in (kernel.supports(replace(dense, pattern=parse_pattern("unstructured"))) or "")


def test_scipy_multiplies_sparse_by_sparse() -> None:
    for N in (1, 9):
        problem = Problem("matmul", 40, 50, N, parse_pattern("complementary/4"), density=0.2, act_density=0.2)
        run_checked(registry.kernels()["scipy-ss"], problem, threads=1)


@pytest.mark.parametrize("overlay", [1, 2, 16, 20, 32, 33])
def test_partitioned_lanes_of_one(overlay: int) -> None:
    """Up to 32 the inputs of a window are permuted in registers, where the level can."""
    kernel = registry.kernels()["complementary"]
    for M, K in ((1, 1), (5, 64), (130, 47), (257, 96)):
        for N in range(1, 15):
            pattern = parse_pattern("complementary/1/partitioned")
            run_checked(kernel, Problem("matmul", M, K, N, pattern, density=1 / overlay), threads=1 + N % 2)


@pytest.mark.parametrize("density", [0.002, 0.05, 0.5, 1.0])
@pytest.mark.parametrize("name", sorted(IN_PROCESS))
def test_every_kernel_at_every_density(name: str, density: float) -> None:
    kernel = registry.kernels()[name]
    if kernel.missing:
        pytest.skip(kernel.missing)
    problems = [
        Problem("matmul", M, K, N, parse_pattern(pattern), density)
        for pattern in PATTERNS
        for M, K, N in ((64, 64, 16), (48, 96, 1), (33, 70, 5))
    ]
    if "-ss" in name:
        problems = [replace(problem, act_density=0.3) for problem in problems]
    able = [problem for problem in problems if not kernel.supports(problem)]
    assert able
    for problem in able:
        run_checked(kernel, problem, threads=1)


@pytest.mark.parametrize("pattern", ["unstructured", "block/4x4"])
def test_a_single_non_zero(pattern: str) -> None:
    problem = Problem("matmul", 64, 64, 16, parse_pattern(pattern), density=1e-9)
    for kernel in IN_PROCESS.values():
        if not kernel.missing and not kernel.supports(problem):
            run_checked(kernel, problem, threads=2)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    M=st.integers(1, 150),
    K=st.integers(1, 150),
    N=st.integers(1, 110),
    density=st.floats(0.02, 1.0),
    pattern=st.sampled_from(PATTERNS),
    seed=st.integers(0, 1000),
    threads=st.integers(1, 3),
)
def test_our_kernels_on_anything(M: int, K: int, N: int, density: float, pattern: str, seed: int, threads: int) -> None:
    kind = parse_pattern(pattern)
    problem = Problem("matmul", M, K, N, kind, possible(kind, density), seed=seed)
    for kernel in registry.kernels().values():
        if kernel.provider == "sparsebench" and not kernel.supports(problem):
            run_checked(kernel, problem, threads)


@pytest.mark.parametrize("name", ["csr", "complementary", "dense"])
@pytest.mark.parametrize("N", [1, 5, 64, 70])
def test_blocks_of_k(name: str, N: int) -> None:
    """K large enough that every plan cuts it: for the panel, and for inputs of two bytes."""
    problem = Problem("matmul", 19, 70_001, N, parse_pattern("complementary/4"), density=1 / 3)
    run_checked(registry.kernels()[name], problem, threads=2)


def test_a_plan_refuses_other_shapes() -> None:
    problem = Problem("matmul", 8, 16, 4, parse_pattern("unstructured"), density=0.5)
    operands = make_operands(problem)
    for kernel in registry.kernels().values():
        if kernel.missing or kernel.supports(problem) or kernel.timed_in == "python":
            continue
        plan = kernel.prepare(problem, operands.weights, 1)
        if kernel.provider == "sparsebench":
            with pytest.raises(ValueError, match="before call"):
                plan.call()
        with pytest.raises(ValueError, match="x is 17 x 4"):
            plan.bind(aligned_empty((17, 4)), aligned_empty((8, 4)))
        with pytest.raises(ValueError, match="out is 8 x 5"):
            plan.bind(operands.x, aligned_empty((8, 5)))


def test_results_do_not_depend_on_threads() -> None:
    problem = Problem("matmul", 200, 300, 70, parse_pattern("unstructured/skewed"), density=0.1)
    operands = make_operands(problem)
    kernel = registry.kernels()["csr"]
    answers = []
    for threads in (1, 2, 3, 5):
        out = aligned_empty((200, 70))
        kernel.prepare(problem, operands.weights, threads).run(operands.x, out)
        answers.append(out)
    for other in answers[1:]:
        assert np.array_equal(answers[0], other)
