"""Layers as problems: which are alike, what they cannot be, and convolutions with uneven padding."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from model_files import INPUT, save_cnn

from sparsebench.convolution import im2col
from sparsebench.errors import InputError
from sparsebench.models import ConvGeometry, Layer, load
from sparsebench.models.problems import alike, chosen, combinations, convolution, shape_text
from sparsebench.patterns import Unstructured
from sparsebench.problem import Problem

(COMPLEMENTARY,) = combinations(["complementary/8"], [0.25])
(STORED,) = combinations(["stored"], [])


def product(**changes: object) -> Layer:
    return replace(Layer("fc", "Gemm", "matmul", "w.npy", (64, 32), columns=4), **changes)  # type: ignore[arg-type]


def test_layers_alike_are_one_problem(tmp_path: Path) -> None:
    model = load(str(save_cnn(tmp_path / "net.onnx")), INPUT)
    shapes = alike(model.layers)
    assert [(shape.first.name, shape.uses) for shape in shapes] == [
        ("stem", 1), ("depthwise", 1), ("point1", 2), ("fc", 1), ("head", 1),
    ]  # fmt: skip
    problem = shapes[2].problem(COMPLEMENTARY)
    assert str(problem).startswith("conv2d:16x16x1x1x8x8x1:complementary/8+0.75:f32;weights=")
    assert Problem.parse(str(problem)) == problem
    assert str(shapes[3].problem(COMPLEMENTARY)).startswith("matmul:24x16x1:")


def test_other_sizes_are_other_problems(tmp_path: Path) -> None:
    path = str(save_cnn(tmp_path / "net.onnx"))
    one, four = (alike(load(path, batch=batch).layers)[4].problem(COMPLEMENTARY) for batch in (1, 4))
    assert (one.N, four.N) == (1, 4)


@given(
    size=st.tuples(st.integers(5, 20), st.integers(5, 20)),
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    pads=st.tuples(*[st.integers(0, 3)] * 4),
)
def test_uneven_padding_as_part_of_the_input_gives_the_same_columns(
    size: tuple[int, int], kernel: tuple[int, int], stride: tuple[int, int], pads: tuple[int, int, int, int]
) -> None:
    layer = Layer("c", "Conv", "conv2d", "w.npy", (4, 2, *kernel), ConvGeometry(*size, stride, (1, 1), pads), 1)
    assert layer.conv is not None
    conv = convolution(layer.conv, layer)
    assert conv.output == layer.output
    top, left, bottom, right = pads
    x = np.random.default_rng(0).standard_normal((1, 2, *size))
    padded = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
    given_x = x if (conv.height, conv.width) == size and conv.window.padding == (top, left) else padded
    wanted = im2col(padded, replace(conv.window, padding=(0, 0)))
    np.testing.assert_array_equal(im2col(given_x, conv.window), wanted)


def test_what_a_layer_cannot_be() -> None:
    (shape,) = alike([product(columns=None)])
    with pytest.raises(InputError, match="its N is not known"):
        shape.problem(COMPLEMENTARY)
    (shape,) = alike([product()])
    (sparse,) = combinations(["unstructured"], [0.02])
    with pytest.raises(InputError, match="of the 32 weights of a row, less than one would be kept"):
        shape.problem(sparse)
    (odd,) = combinations(["complementary/8"], [0.3])
    with pytest.raises(InputError, match="the nearest densities are 1/4"):
        shape.problem(odd)
    (open_map,) = alike([Layer("c", "Conv", "conv2d", "w.npy", (4, 2, 3, 3), ConvGeometry(None, None), 1)])
    with pytest.raises(InputError, match="the size of its input is not known"):
        open_map.problem(COMPLEMENTARY)


def test_stored_zeros_are_a_density_of_their_own(tmp_path: Path) -> None:
    values = np.ones((64, 32), np.float32)
    np.save(tmp_path / "w.npy", values)
    (shape,) = alike([product(address=str(tmp_path / "w.npy"))])
    with pytest.raises(InputError, match="none of its weights is zero"):
        shape.problem(STORED)
    values[:, ::2] = 0
    np.save(tmp_path / "w.npy", values)
    problem = shape.problem(STORED)
    assert (problem.density, problem.pattern.name) == (0.5, "stored")


def test_combinations_and_labels() -> None:
    found = combinations(["complementary/8", "stored", "unstructured"], [0.05, 0.1])
    assert [entry.label for entry in found] == [
        "complementary/8+0.95", "complementary/8+0.9", "stored", "unstructured+0.95", "unstructured+0.9",
    ]  # fmt: skip
    assert found[3].pattern == Unstructured()
    with pytest.raises(InputError, match="pattern 'blok' is not known"):
        combinations(["blok/4x4"], [0.1])


def test_layers_are_chosen_by_globs() -> None:
    layers = [product(name=name) for name in ("a/query", "a/key", "b/query", "onnx::[1]")]
    assert [layer.name for layer in chosen(layers, ["*query"], ["b/*"])] == ["a/query"]
    assert [layer.name for layer in chosen(layers, ["onnx::[1]"])] == ["onnx::[1]"]
    with pytest.raises(InputError, match="--layers 'a/qery' names no layer; nearest: a/query"):
        chosen(layers, ["a/qery"])
    with pytest.raises(InputError, match="leave no layer"):
        chosen(layers, ["a/*"], ["a/*"])


def test_shapes_in_tables() -> None:
    geometry = ConvGeometry(56, 56, (2, 2), groups=64)
    layer = Layer("c", "Conv", "conv2d", "w.npy", (64, 1, 3, 3), geometry, 1)
    assert shape_text(layer) == "64x1x3x3@56x56/2 g64"
    assert shape_text(product()) == "64x32"
