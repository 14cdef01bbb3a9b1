"""Small model files for tests: made here, so that what is in them is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

INPUT = {"x": (1, 3, 16, 16)}


def weights(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


CNN = {
    "stem": weights(1, 16, 3, 3, 3),
    "depthwise": weights(2, 16, 1, 3, 3),
    "point1": weights(3, 16, 16, 1, 1),
    "point2": weights(4, 16, 16, 1, 1),
    "fc": weights(5, 16, 24),
    "head": weights(6, 10, 24),
}


def save_cnn(path: Path, batch: int | str = "N", **external: Any) -> Path:
    """A CNN with uneven padding, a depthwise layer, two layers alike, a MatMul, a Gemm, and a softmax."""
    conv = helper.make_node
    nodes = [
        conv("Conv", ["x", "stem"], ["a"], name="stem", pads=[0, 0, 1, 1], strides=[2, 2]),
        conv("Conv", ["a", "depthwise"], ["b"], name="depthwise", pads=[1, 1, 1, 1], group=16),
        conv("Relu", ["b"], ["b0"]),
        conv("Conv", ["b0", "point1"], ["c"], name="point1"),
        conv("Relu", ["c"], ["c0"]),
        conv("Conv", ["c0", "point2"], ["d"], name="point2"),
        conv("GlobalAveragePool", ["d"], ["e"]),
        conv("Flatten", ["e"], ["f"]),
        conv("MatMul", ["f", "fc"], ["g"], name="fc"),
        conv("Gemm", ["g", "head"], ["h"], name="head", transB=1),
        conv("Softmax", ["h"], ["y"]),
    ]
    return save(path, nodes, CNN, [batch, 3, 16, 16], **external)


def save(path: Path, nodes: list[Any], held: dict[str, np.ndarray], shape: list[int | str], **external: Any) -> Path:
    """Write a model from x, float of a shape, to y."""
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, name) for name, array in held.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, str(path), **external)
    return path
