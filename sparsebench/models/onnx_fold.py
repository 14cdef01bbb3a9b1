"""Sizes that an ONNX graph computes: shape inference, and the small arithmetic on shapes between its steps.

Exporters write sizes as Shape, Gather, Concat and Reshape nodes. ONNX' own inference follows few of them, so every node
of that kind whose operands are known is computed, and the inference repeated until nothing new is known.
"""

from __future__ import annotations

from contextlib import suppress
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto

# Sizes are computed from short arrays; longer ones are weights or activations.
SHORT = 1024
_ARITHMETIC = frozenset((
    "Abs", "Add", "And", "Cast", "Ceil", "Clip", "Concat", "ConstantOfShape", "Div", "Equal", "Expand", "Flatten",
    "Floor", "Gather", "Greater", "GreaterOrEqual", "Identity", "Less", "LessOrEqual", "Max", "Min", "Mod", "Mul",
    "Neg", "Not", "Or", "Range", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceSum", "Reshape", "Round", "Size",
    "Slice", "Split", "Sqrt", "Squeeze", "Sub", "Transpose", "Unsqueeze", "Where",
))  # fmt: skip

Arrays = dict[str, NDArray[Any]]


def infer(model: ModelProto) -> GraphProto:
    """Return the graph with all shapes that follow from those of its inputs; `model` is changed."""
    known = _short_constants(model.graph)
    while True:
        graph = _inferred(model)
        sizes = _sizes(graph)
        new: Arrays = {}
        left = []
        for node in model.graph.node:
            if node.op_type == "Shape" and not node.attribute and node.input[0] in sizes:
                new[node.output[0]] = np.array(sizes[node.input[0]], np.int64)
            elif not _fold(model, node, known, new):
                left.append(node)
        if not new:
            return graph
        _replace(model.graph, left, new)
        known |= new


def _inferred(model: ModelProto) -> GraphProto:
    from onnx import shape_inference

    try:
        return shape_inference.infer_shapes(model, data_prop=True).graph
    except (shape_inference.InferenceError, RuntimeError, ValueError):
        # Sizes that do not fit, or an operator that it cannot follow: then sizes stay unknown.
        return model.graph


def _sizes(graph: GraphProto) -> dict[str, list[int]]:
    """Return the shapes of which every size is known."""
    found = {}
    for value in (*graph.input, *graph.value_info):
        kind = value.type.tensor_type
        if kind.HasField("shape") and all(dim.HasField("dim_value") for dim in kind.shape.dim):
            found[value.name] = [dim.dim_value for dim in kind.shape.dim]
    return found


def _short_constants(graph: GraphProto) -> Arrays:
    from onnx import numpy_helper

    tensors = [(tensor.name, tensor) for tensor in graph.initializer]
    for node in graph.node:
        if node.op_type == "Constant":
            tensors += [(node.output[0], item.t) for item in node.attribute if item.name == "value"]
    found: Arrays = {}
    for name, tensor in tensors:
        if prod(tensor.dims) <= SHORT and not tensor.external_data:
            # A damaged one says so where it is a weight, and else only leaves a size unknown.
            with suppress(ValueError, TypeError, KeyError):
                found[name] = numpy_helper.to_array(tensor)
    return found


def _fold(model: ModelProto, node: NodeProto, known: Arrays, new: Arrays) -> bool:
    """Compute a node into `new`, if it is of those that compute sizes and all it needs is known."""
    operands = {name: known[name] if name in known else new.get(name) for name in node.input if name}
    given = {name: array for name, array in operands.items() if array is not None}
    if node.op_type not in _ARITHMETIC or node.domain or len(given) < len(operands) or not operands:
        return False
    if node.op_type in ("ConstantOfShape", "Expand") and _size(given[node.input[-1]]) > SHORT:
        return False
    if node.op_type == "Range":
        start, limit, delta = (float(given[name]) for name in node.input)
        if not delta or (limit - start) / delta > SHORT:
            return False
    results = _computed(model, node, given)
    new.update(results)
    return bool(results)


def _size(sizes: NDArray[Any]) -> int:
    return prod(int(size) for size in sizes.ravel())


def _computed(model: ModelProto, node: NodeProto, given: Arrays) -> Arrays:
    from onnx import helper
    from onnx.reference import ReferenceEvaluator

    graph = helper.make_graph(
        [node],
        "sizes",
        [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape)
            for name, a in given.items()
        ],
        [helper.make_empty_tensor_value_info(name) for name in node.output],
    )
    try:
        with np.errstate(all="ignore"):
            opsets = {entry.domain: entry.version for entry in model.opset_import}
            results = ReferenceEvaluator(graph, opsets=opsets).run(None, given)
    except Exception:
        # Whatever the reference implementation raises where a graph computes nonsense: then the size stays unknown.
        return {}
    return {name: np.asarray(array) for name, array in zip(node.output, results, strict=True)}


def _replace(graph: GraphProto, left: list[NodeProto], new: Arrays) -> None:
    """Put constants in the place of the nodes that computed them."""
    from onnx import numpy_helper

    kept = [type(node).FromString(node.SerializeToString()) for node in left]
    del graph.node[:]
    graph.node.extend(kept)
    graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in new.items())
