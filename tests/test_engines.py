"""ONNX Runtime and OpenVINO as rivals: right answers of layers and networks, whatever form they take them in."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from sparsebench import registry
from sparsebench.bench.verify import judge_of, poison
from sparsebench.kernel import Kernel
from sparsebench.layouts import arrange
from sparsebench.memory import aligned_empty
from sparsebench.operands import operands_of
from sparsebench.problem import Problem

ENGINES = ("onnxruntime", "openvino")
PROBLEMS = (
    "matmul:48x80x16:complementary/8+0.75:f32;layout=blocked",
    "matmul:13x29x7:unstructured+0.5:f32",
    "matmul:48x80x1:complementary/8+0.75:f32",
    "matmul:40x3000x20:complementary/8+0:f32;layout=blocked",
    "matmul:64x64x16:unstructured+0.9999:f32",
    "conv2d:16x8x3x3x9x11x2:complementary/8+0.75:f32;padding=1",
    "conv2d:16x8x1x1x8x8x3:unstructured+0.5:f32;stride=2;groups=2",
    "network:gsc:2:f32",
    "network:ffn-minilm-kwinners:4:f32",
)
CASES = [(engine, problem) for engine in ENGINES for problem in PROBLEMS]


def module_of(engine: str) -> Any:
    pytest.importorskip(engine)
    module = importlib.import_module(f"sparsebench.baselines.{engine}")
    module.load(1)
    return module


def kernels_of(module: Any, problem: Problem) -> list[Kernel]:
    return [kernel for kernel in module.KERNELS if kernel.op == problem.op and kernel.supports(problem) is None]


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(("engine", "text"), CASES)
def test_answers_are_right(engine: str, text: str, threads: int) -> None:
    problem, module = Problem.parse(text), module_of(engine)
    operands = operands_of(problem)
    judge = judge_of(operands)
    kernels = kernels_of(module, problem)
    assert kernels
    for kernel in kernels:
        plan = kernel.prepare(problem, operands.weights, threads)
        x, out = arrange(operands.x, plan.layout), aligned_empty(problem.y_shape_in(plan.layout))
        for _ in range(2):
            poison(out)
            plan.run(x, out)
            verdict = judge.judge(plan, out, kernel)
            assert verdict.status in ("ok", "mistrusted"), (kernel.name, verdict.error)
        assert plan.detail
        assert plan.packed_bytes > 0


@pytest.mark.parametrize("engine", ENGINES)
def test_each_form_of_a_product_is_right(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The search keeps one: here it is given one at a time."""
    module = module_of(engine)
    seen = set()
    for text in ("matmul:32x48x4:unstructured+0.5:f32;layout=blocked", "matmul:32x48x1:unstructured+0.5:f32"):
        problem = Problem.parse(text)
        operands = operands_of(problem)
        for kernel in kernels_of(module, problem):
            made: list[Callable[[], Any]] = []
            monkeypatch.setattr(module, "keep_fastest", lambda name, candidates, *_, made=made: made.extend(candidates))
            kernel.prepare(problem, operands.weights, 2)
            for candidate in made:
                plan = candidate()
                x, out = arrange(operands.x, plan.layout), aligned_empty(problem.y_shape_in(plan.layout))
                poison(out)
                plan.run(x, out)
                assert judge_of(operands).judge(plan, out, kernel).status == "ok", plan.detail
                seen.add(plan.detail.partition(",")[0].split(" ")[0])
    assert seen == {"MatMul(W", "MatMul(X'", "1x1"}


@pytest.mark.parametrize("engine", ENGINES)
def test_operands_are_used_where_they_lie(engine: str) -> None:
    """What is written to X after `bind` is seen by `call`: nothing was copied."""
    problem, module = Problem.parse("matmul:16x24x8:unstructured+0.5:f32"), module_of(engine)
    operands = operands_of(problem)
    plan = kernels_of(module, problem)[0].prepare(problem, operands.weights, 1)
    x, out = aligned_empty((24, 8)), aligned_empty((16, 8))
    x.fill(0)
    plan.bind(x, out)
    plan.call()
    assert not out.any()
    x[...] = operands.x
    plan.call()
    np.testing.assert_allclose(out, operands.weights.dense @ operands.x, atol=1e-5)


@pytest.mark.parametrize("engine", ENGINES)
def test_arrays_of_another_shape_are_refused(engine: str) -> None:
    problem, module = Problem.parse("matmul:16x24x8:unstructured+0.5:f32"), module_of(engine)
    plan = kernels_of(module, problem)[0].prepare(problem, operands_of(problem).weights, 1)
    with pytest.raises(ValueError, match="the plan is for 24 x 8"):
        plan.bind(aligned_empty((8, 24)), aligned_empty((16, 8)))


def test_openvino_is_held_to_float32() -> None:
    """On a CPU with bfloat16 it would choose that by itself, and the network's answer would be wrong."""
    module = module_of("openvino")
    problem = Problem.parse("network:ffn-minilm:2:f32")
    (kernel,) = (kernel for kernel in module.KERNELS if kernel.name == "openvino-net")
    plan = kernel.prepare(problem, operands_of(problem).weights, 1)
    compiled = plan.requests[0].get_compiled_model()
    assert compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name() == "f32"
    assert compiled.get_property("INFERENCE_NUM_THREADS") == 1


def test_a_batch_of_maps_is_also_cut_into_single_requests() -> None:
    ways = importlib.import_module("sparsebench.baselines.openvino")._ways
    assert [way.requests for way in ways(8, 2)] == [1, 2]
    assert [way.requests for way in ways(8, 2, maps=True)] == [1, 2, 8]
    assert [way.requests for way in ways(7, 2)] == [1]
    assert [way.requests for way in ways(1, 2, maps=True)] == [1]
    assert [way.requests for way in ways(256, 1, maps=True)] == [1]


def test_engines_are_listed_whether_they_are_there_or_not() -> None:
    for op, names in {
        "matmul": ("onnxruntime-dense", "openvino-dense", "openvino-sparse"),
        "conv2d": ("onnxruntime-conv", "openvino-conv", "openvino-sparse-conv"),
        "network": ("onnxruntime-net", "onnxruntime-net-dense", "openvino-net", "openvino-net-dense"),
    }.items():
        known = registry.kernels(op)
        for name in names:
            kernel = known[name]
            assert kernel.runtime == kernel.provider == name.partition("-")[0]
            assert (kernel.missing is None) == bool(kernel.version)
            assert kernel.missing is None or f"pip install {kernel.provider}" in kernel.missing
