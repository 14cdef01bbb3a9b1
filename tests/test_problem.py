from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparsebench.errors import InputError
from sparsebench.patterns import PATTERNS, Block, Complementary, Stored, Unstructured, parse_pattern
from sparsebench.problem import Problem, columns

ANY_PATTERN = st.sampled_from(
    [
        Unstructured(),
        Unstructured(skew=True),
        Block(4, 4),
        Block(8, 1),
        Complementary(8),
        Complementary(1, "partitioned"),
    ]
)


@given(
    M=st.integers(1, 10**6),
    K=st.integers(1, 10**6),
    N=st.integers(1, 10**6),
    pattern=ANY_PATTERN,
    density=st.sampled_from([0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1 / 3, 1.0]),
    act_density=st.sampled_from([1.0, 0.12]),
    seed=st.integers(0, 99),
    cache=st.sampled_from(["warm", "cold"]),
    weights=st.sampled_from(["random", "a;b=c:d.npy", "pypi:x==1#y.onnx@sha256=00!onnx::MatMul_3"]),
)
def test_a_problem_survives_its_string(**fields: object) -> None:
    problem = Problem(op="matmul", **fields)  # type: ignore[arg-type]
    again = Problem.parse(str(problem))
    assert str(again) == str(problem)
    assert again.density == pytest.approx(problem.density, rel=1e-9)
    assert (again.M, again.K, again.N, again.pattern) == (problem.M, problem.K, problem.N, problem.pattern)
    assert (again.weights, again.seed, again.cache) == (problem.weights, problem.seed, problem.cache)


def test_the_string_in_the_readme() -> None:
    problem = Problem.parse("matmul:1024x1024x64:complementary/8+0.95:f32")
    assert problem.density == 0.05
    assert problem.overlay == 20
    assert str(problem) == "matmul:1024x1024x64:complementary/8+0.95:f32"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("nonsense", "does not have the form op:sizes"),
        ("conv:4x4x4:unstructured+0.5:f32", "op 'conv' is not known"),
        ("matmul:0x4x4:unstructured+0.5:f32", "M is 0; it must be at least 1"),
        ("matmul:4x4x-1:unstructured+0.5:f32", "N is -1"),
        ("matmul:4x4x4:unstructured+1:f32", r"density is 0; it must lie in \(0, 1\]"),
        ("matmul:4x4x4:unstructured+-0.5:f32", r"density is 1.5; it must lie in \(0, 1\]"),
        ("matmul:4x4x4:unstructured+1e:f32", "could not convert"),
        ("matmul:4x4x4:triangular+0.5:f32", "pattern 'triangular' is not known; known: unstructured, block"),
        ("matmul:4x4x4:complementary/3+0.5:f32", "lanes is 3; it must be one of 1, 4, 8, 16"),
        ("matmul:4x4x4:unstructured+0.5:f16", "dtype 'f16' is not known; known: f32"),
        ("matmul:4x4x4:unstructured+0.5:f32@0", "act_density is 0"),
        ("matmul:4x4x4:unstructured+0.5:f32;colour=red", "'colour=red' is not one of seed="),
        ("matmul:4x4x4:unstructured+0.5:f32;seed=x", "seed 'x' is not a whole number"),
        ("matmul:4x4x4:unstructured+0.5:f32;seed=-1", "seed is -1"),
        ("matmul:4x4x4:unstructured+0.5:f32;cache=hot", "cache 'hot' is not known; known: warm, cold"),
        ("matmul:4x4x4:unstructured+0.5:f32;layout=column", "layout 'column' is not known"),
    ],
)
def test_bad_strings(text: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        Problem.parse(text)


def test_columns_describe_the_pattern() -> None:
    block = columns(Problem("matmul", 8, 8, 4, Block(4, 2), 0.5))
    assert (block["pattern"], block["block"], block["lanes"], block["overlay"]) == ("block", "4x2", None, None)
    lanes = columns(Problem("matmul", 8, 8, 4, Complementary(4), 0.25))
    assert (lanes["pattern"], lanes["block"], lanes["lanes"], lanes["overlay"]) == ("complementary", None, 4, 4)


def test_every_pattern_parses_its_own_label() -> None:
    for pattern in (Unstructured(), Unstructured(skew=True), Block(3, 5), Complementary(16, "partitioned"), Stored()):
        assert parse_pattern(str(pattern)) == pattern
    assert set(PATTERNS) == {"unstructured", "block", "complementary", "stored"}
