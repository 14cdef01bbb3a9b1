"""ONNX models: which layers they have, how often these use their weights, and what is said of the rest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from sparsebench import models
from sparsebench.errors import InputError

RNG = np.random.default_rng(0)


def matrix(*shape: int, dtype: type = np.float32) -> np.ndarray:
    return RNG.standard_normal(shape).astype(dtype)


def node(op: str, inputs: list[str], output: str, **options: Any) -> onnx.NodeProto:
    return helper.make_node(op, inputs, [output], name=f"/body/{output}/{op}", **options)


def save(
    path: Path,
    nodes: list[onnx.NodeProto],
    held: dict[str, np.ndarray],
    inputs: dict[str, list[Any] | None],
    **external: object,
) -> str:
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, name) for name, array in held.items()],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.example", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), str(path), **external)
    return str(path)


@pytest.fixture
def attention(tmp_path: Path) -> str:
    """A small transformer's way with shapes: the batch and the length are open, a Reshape computes its sizes."""
    held = {
        "q": matrix(8, 8), "k": matrix(8, 8), "up": matrix(16, 8), "table": matrix(10, 8),
        "zero": np.array([0]), "one": np.array([1]), "heads": np.array([2, 4]), "minus": np.array([-1]),
    }  # fmt: skip
    nodes = [
        node("Shape", ["x"], "sizes"),
        node("Slice", ["sizes", "zero", "one"], "batch"),
        node("Concat", ["batch", "minus", "heads"], "split", axis=0),
        node("MatMul", ["x", "q"], "xq"),
        node("Reshape", ["xq", "split"], "apart"),
        node("MatMul", ["x", "k"], "xk"),
        node("Reshape", ["xk", "split"], "apart2"),
        node("Transpose", ["apart"], "first", perm=[0, 2, 1, 3]),
        node("Transpose", ["apart2"], "second", perm=[0, 2, 3, 1]),
        node("MatMul", ["first", "second"], "scores"),
        node("MatMul", ["scores", "apart3"], "mixed"),
        node("Concat", ["batch", "minus", "eight"], "join", axis=0),
        node("Reshape", ["mixed", "join"], "flat"),
        node("Reshape", ["flat", "rows"], "row"),
        node("Gemm", ["row", "up"], "y", transB=1),
    ]
    nodes.insert(8, node("Transpose", ["apart"], "apart3", perm=[0, 2, 1, 3]))
    held |= {"eight": np.array([8]), "rows": np.array([-1, 8])}
    return save(tmp_path / "attention.onnx", nodes, held, {"x": ["batch", "length", 8], "mask": ["batch", "length"]})


def test_sizes_that_the_graph_computes_are_followed(attention: str):
    model = models.load(attention, {"x": (2, 5, 8)})
    assert [str(given) for given in model.inputs] == ["x [2, 5, 8]", "mask [2, 5]"]
    assert [(layer.name, layer.shape, layer.columns) for layer in model.layers] == [
        ("q", (8, 8), 10),
        ("k", (8, 8), 10),
        ("up", (16, 8), 10),
    ]
    assert [layer.macs for layer in model.layers] == [640, 640, 1280]
    assert model.skipped == {"MatMul of two activations": 2}
    assert model.open_sizes is None
    model.require_sizes()


def test_open_sizes_leave_the_listing_and_say_what_would_close_them(attention: str):
    model = models.load(attention)
    assert [layer.columns for layer in model.layers] == [None, None, None]
    assert [layer.macs for layer in model.layers] == [None, None, None]
    assert [layer.weights().shape for layer in model.layers] == [(8, 8), (8, 8), (16, 8)]
    with pytest.raises(InputError, match=r"3 of 3 layers are not known: .* x \[batch, length, 8\], mask"):
        model.require_sizes()
    # The sizes have names, so that the mask's are known with those of x.
    assert model.open_sizes is not None
    assert model.open_sizes.endswith("for example --input-shape x=1x224x8")
    assert len(models.load(attention, batch=2).open_layers) == 3


@pytest.mark.parametrize(
    ("shapes", "batch", "message"),
    [
        ({"y": (1, 2)}, None, "has no input 'y'; it has x, mask"),
        ({"x": (1, 2)}, None, r"input x \[batch, length, 8\] cannot be 1x2: it has 3 sizes"),
        ({"x": (1, 2, 9)}, None, "cannot be 1x2x9: the file fixes size 3 at 8"),
        ({"x": (1, 2, 8), "mask": (1, 3)}, None, "cannot be 1x3: 'length' is already 2"),
        ({"x": (0, 2, 8)}, None, "every size is at least 1"),
        ({}, 0, "batch is 0"),
    ],
)
def test_shapes_that_cannot_be_are_refused(shapes, batch, message, attention: str):
    with pytest.raises(InputError, match=message):
        models.load(attention, shapes, batch)


def test_a_fixed_batch_is_multiplied(tmp_path: Path):
    nodes = [node("MatMul", ["x", "w"], "y")]
    path = save(tmp_path / "m.onnx", nodes, {"w": matrix(4, 3)}, {"x": [2, 5, 4]})
    assert models.load(path).layers[0].columns == 10
    assert models.load(path, batch=6).layers[0].columns == 30
    with pytest.raises(InputError, match="the file fixes size 1 at 2"):
        models.load(path, batch=3)


@given(
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    dilation=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    pads=st.tuples(*[st.integers(0, 2)] * 4),
    mode=st.sampled_from(["NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"]),
    groups=st.sampled_from([1, 2, 4]),
)
@settings(max_examples=80, deadline=None)
def test_a_convolution_has_the_output_that_onnx_infers(
    kernel, stride, dilation, pads, mode, groups, tmp_path_factory: pytest.TempPathFactory
):
    options = {"strides": stride, "dilations": dilation, "group": groups}
    options |= {"pads": pads} if mode == "NOTSET" else {"auto_pad": mode}
    weight = matrix(8, 4 // groups, *kernel)
    path = save(
        tmp_path_factory.mktemp("c") / "m.onnx",
        [node("Conv", ["x", "w"], "y", **options)],
        {"w": weight},
        {"x": [3, 4, 11, 13]},
    )
    (layer,) = models.load(path).layers
    inferred = onnx.shape_inference.infer_shapes(onnx.load(path)).graph.output[0]
    assert layer.output == tuple(dim.dim_value for dim in inferred.type.tensor_type.shape.dim)[2:]
    assert layer.conv is not None
    assert (layer.columns, layer.conv.groups, layer.conv.height, layer.conv.width) == (3, groups, 11, 13)
    assert layer.shape == weight.shape
    assert layer.macs == weight.size * 3 * np.prod(layer.output)
    np.testing.assert_array_equal(layer.weights(), weight.reshape(8, -1))
    if mode.startswith("SAME"):
        assert layer.output == (-(-11 // stride[0]), -(-13 // stride[1]))
        top, left, bottom, right = layer.conv.pads or ()
        low, high = ((top, left), (bottom, right)) if mode == "SAME_UPPER" else ((bottom, right), (top, left))
        assert all(0 <= after - before <= 1 for before, after in zip(low, high, strict=True))


def test_a_convolution_in_one_dimension_has_one_row(tmp_path: Path):
    weight = matrix(6, 2, 3)
    nodes = [node("Conv", ["x", "w"], "y", strides=[2], pads=[1, 2], group=2)]
    (layer,) = models.load(save(tmp_path / "m.onnx", nodes, {"w": weight}, {"x": [1, 4, 20]})).layers
    assert layer.shape == (6, 2, 1, 3)
    assert layer.conv == models.ConvGeometry(1, 20, (1, 2), (1, 1), (0, 1, 0, 2), 2)
    assert layer.output == (1, 11)
    np.testing.assert_array_equal(layer.weights(), weight.reshape(6, 6))


def test_weights_of_constant_nodes_casts_and_sparse_tensors_are_layers(tmp_path: Path):
    first, second = matrix(4, 6), matrix(6, 5, dtype=np.float16)
    third = matrix(5, 3) * (RNG.random((5, 3)) < 0.4)
    values = numpy_helper.from_array(third[third != 0], "third")
    flat = numpy_helper.from_array(np.flatnonzero(third), "where")
    nodes = [
        helper.make_node("Constant", [], ["first"], value=numpy_helper.from_array(first)),
        node("MatMul", ["x", "first"], "a"),
        node("Cast", ["second"], "wide", to=TensorProto.FLOAT),
        node("MatMul", ["a", "wide"], "b"),
        node("MatMul", ["b", "third"], "y"),
    ]
    path = save(tmp_path / "m.onnx", nodes, {"second": second}, {"x": [7, 4]})
    whole = onnx.load(path)
    whole.graph.sparse_initializer.append(helper.make_sparse_tensor(values, flat, third.shape))
    onnx.save(whole, path)
    model = models.load(path)
    found = [(layer.name, layer.shape, layer.dtype, layer.nbytes, layer.sparse) for layer in model.layers]
    nnz = np.count_nonzero(third)
    assert found == [
        ("first", (6, 4), "float32", 96, False),
        ("second", (5, 6), "float16", 60, False),
        ("third", (3, 5), "float32", nnz * 12, True),
    ]
    for layer, expected in zip(model.layers, (first, second, third), strict=True):
        np.testing.assert_array_equal(layer.weights(), expected.T.astype(np.float32))
    assert [layer.columns for layer in model.layers] == [7, 7, 7]


@pytest.mark.parametrize(
    ("indices", "message"),
    [
        (np.array([0, 3, 15]), r"index 2 is 15, outside \[3, 5\]"),
        (np.array([0, 3, -1]), "index 2 is -1"),
        (np.array([0, 3, 3]), "index 2 is 3, not after the one before"),
        (np.array([[0, 0], [0, 5], [2, 1]]), r"index 1 is \[0, 5\], outside"),
        (np.array([0, 3]), r"indices of shape \[2\] for 3 values"),
    ],
)
def test_sparse_tensors_that_are_not_sound_are_refused(indices: np.ndarray, message: str, tmp_path: Path):
    path = save(tmp_path / "m.onnx", [node("Relu", ["x"], "a"), node("MatMul", ["a", "w"], "y")], {}, {"x": [2, 3]})
    whole = onnx.load(path)
    stored = onnx.SparseTensorProto(dims=[3, 5])
    stored.values.CopyFrom(numpy_helper.from_array(np.ones(3, np.float32), "w"))
    stored.indices.CopyFrom(numpy_helper.from_array(indices, "w_indices"))
    whole.graph.sparse_initializer.append(stored)
    onnx.save(whole, path)
    (layer,) = models.load(path).layers
    with pytest.raises(InputError, match=message):
        layer.weights()


def test_what_is_no_layer_of_ours_is_named_and_counted(tmp_path: Path):
    held = {
        "t": matrix(4, 4, 3, 3), "bytes": np.ones((4, 4), np.int8), "scale": np.array(0.1, np.float32),
        "batched": matrix(2, 4, 4), "deep": matrix(4, 4, 1, 1, 1), "ours": matrix(4, 4),
    }  # fmt: skip
    nodes = [
        node("ConvTranspose", ["x", "t"], "a"),
        node("DequantizeLinear", ["bytes", "scale"], "floats"),
        node("MatMul", ["a", "floats"], "b"),
        node("MatMul", ["b", "bytes"], "c"),
        node("MatMul", ["c", "batched"], "d"),
        node("Conv", ["d", "deep"], "e"),
        node("Conv", ["e", "d"], "f"),
        helper.make_node("Fused", ["f"], ["g"], domain="com.example"),
        node("MatMul", ["g", "ours"], "y"),
    ]
    model = models.load(save(tmp_path / "m.onnx", nodes, held, {"x": [1, 4, 4, 4]}))
    assert [layer.name for layer in model.layers] == ["ours"]
    assert dict(model.skipped) == {
        "ConvTranspose": 1,
        "MatMul by INT8 weights": 2,
        "MatMul by a constant of 3 axes": 1,
        "Conv by a constant of 5 axes": 1,
        "Conv by computed weights": 1,
        "com.example.Fused": 1,
    }
    assert model.operators["MatMul"] == 4
    # What the unknown operator puts out is not known, and it is the graph's doing.
    assert model.open_sizes is not None
    assert "the graph computes sizes that cannot be followed, first that of 'ours'" in model.open_sizes


def test_uses_of_one_weight_are_told_apart_and_share_their_address(tmp_path: Path):
    nodes = [node("MatMul", ["x", "w"], "a"), node("MatMul", ["a", "w"], "y")]
    model = models.load(save(tmp_path / "m.onnx", nodes, {"w": matrix(4, 4)}, {"x": [1, 4]}))
    assert [layer.name for layer in model.layers] == ["w", "w (use 2)"]
    assert len({layer.address for layer in model.layers}) == 1
    assert model.parameters == 16


def test_external_data_that_is_missing_is_named(tmp_path: Path):
    nodes = [node("MatMul", ["x", "w"], "y")]
    path = save(
        tmp_path / "m.onnx", nodes, {"w": matrix(64, 64)}, {"x": [1, 64]},
        save_as_external_data=True, location="m.bin", size_threshold=0,
    )  # fmt: skip
    assert models.load(path).layers[0].columns == 1
    (tmp_path / "m.bin").unlink()
    with pytest.raises(InputError, match=r"the weights 'w' lie in 'm\.bin', which is not beside the model"):
        models.load(path)


def test_files_that_are_no_onnx_model_are_refused(tmp_path: Path):
    sound = Path(save(tmp_path / "m.onnx", [node("MatMul", ["x", "w"], "y")], {"w": matrix(64, 64)}, {"x": [1, 64]}))
    content = sound.read_bytes()
    for damaged, message in (
        (content[: len(content) // 2], "is not an ONNX model, or cut short"),
        (b"", "is not an ONNX model: it has no graph; it is empty"),
        (b"\0\0\0\0TFL3" + bytes(20), "it begins like a TFLite model"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "a pointer of Git LFS"),
    ):
        sound.write_bytes(damaged)
        with pytest.raises(InputError, match=message):
            models.load(str(sound))


@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_no_changed_byte_leads_to_anything_but_a_message(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("damaged")
    nodes = [node("Shape", ["x"], "s"), node("Reshape", ["x", "s"], "r"), node("MatMul", ["r", "w"], "y")]
    path = Path(save(folder / "m.onnx", nodes, {"w": matrix(3, 3)}, {"x": ["n", 3]}))
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    try:
        for layer in models.load(str(path)).layers:
            assert layer.weights().shape == (layer.rows, layer.cols)
    except InputError:
        pass


def test_a_graph_whose_name_is_no_text_is_damaged(tmp_path: Path) -> None:
    path = Path(save(tmp_path / "m.onnx", [node("MatMul", ["x", "w"], "y")], {"w": matrix(3, 3)}, {"x": ["n", 3]}))
    model = onnx.load(str(path))
    content = path.read_bytes()
    name = model.graph.name.encode()
    assert content.count(name) == 1
    path.write_bytes(content.replace(name, b"\x80" + name[1:]))
    with pytest.raises(InputError, match="is damaged: it holds names that are no text"):
        models.load(str(path))


def test_a_node_without_the_inputs_of_its_operator_is_damaged(tmp_path: Path) -> None:
    path = save(
        tmp_path / "m.onnx",
        [node("Shape", [], "s"), node("MatMul", ["x", "w"], "y")],
        {"w": matrix(3, 3)},
        {"x": ["n", 3]},
    )
    with pytest.raises(InputError, match="is damaged: a node Shape lacks inputs or outputs"):
        models.load(str(path))
