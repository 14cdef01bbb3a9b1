"""Rivals with threads of their own: right answers of each, prepared and timed in its process; one of each library."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

from sparsebench import baselines, isa, registry
from sparsebench.baselines import square_blocks, supports_square_blocks
from sparsebench.bench.remote import Satellites
from sparsebench.bench.verify import judge_of, poison
from sparsebench.kernel import Kernel
from sparsebench.layouts import arrange
from sparsebench.memory import aligned_empty
from sparsebench.operands import operands_of
from sparsebench.problem import Problem
from sparsebench.report.kernel_kinds import in_float32, is_peer

DISTRIBUTIONS = {
    "torch": "torch",
    "sparse_dot_mkl": "sparse_dot_mkl",
    "pydata_sparse": "sparse",
    "numba": "numba",
    "graphblas": "python-graphblas",
}
PROBLEMS = {
    "matmul": [
        "matmul:64x48x5:block/4x8+0.75:f32",
        "matmul:64x48x5:block/4x8+0.75:f32;layout=blocked",
        "matmul:37x53x1:unstructured+0.9:f32",
        "matmul:1x1x1:unstructured+0:f32",
        "matmul:31x17x16:unstructured+0.4:f32;layout=blocked",
        "matmul:67x101x33:complementary/4+0.75:f32",
        "matmul:64x64x16:block/4x4+0.996:f32",
        "matmul:48x96x1:block/8x4+0.5:f32",
        "matmul:40x700x18:unstructured+0:f32;layout=blocked",
        "matmul:40x24x3:unstructured/skewed+0.98:f32;cache=cold",
    ],
    "conv2d": [
        "conv2d:8x4x3x3x9x7x2:unstructured+0.8:f32;padding=1",
        "conv2d:8x4x3x2x9x8x1:unstructured+0.5:f32;stride=2;padding=1x0;dilation=1x2;groups=4",
        "conv2d:8x4x1x1x5x5x3:unstructured+0.5:f32",
        "conv2d:8x8x3x3x10x10x2:unstructured+0.5:f32;padding=1;groups=8",
        "conv2d:16x3x5x5x12x11x1:complementary/4+0.75:f32;stride=2x1",
    ],
    "network": ["network:gsc:2:f32"],
    # Compiling convolutions takes longer than a test should.
    "torch-compile-net": ["network:ffn-minilm:2:f32"],
}
PEERS = [
    kernel
    for named in registry.all_kernels(isa.active()).values()
    for kernel in named.values()
    if kernel.runtime in DISTRIBUTIONS
]


@pytest.fixture(scope="module")
def satellites() -> Iterator[Satellites]:
    patch = pytest.MonkeyPatch()
    # What a worker's own environment says already.
    patch.setenv("PYTHONPATH", str(Path(registry.__file__).parents[1]))
    patch.setenv("OMP_NUM_THREADS", "1")
    patch.setenv("NUMBA_NUM_THREADS", "1")
    with Satellites() as started:
        yield started
    patch.undo()


@pytest.mark.parametrize("kernel", PEERS, ids=lambda kernel: kernel.name)
def test_answers_are_right(satellites: Satellites, kernel: Kernel) -> None:
    if kernel.missing:
        pytest.skip(kernel.missing)
    taken = 0
    for text in PROBLEMS.get(kernel.name, PROBLEMS[kernel.op]):
        problem = Problem.parse(text)
        if kernel.supports(problem):
            continue
        operands = operands_of(problem)
        judge = judge_of(operands)
        plan = satellites.prepare(kernel, problem, operands.weights, 1)
        x = arrange(operands.x, plan.layout) if problem.op == "matmul" else operands.x
        out = aligned_empty(problem.y_shape_in(plan.layout))
        for _ in range(2):
            poison(out)
            plan.run(x, out)
            verdict = judge.judge(plan, out, kernel)
            # Of a single block that is not zero, the answer is right, but proves little.
            assert verdict.status in ("ok", "mistrusted"), f"{kernel.name} on {text}, {plan.detail}: {verdict.error}"
        assert plan.packed_bytes > 0 and plan.detail and plan.prepare_s > 0
        taken += 1
        satellites.forget()
    assert taken or "no bfloat16" in str(kernel.supports(problem)) or "AVX2" in str(kernel.supports(problem))


@pytest.mark.parametrize("runtime", DISTRIBUTIONS)
def test_a_library_that_is_absent_is_reported_with_its_command(runtime: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", absent)
    entries = baselines.installed(DISTRIBUTIONS[runtime], "The library")
    assert entries == {"missing": f"The library is not installed: pip install {DISTRIBUTIONS[runtime]}"}


def test_the_registry_imports_no_library() -> None:
    code = (
        "import json, sys; from sparsebench import registry; registry.all_kernels();"
        "print(json.dumps([name for name in ('torch', 'numba', 'graphblas', 'sparse', 'sparse_dot_mkl', 'onnxruntime',"
        " 'openvino') if name in sys.modules]))"
    )
    root = Path(registry.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60, cwd=root
    )
    assert json.loads(done.stdout) == []


def test_peers_are_those_with_a_process_of_their_own() -> None:
    names = registry.peers(isa.active())
    assert {"torch-dense", "onednn-conv", "torch-net", "numba-csr", "graphblas-csr"} <= names
    assert not {"mkl-dense", "csr", "scipy-csr", "net-dense"} & names


def test_bfloat16_is_no_rival_of_float32() -> None:
    (kernel,) = (kernel for kernel in PEERS if kernel.name == "torch-bf16")
    assert (kernel.dtype, kernel.dense) == ("bf16", False)
    assert not in_float32(kernel.name) and in_float32("torch-dense") and in_float32("csr")
    assert not is_peer(kernel.name) and is_peer("torch-dense") and is_peer("net-dense")


def test_bfloat16_needs_a_cpu_that_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    (kernel,) = (kernel for kernel in PEERS if kernel.name == "torch-bf16")
    problem = Problem.parse(PROBLEMS["matmul"][0])
    monkeypatch.setattr("sparsebench.bench.machine.cpu_flags", lambda: frozenset({"avx512f"}))
    assert "no bfloat16 instructions" in str(kernel.supports(problem))
    monkeypatch.setattr("sparsebench.bench.machine.cpu_flags", lambda: frozenset({"avx512f", "avx512_bf16"}))
    monkeypatch.setattr(isa, "active", lambda: "v3")
    assert "held to AVX2" in str(kernel.supports(problem))
    monkeypatch.setattr(isa, "active", lambda: "v4")
    assert kernel.supports(problem) is None


@pytest.mark.parametrize(
    ("pattern", "sizes", "reason"),
    [
        ("block/4x8", [2, 4], None),
        ("block/6x4", [2], None),
        ("block/3x4", [], "no square block divides both block/3x4 and 64 x 48"),
        ("unstructured", [], "needs pattern 'block'"),
    ],
)
def test_square_blocks(pattern: str, sizes: list[int], reason: str | None) -> None:
    problem = Problem.parse(f"matmul:64x48x2:{pattern}+0.75:f32")
    assert square_blocks(problem) == sizes
    assert supports_square_blocks(problem) == reason


def test_torch_compile_does_not_give_up_after_eight_problems() -> None:
    """It keeps what it compiled by code object, and one that has been compiled too often runs uncompiled."""
    pytest.importorskip("torch")
    kernel = registry.kernels("matmul", isa.active())["torch-compile"]
    if kernel.missing:
        pytest.skip(kernel.missing)
    code = """
from sparsebench.baselines import torch, torch_compile
from sparsebench.operands import make_operands
from sparsebench.problem import Problem
torch.load(1)
for M in range(16, 27):
    problem = Problem.parse(f"matmul:{M}x8x2:unstructured+0.5:f32")
    torch_compile.KERNELS[0].prepare(problem, make_operands(problem).weights, 1)
from torch._dynamo.utils import counters
print(counters["stats"]["unique_graphs"])
"""
    root = Path(registry.__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=170, cwd=root)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["11"]
    assert "recompile_limit" not in done.stderr
