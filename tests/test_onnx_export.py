"""Layers as ONNX models: what they compute, and what is read back from them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

from sparsebench import onnx_export, weights
from sparsebench.bench.verify import check, reference
from sparsebench.errors import InputError
from sparsebench.layouts import arrange, restore
from sparsebench.operands import make_operands
from sparsebench.problem import Problem

PRODUCT = Problem.parse("matmul:24x40x5:complementary/4+0.75:f32")


def evaluate(model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    """Run a model by ONNX's own definitions."""
    return np.asarray(ReferenceEvaluator(model).run(None, {"x": x})[0], np.float32)


@pytest.mark.parametrize("form", ["left", "right", "conv"])
def test_a_product_in_every_form_is_the_product(form: Any) -> None:
    operands = make_operands(PRODUCT)
    model = onnx_export.layer_model(PRODUCT, operands.weights.dense, form)
    layout = "column" if form == "right" else "row"
    shape = [side.dim_value for side in model.graph.input[0].type.tensor_type.shape.dim]
    y = evaluate(model, arrange(operands.x, layout).reshape(shape))
    y = restore(y.reshape(PRODUCT.y_shape_in(layout)), PRODUCT.M, PRODUCT.N, layout)
    assert check(np.ascontiguousarray(y), reference(operands)).status == "ok"


@pytest.mark.parametrize(
    "text",
    [
        "conv2d:8x4x3x3x9x7x2:complementary/4+0.75:f32;padding=1",
        "conv2d:8x4x3x5x11x12x1:unstructured+0.5:f32;stride=2x1;padding=0x2;dilation=1x2",
        "conv2d:8x4x1x1x6x6x3:unstructured+0.5:f32;groups=2",
    ],
)
def test_a_convolution_is_the_convolution(text: str) -> None:
    problem = Problem.parse(text)
    operands = make_operands(problem)
    y = evaluate(onnx_export.layer_model(problem, operands.weights.dense), operands.x)
    assert check(y, reference(operands)).status == "ok"


def test_weights_are_read_back_with_their_zeros(tmp_path: Path) -> None:
    operands = make_operands(PRODUCT)
    path = tmp_path / "layer.onnx"
    for form in ("left", "right"):
        onnx_export.save(onnx_export.layer_model(PRODUCT, operands.weights.dense, form), path)
        read = weights.read(f"{path}!weight", seed=0, data=None).values
        assert np.array_equal(read, operands.weights.dense)


def test_a_model_says_what_it_is_of() -> None:
    model = onnx_export.layer_model(PRODUCT, make_operands(PRODUCT).weights.dense)
    assert {entry.key: entry.value for entry in model.metadata_props} == {"problem": str(PRODUCT)}
    assert model.producer_name == "sparsebench"


def test_too_many_weights_for_a_file_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_export, "_MOST_BYTES", 100)
    with pytest.raises(InputError, match="single ONNX file"):
        onnx_export.layer_model(PRODUCT, make_operands(PRODUCT).weights.dense)


def test_a_file_that_cannot_be_written_is_the_users_to_mend(tmp_path: Path) -> None:
    model = onnx_export.layer_model(PRODUCT, make_operands(PRODUCT).weights.dense)
    with pytest.raises(InputError, match="cannot write"):
        onnx_export.save(model, tmp_path / "no" / "layer.onnx")


def test_n_does_not_change_the_weights() -> None:
    one, many = (
        onnx_export.layer_model(p, make_operands(p).weights.dense, "right") for p in (PRODUCT, replace(PRODUCT, N=9))
    )
    assert one.graph.initializer[0].raw_data == many.graph.initializer[0].raw_data
