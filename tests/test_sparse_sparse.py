"""complementary-ss: zeros of X are skipped, whatever their number and place, and nothing else is."""

from __future__ import annotations

import numpy as np
import pytest
from checked import possible, run_checked
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sparsebench._kernels._timer import Timer

from sparsebench import isa, registry
from sparsebench.bench.verify import check, poison, reference
from sparsebench.kernel import Matrix
from sparsebench.memory import aligned_empty
from sparsebench.operands import Operands, make_operands
from sparsebench.patterns import parse_pattern
from sparsebench.problem import Problem

PATTERNS = ("complementary/1", "complementary/1/partitioned", "complementary/4", "complementary/8", "complementary/16")
LEVELS = pytest.mark.parametrize("level", isa.available())


def problem_of(text: str) -> Problem:
    return Problem.parse(f"matmul:{text}")


def product(problem: Problem, operands: Operands, threads: int, level: str | None = None) -> Matrix:
    """Multiply, and check against float64."""
    kernel = registry.kernels("matmul", level)["complementary-ss"]
    assert kernel.supports(problem) is None
    return run_checked(kernel, problem, threads, operands)


@LEVELS
@pytest.mark.parametrize("pattern", PATTERNS)
def test_awkward_shapes(level: str, pattern: str) -> None:
    for M, K in ((1, 1), (1, 31), (31, 1), (7, 13), (17, 49), (67, 101), (130, 64), (700, 33)):
        for N in range(1, 18):
            for layout in ("row", "blocked"):
                for act in (0.05, 0.5, 0.9):
                    problem = problem_of(f"{M}x{K}x{N}:{pattern}+0.8:f32@{act};layout={layout}")
                    product(problem, make_operands(problem), 1 + (M + N) % 3, level)


@LEVELS
@pytest.mark.parametrize("sets", [1, 2, 15, 16, 17, 31, 33, 50])
def test_every_number_of_sets(level: str, sets: int) -> None:
    """Passes take up to 16 sets; the last set may lack rows; threads split the sets of one sample."""
    for lanes in (1, 4, 8, 16):
        for missing in (0, 1, 3 * lanes - 1):
            problem = problem_of(f"{sets * 4 * lanes - missing}x70x1:complementary/{lanes}+0.75:f32@0.4")
            operands = make_operands(problem)
            whole = product(problem, operands, 1, level)
            assert np.array_equal(whole, product(problem, operands, 2, level))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    M=st.integers(1, 400),
    K=st.integers(1, 200),
    N=st.integers(1, 64),
    density=st.floats(0.02, 1.0),
    act_density=st.floats(0.01, 0.99),
    pattern=st.sampled_from(PATTERNS),
    layout=st.sampled_from(["row", "blocked"]),
    seed=st.integers(0, 1000),
    threads=st.integers(1, 3),
)
def test_anything(
    M: int, K: int, N: int, density: float, act_density: float, pattern: str, layout: str, seed: int, threads: int
) -> None:
    kind = parse_pattern(pattern)
    problem = Problem(
        "matmul",
        M,
        K,
        N,
        kind,
        possible(kind, density),
        act_density=act_density,
        seed=seed,
        x_layout=layout,  # type: ignore[arg-type]
    )
    product(problem, make_operands(problem), threads)


@LEVELS
def test_samples_without_a_non_zero(level: str) -> None:
    for N in (1, 4, 5):
        problem = problem_of(f"90x128x{N}:complementary/8+0.75:f32@0.5")
        operands = make_operands(problem)
        operands.x[:, N // 2] = 0
        operands.x[5, N // 2] = -0.0
        assert not product(problem, operands, 1, level)[:, N // 2].any()
        operands.x[...] = 0
        assert not product(problem, operands, 2, level).any()


@LEVELS
def test_no_zero_and_one_non_zero(level: str) -> None:
    problem = problem_of("90x131x3:complementary/8+0.75:f32@0.5")
    operands = make_operands(problem)
    for k in (0, 15, 16, 129, 130):
        operands.x[...] = 0
        operands.x[k, 1] = 2
        expected = np.zeros((90, 3), np.float32)
        expected[:, 1] = 2 * operands.weights.dense[:, k]
        assert np.array_equal(product(problem, operands, 1, level), expected)
    operands.x[...] = 1
    product(problem, operands, 1, level)


@LEVELS
def test_nan_is_not_zero(level: str) -> None:
    problem = problem_of("64x48x2:complementary/16+0.5:f32@0.5")
    operands = make_operands(problem)
    operands.x[7, 1] = np.nan
    plan = registry.kernels("matmul", level)["complementary-ss"].prepare(problem, operands.weights, 1)
    out = aligned_empty((64, 2))
    plan.run(operands.x, out)
    assert np.array_equal(np.isnan(out[:, 1]), operands.weights.mask.allowed[:, 7])
    assert np.isfinite(out[:, 0]).all()


@pytest.mark.parametrize("text", ["4096x1024x1", "2000x512x3", "2000x512x16", "300x2048x17"])
def test_results_do_not_depend_on_threads(text: str) -> None:
    problem = problem_of(f"{text}:complementary/8+0.95:f32@0.5")
    operands = make_operands(problem)
    kernel = registry.kernels()["complementary-ss"]
    answers = []
    for threads in (1, 2, 3, 5):
        plan = kernel.prepare(problem, operands.weights, threads)
        assert plan.detail.endswith(f"{threads} thread{'s' if threads > 1 else ''}")
        out = aligned_empty((problem.M, problem.N))
        plan.run(operands.x, out)
        answers.append(out)
    assert check(answers[0], reference(operands)).status == "ok"
    for other in answers[1:]:
        assert np.array_equal(answers[0], other)


def test_little_work_keeps_to_one_thread() -> None:
    problem = problem_of("1024x1024x1:complementary/16+0.95:f32@0.12")
    plan = registry.kernels()["complementary-ss"].prepare(problem, make_operands(problem).weights, 4)
    assert plan.detail == "columns of 4 sets x 16 lanes, 1 thread"


@pytest.mark.parametrize("N", [1, 5])
def test_the_selection_alone_leaves_y_alone(N: int) -> None:
    problem = problem_of(f"640x512x{N}:complementary/16+0.95:f32@0.5")
    operands = make_operands(problem)
    plan = registry.kernels()["complementary-ss"].prepare(problem, operands.weights, 2)
    out = aligned_empty((640, N))
    poison(out)
    plan.bind(operands.x, out)
    assert Timer(plan.selection_entry, [plan.context]).seconds(3) > 0  # type: ignore[attr-defined]
    assert np.isnan(out).all()
    plan.call()
    assert check(out, reference(operands)).status == "ok"


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("complementary-ss", "64x64x1:unstructured+0.9:f32@0.5", "needs pattern 'complementary'"),
        ("complementary-ss", "64x64x1:complementary/8+0.9:f32", "needs an activation density below 1"),
        ("complementary-ss", "64x64x65:complementary/8+0.9:f32@0.5", "takes up to 64 columns"),
        ("scipy-ss", "64x64x1:unstructured+0.9:f32", "needs an activation density below 1"),
    ],
)
def test_what_is_not_supported(name: str, text: str, says: str) -> None:
    assert says in (registry.kernels()[name].supports(problem_of(text)) or "")
