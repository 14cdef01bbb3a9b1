"""An ONNX model: layers are MatMul, Gemm and Conv by constants."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING

from sparsebench.errors import InputError
from sparsebench.models.geometry import ConvGeometry, same_pads
from sparsebench.models.layer import Layer, Model
from sparsebench.models.names import each_use
from sparsebench.models.onnx_shapes import Shape, Shapes, infer
from sparsebench.models.wanted import Wanted
from sparsebench.weights import onnx_file
from sparsebench.weights.address import Source
from sparsebench.weights.onnx_graph import (
    FLOATS,
    MULTIPLYING,
    Constant,
    Use,
    View,
    attribute,
    constants,
    external,
    read_model,
    uses,
    views,
)
from sparsebench.window import Pair

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto

# What multiplies by weights in ways that are not ours, or holds a graph of its own.
_OTHERS = (
    "ConvTranspose", "ConvInteger", "MatMulInteger", "QLinearConv", "QLinearMatMul", "DeformConv", "LSTM", "GRU", "RNN",
    "Einsum", "Attention",
)  # fmt: skip
_PADDING = (b"NOTSET", b"VALID", b"SAME_UPPER", b"SAME_LOWER")
_GRAPHS = ("If", "Loop", "Scan")
_STANDARD = ("", "ai.onnx", "ai.onnx.ml")
_BYTES = {"FLOAT": 4, "FLOAT16": 2, "BFLOAT16": 2, "DOUBLE": 8}
_NAMES = {"FLOAT": "float32", "FLOAT16": "float16", "BFLOAT16": "bfloat16", "DOUBLE": "float64"}


def load(source: Source, wanted: Wanted) -> Model:
    """List the layers in the order in which the model computes them; see `sparsebench.models.load`."""
    model = read_model(source)
    graph = model.graph
    shapes = infer(source, model, wanted)
    everything = onnx_file.layers(graph)
    addresses = onnx_file.addresses_of(source, everything)
    readable = {layer.initializer: layer for layer in everything}
    found = [use for use in uses(graph) if use.transposed == readable[use.constant.name].use.transposed]
    names = each_use([readable[use.constant.name].name for use in found])
    for use in found:
        _require_data(source, use.constant)
    return Model(
        address=source.address,
        path=source.path,
        format="onnx",
        layers=tuple(
            _layer(use, name, addresses[use.constant.name], shapes, wanted)
            for use, name in zip(found, names, strict=True)
        ),
        operators=Counter(_label(node) for node in graph.node if node.op_type != "Constant"),
        skipped=_not_ours(graph, found),
        inputs=shapes.inputs,
        parameters=sum(prod(constant.dims) for constant in constants(graph).values() if constant.kind in FLOATS),
        times=shapes.times,
    )


def _label(node: NodeProto) -> str:
    return node.op_type if node.domain in _STANDARD else f"{node.domain}.{node.op_type}"


def _not_ours(graph: GraphProto, found: Sequence[Use]) -> Counter[str]:
    """Count the operators that compute and are no layer of ours."""
    ours = {id(use.node) for use in found}
    held = views(graph)
    # Weights that are stored as integers, and turned into floats by the graph.
    packed = {
        node.output[0]: held[node.input[0]].constant.kind
        for node in graph.node
        if node.op_type == "DequantizeLinear" and node.input[0] in held
    }
    reasons = (_reason(node, held, packed) for node in graph.node if id(node) not in ours)
    return Counter(reason for reason in reasons if reason)


def _reason(node: NodeProto, held: dict[str, View], packed: dict[str, str]) -> str | None:
    name = _label(node)
    if name in _OTHERS or node.domain not in _STANDARD:
        return name
    if name in _GRAPHS:
        return f"{name} (its own graphs are not read)"
    if name not in MULTIPLYING:
        return None
    operands = list(node.input)[1:2] if name == "Conv" else list(node.input)[:2]
    for operand in operands:
        if operand in packed:
            return f"{name} by {packed[operand]} weights"
        if operand in held:
            constant = held[operand].constant
            if constant.kind not in FLOATS:
                return f"{name} by {constant.kind} weights"
            return f"{name} by a constant of {len(constant.dims)} axes"
    return f"{name} by computed weights" if name == "Conv" else f"{name} of two activations"


def _require_data(source: Source, constant: Constant) -> None:
    for tensor in (constant.tensor, constant.indices):
        location = None if tensor is None else external(tensor)
        if location is not None and not (source.path.parent / location).is_file():
            raise InputError(
                f"model '{source.address}': the weights '{constant.name}' lie in '{location}', which is not beside the"
                f" model ({source.path.parent})"
            )


def _layer(use: Use, name: str, address: str, shapes: Shapes, wanted: Wanted) -> Layer:
    node, constant = use.node, use.constant
    conv = node.op_type == "Conv"
    where = f"{address}: {node.op_type} '{node.name}'"
    if len(node.input) < 2 or not node.output:
        raise InputError(f"{where} has one operand or no result; an ONNX model has no such node")
    x = shapes.values.get(node.input[1 - use.position])
    stored = prod(constant.dims if constant.indices is None else constant.tensor.dims)
    columns = _images(x) if conv else _columns(use, x, shapes.values.get(node.output[0]))
    return Layer(
        name=name,
        operator=node.op_type,
        op="conv2d" if conv else "matmul",
        address=address,
        shape=use.dims,
        conv=_geometry(node, use.dims, len(constant.dims), x, where) if conv else None,
        columns=None if columns is None else columns * shapes.times,
        dtype=_NAMES[constant.kind],
        nbytes=stored * _BYTES[constant.kind] + (8 * prod(constant.indices.dims) if constant.indices else 0),
        sparse=constant.indices is not None,
        data=wanted.data,
    )


def _columns(use: Use, x: Shape | None, y: Shape | None) -> int | None:
    """Return N of a product from the sizes of its other operand, or of what it puts out."""
    rows, cols = use.dims
    for shape, share in ((x, cols), (y, rows)):
        sizes = None if shape is None else [size for size in shape if size is not None]
        if share and shape is not None and sizes is not None and len(sizes) == len(shape):
            return prod(sizes) // share
    return None


def _geometry(node: NodeProto, dims: tuple[int, ...], axes: int, x: Shape | None, where: str) -> ConvGeometry:
    """Return a convolution's geometry; one of 3-axis weights is 1-D, and gets a single row."""
    stride = _sides(_sizes(node, "strides", axes - 2, 1, where))
    dilation = _sides(_sizes(node, "dilations", axes - 2, 1, where))
    given = _sizes(node, "pads", 2 * (axes - 2), 0, where)
    groups = attribute(node, "group", 1)
    mode = attribute(node, "auto_pad", b"NOTSET")
    if not isinstance(groups, int) or groups < 1 or mode not in _PADDING:
        raise InputError(f"{where}: group is {groups}, auto_pad {mode!r}; an ONNX model has no such convolution")
    known = x if x is not None and len(x) == axes else (None,) * axes
    height, width = (1, known[2]) if axes == 3 else (known[2], known[3])
    pads: tuple[int, int, int, int] | None = (0, 0, 0, 0)
    if mode == b"NOTSET":
        pads = (*_sides(given[: axes - 2], 0), *_sides(given[axes - 2 :], 0))
    elif mode != b"VALID":
        pads = None
        if height is not None and width is not None:
            kernel = (dims[2], dims[3])
            pads = same_pads((height, width), kernel, stride, dilation, extra_first=mode == b"SAME_LOWER")
    return ConvGeometry(height, width, stride, dilation, pads, groups)


def _sizes(node: NodeProto, name: str, count: int, least: int, where: str) -> list[int]:
    """Return an attribute of so many sizes, all `least` where the node has none."""
    given = attribute(node, name, None) or [least] * count
    if not isinstance(given, list) or len(given) != count or not all(isinstance(g, int) and g >= least for g in given):
        raise InputError(f"{where}: {name} is {given}; it must be {count} numbers of at least {least}")
    return given


def _sides(sizes: Sequence[int], flat: int = 1) -> Pair:
    """Return (vertical, horizontal), the vertical one of a 1-D convolution being `flat`."""
    return (flat, sizes[0]) if len(sizes) == 1 else (sizes[0], sizes[1])


def _images(x: Shape | None) -> int | None:
    return x[0] if x else None
