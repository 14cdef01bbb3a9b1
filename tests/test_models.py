"""TFLite and safetensors models, and what holds for models of every kind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from test_weights_tflite_file import CONV, matrix, rows, sparse
from tflite_files import Op, T, save

from sparsebench import models
from sparsebench.errors import InputError
from sparsebench.models.wanted import parse_shapes
from sparsebench.operands import make_operands
from sparsebench.problem import Problem

SAME, VALID = {"Padding": 0}, {"Padding": 1}


def network(path: Path, **x: object) -> str:
    """A strided convolution, a depthwise one, a pooling and a product over all pixels."""
    tensors = [
        T("x", [1, 9, 10, 4], **x), T("net/conv/Conv2D", [6, 3, 3, 4], matrix(6, 3, 3, 4)), T("a", [1, 5, 5, 6]),
        T("net/deep/depthwise", [1, 3, 2, 6], matrix(1, 3, 2, 6)), T("b", [1, 3, 4, 6]),
        rows(sparse(5, 6), "net/head/MatMul"), T("c", [12, 5]), T("d", [1, 6, 8, 5]),
        T("t", [5, 2, 2, 5], matrix(5, 2, 2, 5)),
    ]  # fmt: skip
    ops = [
        Op("CONV_2D", [0, 1], [2], CONV | SAME | {"StrideH": 2, "StrideW": 2}),
        Op("DEPTHWISE_CONV_2D", [2, 3], [4], CONV | VALID | {"DepthMultiplier": 1}),
        Op("FULLY_CONNECTED", [4, 5], [6]),
        Op("TRANSPOSE_CONV", [6, 8, 6], [7]),
        Op("CUSTOM Warp", [7], [7]),
        Op("CUSTOM Warp", [7], [7]),
    ]
    return save(path, tensors, ops)


def test_a_tflite_model_is_listed_with_its_geometry(tmp_path: Path):
    path = network(tmp_path / "m.tflite")
    model = models.load(path)
    conv, deep, head = model.layers
    assert (conv.name, conv.operator, conv.op, conv.shape) == ("conv", "CONV_2D", "conv2d", (6, 4, 3, 3))
    # SAME: in steps of 2, windows of 3 lack a row at both ends of 9, and a column at the end of 10.
    assert conv.conv == models.ConvGeometry(9, 10, (2, 2), (1, 1), (1, 0, 1, 1), 1)
    assert (conv.output, conv.columns, conv.macs) == ((5, 5), 1, 216 * 25)
    assert deep.shape == (6, 1, 3, 2)
    assert deep.conv == models.ConvGeometry(5, 5, groups=6)
    assert (deep.output, deep.macs) == ((3, 4), 36 * 12)
    assert (head.op, head.shape, head.columns, head.sparse) == ("matmul", (5, 6), 12, True)
    nnz = np.count_nonzero(head.weights())
    assert head.nbytes == 4 * nnz + 6 + nnz
    assert dict(model.skipped) == {"TRANSPOSE_CONV": 1, "CUSTOM Warp": 2}
    assert model.operators["CUSTOM Warp"] == 2
    assert model.parameters == 216 + 36 + 30 + 100
    assert model.open_sizes is None


def test_a_batch_multiplies_what_a_tflite_model_uses(tmp_path: Path):
    path = network(tmp_path / "m.tflite")
    assert [layer.columns for layer in models.load(path, batch=3).layers] == [3, 3, 36]
    assert [layer.columns for layer in models.load(path, {"x": (2, 9, 10, 4)}).layers] == [2, 2, 24]
    with pytest.raises(InputError, match=r"is 1x9x10x4, and cannot be 1x18x10x4: a \.tflite is converted for fixed"):
        models.load(path, {"x": (1, 18, 10, 4)})
    with pytest.raises(InputError, match="has no input 'y'; it has x"):
        models.load(path, {"y": (1, 9, 10, 4)})


def test_sizes_that_a_tflite_model_leaves_open_are_not_guessed(tmp_path: Path):
    model = models.load(network(tmp_path / "m.tflite", signature=[1, -1, -1, 4]))
    conv = model.layers[0]
    assert (conv.conv, conv.macs) == (models.ConvGeometry(None, None, (2, 2), (1, 1), None, 1), None)
    assert str(model.inputs[0]) == "x [1, ?, ?, 4]"
    with pytest.raises(InputError, match=r"1 of 3 layers are not known: the file leaves sizes of x \[1, \?, \?, 4\]"):
        model.require_sizes()
    # An open batch is 1 until somebody resizes it.
    assert models.load(network(tmp_path / "b.tflite", signature=[-1, 9, 10, 4])).open_sizes is None


def test_other_weights_of_a_tflite_model_are_named(tmp_path: Path):
    tensors = [T("x", [1, 4]), T("w", [3, 4], np.ones((3, 4), np.int8)), T("v", [3, 4]), T("y", [1, 3])]
    ops = [Op("FULLY_CONNECTED", [0, 1], [3]), Op("FULLY_CONNECTED", [0, 2], [3])]
    model = models.load(save(tmp_path / "m.tflite", tensors, ops))
    assert model.layers == ()
    assert dict(model.skipped) == {"FULLY_CONNECTED by INT8 weights": 1, "FULLY_CONNECTED by computed weights": 1}


@pytest.mark.parametrize("changed", [{"StrideH": 0}, {"DilationWFactor": -1}])
def test_geometry_that_cannot_be_is_refused(changed: dict[str, int], tmp_path: Path):
    tensors = [T("x", [1, 9, 10, 4]), T("w", [6, 3, 3, 4], matrix(6, 3, 3, 4)), T("y", [1, 5, 5, 6])]
    path = save(tmp_path / "m.tflite", tensors, [Op("CONV_2D", [0, 1], [2], CONV | SAME | changed)])
    with pytest.raises(InputError, match="'w' has stride"):
        models.load(path)


def test_safetensors_are_layers_of_which_nothing_more_is_known(tmp_path: Path):
    held = {"b.weight": matrix(3, 4), "a.conv": matrix(4, 2, 3, 3, dtype="float16"), "b.bias": matrix(3)}
    held["n"] = np.ones((2, 2), np.int8)
    save_file(held, tmp_path / "m.safetensors")
    path = str(tmp_path / "m.safetensors")
    model = models.load(path)
    assert [(layer.name, layer.op, layer.shape, layer.uses, layer.macs) for layer in model.layers] == [
        ("a.conv", "conv2d", (4, 2, 3, 3), None, None),
        ("b.weight", "matmul", (3, 4), None, None),
    ]
    assert (model.parameters, dict(model.skipped)) == (12 + 72 + 3, {"I8 tensor of 2 axes": 1})
    assert "taken as [out, in]" in model.notes[0]
    with pytest.raises(InputError, match=r"2 of 2 layers are not known: a \.safetensors file holds no graph"):
        model.require_sizes()
    with pytest.raises(InputError, match="holds no graph; input shapes and a batch mean nothing"):
        models.load(path, batch=1)


def test_addresses_of_layers_stand_in_problems_and_keep_the_stored_zeros(tmp_path: Path):
    head = models.load(network(tmp_path / "m.tflite")).layers[2]
    nnz = np.count_nonzero(head.weights())
    problem = Problem.parse(f"matmul:5x6x12:stored+{1 - nnz / 30}:f32;weights={head.address}")
    operands = make_operands(problem)
    np.testing.assert_array_equal(operands.weights.dense, head.weights())
    assert operands.nnz == nnz


def test_what_is_no_model_is_refused(tmp_path: Path):
    path = network(tmp_path / "m.tflite")
    (tmp_path / "m.pt").write_bytes(b"PK")
    for address, message in (
        (str(tmp_path / "m.pt"), r"'m\.pt' is not one of \.onnx, \.tflite, \.safetensors"),
        (str(tmp_path), "is not one of"),
        (f"{path}!head", "'!head' names one tensor; give the file alone"),
        (str(tmp_path / "none.onnx"), "No such file"),
        ("data:m.onnx", "--data DIR or"),
    ):
        with pytest.raises(InputError, match=message):
            models.load(address)


def test_models_of_a_data_folder_are_read_from_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    network(tmp_path / "m.tflite")
    monkeypatch.delenv("SPARSEBENCH_DATA", raising=False)
    model = models.load("data:m.tflite", data=tmp_path)
    assert model.layers[0].address == "data:m.tflite!conv"
    assert model.layers[0].weights().shape == (6, 36)


def test_a_file_of_another_kind_says_what_it_is(tmp_path: Path):
    content = Path(network(tmp_path / "m.tflite")).read_bytes()
    for ending in (".onnx", ".safetensors"):
        (tmp_path / f"m{ending}").write_bytes(content)
        with pytest.raises(InputError, match="it begins like a TFLite model"):
            models.load(str(tmp_path / f"m{ending}"))


def test_input_shapes_are_parsed():
    assert parse_shapes(["x=1x3x8", "a=b:0=2,4"]) == {"x": (1, 3, 8), "a=b:0": (2, 4)}
    for wrong, message in (
        (["x"], "does not have the form NAME=SIZES"),
        (["=1x2"], "does not have the form"),
        (["x=1x0"], "does not have the form"),
        (["x=1x-1"], "does not have the form"),
        (["x=1", "x=2"], "gives 'x' twice"),
    ):
        with pytest.raises(InputError, match=message):
            parse_shapes(wrong)


def test_each_zero_is_found_once_for_each_tensor(tmp_path: Path):
    model = models.load(network(tmp_path / "m.tflite"))
    found = models.study(model.layers)
    assert [part.size for part in found] == [layer.size for layer in model.layers]
    assert [part.pattern for part in found[:2]] == ["dense", "dense"]
    assert found[2].nnz == np.count_nonzero(model.layers[2].weights())
