"""Weights from ONNX models: which initializers count, which way round they are, what they are called."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from sparsebench import weights
from sparsebench.errors import InputError

RNG = np.random.default_rng(0)
BODY = "/model/encoder"


def matrix(*shape: int, dtype: type = np.float32) -> np.ndarray:
    return RNG.standard_normal(shape).astype(dtype)


def save(path: Path, nodes: list[onnx.NodeProto], initializers: dict[str, np.ndarray], **external: object) -> str:
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, None)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, name) for name, array in initializers.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, str(path), **external)
    return str(path)


@pytest.fixture
def transformer(tmp_path: Path) -> tuple[str, dict[str, np.ndarray]]:
    """A small network as PyTorch exports it: anonymous MatMul weights, readable node names."""
    held = {
        "embeddings.weight": matrix(10, 4),
        "onnx::MatMul_1": matrix(4, 4),
        "onnx::MatMul_2": matrix(4, 8),
        "head.weight": matrix(3, 8),
        "head.bias": matrix(3),
        "table": matrix(2, 5, dtype=np.float64).astype(np.int64),
    }
    nodes = [
        helper.make_node("Gather", ["embeddings.weight", "x"], ["e"], name=f"{BODY}/embeddings/Gather"),
        helper.make_node("MatMul", ["e", "onnx::MatMul_1"], ["q"], name=f"{BODY}/layer.0/query/MatMul"),
        helper.make_node("MatMul", ["q", "onnx::MatMul_2"], ["f"], name=f"{BODY}/layer.0/dense/MatMul"),
        helper.make_node("Gemm", ["f", "head.weight", "head.bias"], ["y"], name="/head/Gemm", transB=1),
    ]
    return save(tmp_path / "net.onnx", nodes, held), held


def test_without_a_selector_every_multiplied_weight_is_listed_in_order(transformer):
    path, _ = transformer
    assert [(ref.address.removeprefix(path), ref.name, ref.rows, ref.cols) for ref in weights.expand(path)] == [
        ("!query", "query", 4, 4),
        ("!dense", "dense", 8, 4),
        ("!head.weight", "head.weight", 3, 8),
    ]


@pytest.mark.parametrize(
    ("selector", "found"),
    [
        ("onnx::MatMul_2", ["dense"]),
        ("onnx::*", ["query", "dense"]),
        (f"{BODY}/layer.0/dense/MatMul", ["dense"]),
        ("*/layer.0/*", ["query", "dense"]),
        ("query", ["query"]),
        ("head*", ["head.weight"]),
        ("*", ["query", "dense", "head.weight"]),
        ("embeddings.weight", ["embeddings.weight"]),
    ],
)
def test_a_selector_is_a_name_or_a_glob_over_initializers_nodes_and_names(transformer, selector, found):
    path, _ = transformer
    refs = weights.expand(f"{path}!{selector}")
    assert [ref.address for ref in refs] == [f"{path}!{name}" for name in found]
    if len(refs) == 1:
        read = weights.read(f"{path}!{selector}").values
        np.testing.assert_array_equal(read, weights.read(refs[0].address).values)


def test_weights_are_read_as_out_by_in(transformer):
    path, held = transformer
    for name, expected in (
        ("onnx::MatMul_2", held["onnx::MatMul_2"].T),
        ("head.weight", held["head.weight"]),
        ("embeddings.weight", held["embeddings.weight"]),
    ):
        read = weights.read(f"{path}!{name}")
        assert read.stored is None
        assert read.values.flags.c_contiguous
        np.testing.assert_array_equal(read.values, expected)


def test_several_matches_cannot_be_read_as_one(transformer):
    path, _ = transformer
    with pytest.raises(InputError, match="are 2 initializers: name one after '!': onnx::MatMul_1, onnx::MatMul_2"):
        weights.read(f"{path}!onnx::*")
    with pytest.raises(InputError, match="are 3 initializers"):
        weights.read(path)


@pytest.mark.parametrize(
    ("selector", "message"),
    [
        ("onnx::MatMul_3", "no initializer 'onnx::MatMul_3'; nearest: onnx::MatMul_"),
        ("head.wieght", r"nearest: head\.weight"),
        ("embedings.weight", r"nearest: embeddings\.weight"),
        ("zzzz", r"there are: query, dense, head\.weight, .* and \d+ more"),
        ("embeddings.*", "no initializer"),
    ],
)
def test_a_name_that_is_not_there_suggests_the_nearest(transformer, selector, message):
    path, _ = transformer
    for act in (weights.expand, weights.read):
        with pytest.raises(InputError, match=message):
            act(f"{path}!{selector}")


def test_an_exact_name_that_is_no_layer_is_refused(transformer):
    path, _ = transformer
    for act in (weights.expand, weights.read):
        with pytest.raises(InputError, match=r"head\.bias' is 1-D"):
            act(f"{path}!head.bias")
    with pytest.raises(InputError, match="are of type INT64; readable: FLOAT, FLOAT16, DOUBLE"):
        weights.read(f"{path}!table")


@given(
    op=st.sampled_from(["MatMul", "Gemm"]),
    left=st.booleans(),
    trans=st.booleans(),
    through=st.lists(st.sampled_from(["Identity", "Transpose"]), max_size=3),
    out=st.integers(1, 5),
    inner=st.integers(1, 5),
)
@settings(max_examples=60, deadline=None)
def test_the_matrix_read_computes_what_the_node_computes(
    op: str, left: bool, trans: bool, through: list[str], out: int, inner: int, tmp_path_factory: pytest.TempPathFactory
):
    """Y = W X of the matrix read equals the network's product, whichever side and way round the weight has."""
    trans = trans and op == "Gemm"
    W = RNG.standard_normal((out, inner)).astype(np.float32)
    turned = (not left) ^ trans ^ (through.count("Transpose") % 2 == 1)
    names = ["w", *(f"w{i}" for i in range(len(through)))]
    nodes = [helper.make_node(kind, [names[i]], [names[i + 1]]) for i, kind in enumerate(through)]
    options = {("transA" if left else "transB"): 1} if trans else {}
    operands = [names[-1], "x"] if left else ["x", names[-1]]
    nodes.append(helper.make_node(op, operands, ["y"], **options))
    path = save(tmp_path_factory.mktemp("w") / "m.onnx", nodes, {"w": W.T.copy() if turned else W})

    (ref,) = weights.expand(path)
    assert (ref.rows, ref.cols) == (out, inner)
    values = weights.read(ref.address).values
    np.testing.assert_array_equal(values, W)
    X = RNG.standard_normal((inner, 3)).astype(np.float32)
    (Y,) = ReferenceEvaluator(path).run(None, {"x": X if left else X.T.copy()})
    np.testing.assert_allclose(values @ X, Y if left else Y.T, rtol=1e-5, atol=1e-6)


def test_convolutions_are_flattened_and_grouped_ones_are_left_out(tmp_path: Path):
    held = {"conv": matrix(6, 3, 2, 2), "depthwise": matrix(6, 1, 3, 3), "line": matrix(6, 6, 3)}
    nodes = [
        helper.make_node("Conv", ["x", "conv"], ["a"]),
        helper.make_node("Conv", ["a", "depthwise"], ["b"], group=6),
        helper.make_node("Conv", ["b", "line"], ["y"]),
    ]
    path = save(tmp_path / "m.onnx", nodes, held)
    (ref,) = weights.expand(path)
    assert (ref.name, ref.rows, ref.cols) == ("conv", 6, 12)
    np.testing.assert_array_equal(weights.read(ref.address).values, held["conv"].reshape(6, 12))
    assert weights.expand(f"{path}!depthwise")[0].cols == 9
    np.testing.assert_array_equal(weights.read(f"{path}!line").values, held["line"].reshape(6, 18))


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_other_floats_become_float32(dtype: type, tmp_path: Path):
    W = matrix(3, 2, dtype=dtype)
    path = save(tmp_path / "m.onnx", [helper.make_node("MatMul", ["w", "x"], ["y"])], {"w": W})
    values = weights.read(path).values
    assert values.dtype == np.float32
    np.testing.assert_array_equal(values, W.astype(np.float32))


def test_a_weight_used_twice_is_listed_once(tmp_path: Path):
    nodes = [
        helper.make_node("MatMul", ["x", "12"], ["a"], name="/body/first/MatMul"),
        helper.make_node("MatMul", ["a", "12"], ["y"], name="/body/second/MatMul"),
    ]
    (ref,) = weights.expand(save(tmp_path / "m.onnx", nodes, {"12": matrix(3, 3)}))
    assert ref.name == "first"


def test_nodes_that_differ_in_their_last_part_only_keep_it(tmp_path: Path):
    nodes = [
        helper.make_node("MatMul", ["x", "1"], ["a"], name="/body/MatMul"),
        helper.make_node("MatMul", ["a", "2"], ["y"], name="/body/MatMul_1"),
    ]
    refs = weights.expand(save(tmp_path / "m.onnx", nodes, {"1": matrix(3, 3), "2": matrix(3, 3)}))
    assert [ref.name for ref in refs] == ["/body/MatMul", "/body/MatMul_1"]


def test_an_exact_name_is_no_glob(tmp_path: Path):
    nodes = [helper.make_node("MatMul", ["x", "w[1]"], ["a"]), helper.make_node("MatMul", ["a", "w1"], ["y"])]
    path = save(tmp_path / "m.onnx", nodes, {"w[1]": matrix(3, 3), "w1": matrix(3, 3)})
    assert [ref.name for ref in weights.expand(f"{path}!w[1]")] == ["w[1]"]


def test_values_that_are_not_finite_are_named(tmp_path: Path):
    W = matrix(3, 2)
    W[2, 0] = np.nan
    path = save(tmp_path / "m.onnx", [helper.make_node("MatMul", ["x", "w"], ["y"])], {"w": W})
    with pytest.raises(InputError, match="holds nan at row 0, column 2"):
        weights.read(path)


def test_external_data_is_read_from_beside_the_model(tmp_path: Path):
    W = matrix(16, 8)
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"])]
    path = save(tmp_path / "m.onnx", nodes, {"w": W}, save_as_external_data=True, location="m.bin", size_threshold=0)
    np.testing.assert_array_equal(weights.read(path).values, W.T)

    (tmp_path / "m.bin").write_bytes(b"short")
    with pytest.raises(InputError, match=r"its data belongs in 'm\.bin' beside the model"):
        weights.read(f"{path}!w")
    (tmp_path / "m.bin").unlink()
    assert weights.expand(path)[0].rows == 8
    with pytest.raises(InputError, match=r"its data belongs in 'm\.bin' beside the model"):
        weights.read(f"{path}!w")


def test_a_model_without_weights_is_refused(tmp_path: Path):
    path = save(tmp_path / "m.onnx", [helper.make_node("Relu", ["x"], ["y"])], {})
    for act in (weights.expand, weights.read):
        with pytest.raises(InputError, match="no MatMul, Gemm or Conv with float weights"):
            act(path)
    with pytest.raises(InputError, match="no initializer 'w'; there is none"):
        weights.read(f"{path}!w")


def test_a_file_that_is_no_model_is_refused(tmp_path: Path):
    (tmp_path / "m.onnx").write_text("not a model")
    for act in (weights.expand, weights.read):
        with pytest.raises(InputError, match="is not an ONNX model"):
            act(str(tmp_path / "m.onnx"))


def test_an_initializer_of_no_columns_is_refused(tmp_path: Path):
    path = save(tmp_path / "m.onnx", [helper.make_node("MatMul", ["x", "w"], ["y"])], {"w": matrix(0, 3)})
    for act in (weights.expand, weights.read):
        with pytest.raises(InputError, match=r"is empty \(3 x 0\)"):
            act(path)
