"""Every convolution kernel x level x pattern x geometry against float64."""

from __future__ import annotations

import numpy as np
import pytest
from checked import run_checked
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sparsebench import isa, registry
from sparsebench.baselines import mkl
from sparsebench.conv_plan import open_geometry, tiles_of
from sparsebench.convolution import Convolution, im2col
from sparsebench.errors import InputError
from sparsebench.operands import make_operands
from sparsebench.problem import Problem
from sparsebench.window import Window

PATTERNS = (
    "unstructured",
    "block/4x4",
    "block/8x1",
    "complementary/1",
    "complementary/4",
    "complementary/8",
    "complementary/16",
)
# out x in x kh x kw x H x W x batch, and options.
GEOMETRIES = (
    "5x3x3x3x9x11x1",
    "16x8x3x3x14x14x3:padding=1",
    "17x6x1x1x7x7x2",
    "33x16x1x1x40x40x2",
    "8x600x1x1x20x20x2",
    "8x4x1x1x9x9x1:stride=2",
    "12x4x3x3x15x13x2:stride=2;padding=1",
    "8x3x5x5x32x32x1",
    "9x2x7x7x23x17x1:stride=2;padding=3",
    "6x2x3x5x8x31x2:stride=3x1;padding=1x2",
    "7x3x3x3x12x10x1:padding=2;dilation=2",
    "4x2x2x3x20x9x5:stride=2x3;dilation=3x1;padding=0x1",
    "3x1x1x7x3x60x1:padding=0x3",
    "2x1x4x4x4x4x3",
    "20x5x3x3x3x3x4:padding=1",
)


def problem_of(geometry: str, pattern: str, density: float) -> Problem:
    sizes, _, options = geometry.partition(":")
    text = f"conv2d:{sizes}:{pattern}+{1 - density:g}:f32" + (f";{options}" if options else "")
    return Problem.parse(text)


OURS = [name for name, kernel in registry.kernels("conv2d").items() if kernel.provider == "sparsebench"]


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("level", isa.built())
def test_our_kernels(level: str, name: str) -> None:
    if level not in isa.available():
        pytest.skip(f"this CPU does not have level {level}")
    kernel = registry.kernels("conv2d", level)[name]
    ran = 0
    for pattern in PATTERNS:
        for number, geometry in enumerate(GEOMETRIES):
            problem = problem_of(geometry, pattern, 0.25)
            if not kernel.supports(problem):
                run_checked(kernel, problem, threads=1 + number % 3)
                ran += 1
    assert ran >= len(GEOMETRIES)


@pytest.mark.parametrize("name", sorted(set(registry.kernels("conv2d")) - {*OURS, *registry.peers()}))
def test_rivals(name: str) -> None:
    kernel = registry.kernels("conv2d")[name]
    if kernel.missing:
        pytest.skip(kernel.missing)
    for number, geometry in enumerate(GEOMETRIES):
        problem = problem_of(geometry, "unstructured", 0.25)
        assert kernel.supports(problem) is None
        run_checked(kernel, problem, threads=1 + number % 2)


@pytest.mark.parametrize("name", ["mkl-im2col", "mkl-im2col-csr"])
def test_mkl_keeps_its_threads(name: str) -> None:
    """One way of sharing a batch is prepared for one thread; the other, and all that follow, must not be held to it."""
    kernel = registry.kernels("conv2d")[name]
    if kernel.missing:
        pytest.skip(kernel.missing)
    problem = problem_of("8x4x3x3x9x9x4:padding=1", "unstructured", 0.5)
    kernel.prepare(problem, make_operands(problem).weights, 2)
    assert mkl.library().max_threads() == 2


@pytest.mark.parametrize("geometry", ["8x8x3x3x10x10x2:padding=1;groups=8", "32x16x3x3x9x9x1:stride=2;groups=2"])
@pytest.mark.parametrize("name", sorted(set(registry.kernels("conv2d")) - registry.peers()))
def test_groups_are_right_or_refused(name: str, geometry: str) -> None:
    kernel = registry.kernels("conv2d")[name]
    if kernel.missing:
        pytest.skip(kernel.missing)
    for pattern in ("unstructured", "block/4x4", "complementary/4"):
        problem = problem_of(geometry, pattern, 0.5)
        if not kernel.supports(problem):
            run_checked(kernel, problem, threads=2)
    if name in ("dense", "csr"):
        assert kernel.supports(problem_of(geometry, "unstructured", 0.5)) is None


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_our_kernels_on_anything(data: st.DataObject) -> None:
    def draw(low: int, high: int) -> int:
        return data.draw(st.integers(low, high))

    kernel, stride, dilation, padding = (
        (draw(low, high), draw(low, high)) for low, high in ((1, 4), (1, 3), (1, 2), (0, 2))
    )
    window = Window(kernel, stride, padding, dilation)
    height, width = (span + draw(0, 20) for span in window.span)
    conv = Convolution(draw(1, 6), height, width, window)
    pattern = data.draw(st.sampled_from(PATTERNS))
    label = f"conv2d:1x1x1x1x1x1x1:{pattern}+0.75:f32"
    problem = Problem("conv2d", draw(1, 40), conv.taps, draw(1, 4), Problem.parse(label).pattern, 0.25, conv=conv)
    assert Problem.parse(str(problem)) == problem
    for name in OURS:
        candidate = registry.kernels("conv2d")[name]
        if not candidate.supports(problem):
            run_checked(candidate, problem, threads=draw(1, 3))


def test_im2col_is_a_convolution() -> None:
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((2, 3, 6, 5)), rng.standard_normal((4, 3, 3, 2))
    window = Window((3, 2), (2, 1), (1, 0))
    columns = im2col(x, window)
    y = (w.reshape(4, -1) @ columns).reshape(2, 4, *window.output(6, 5))
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (0, 0)))
    expected = (padded[1, :, 2:5, 3:5] * w[2]).sum()
    assert y[1, 2, 1, 3] == pytest.approx(expected)


def test_every_pixel_is_stored_once() -> None:
    for padding, vlen in ((1, 16), (0, 8), (2, 4)):
        conv = Convolution(1, 11, 13, Window((3, 3), padding=(padding, padding)))
        pitch = open_geometry(conv, 0).pitch
        stored = []
        for tile in tiles_of(conv, pitch, vlen, 3):
            for t in range(tile[1]):
                start, count, keep = (int(tile[2 + 3 * field + t]) for field in range(3))
                assert bin(keep).count("1") == count
                stored += range(start, start + count)
        assert stored == list(range(conv.pixels))


def test_bad_convolutions_are_told() -> None:
    for text, says in (
        ("conv2d:8x8x3x3x2x2x1:unstructured+0.5:f32", "input has 2 x 2 pixels"),
        (
            "conv2d:8x8x3x3x9x9:unstructured+0.5:f32",
            "conv2d has 7 sizes, out x in x kh x kw x H x W x batch; got 8x8x3x3x9x9",
        ),
        ("conv2d:8x8x3x3x9x9x1:unstructured+0.5:f32;stride=0", "stride is"),
        ("conv2d:8x8x3x3x9x9x1:unstructured+0.5:f32;stride=a", "stride 'a' is neither a number nor"),
        ("conv2d:8x9x3x3x9x9x1:unstructured+0.5:f32;groups=2", "must divide the 9 channels"),
        ("conv2d:9x8x3x3x9x9x1:unstructured+0.5:f32;groups=2", "must divide the 9 filters"),
        ("conv2d:8x8x3x3x9x9x1:unstructured+0.5:f32;layout=blocked", "is for matmul"),
        ("matmul:8x8x3:unstructured+0.5:f32;stride=2", "stride is for conv2d"),
    ):
        with pytest.raises(InputError, match=says):
            Problem.parse(text)


def test_too_many_taps_are_refused() -> None:
    problem = Problem.parse("conv2d:1x70000x1x1x2x2x1:unstructured+0.5:f32")
    assert "65,536" in (registry.kernels("conv2d")["csr"].supports(problem) or "")
