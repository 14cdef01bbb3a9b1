"""Weights of a .tflite model: the constants that CONV_2D, DEPTHWISE_CONV_2D and FULLY_CONNECTED multiply by.

Sparse constants are read as they are stored. A convolution's weights lie [out, kh, kw, in] in the file, a depthwise
one's [1, kh, kw, out]; ours are [out, in, kh, kw].
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import count, takewhile
from math import prod
from string import digits

import numpy as np
from numpy.typing import NDArray

from sparsebench.errors import InputError
from sparsebench.memory import require_memory
from sparsebench.weights.address import Source
from sparsebench.weights.matrix import Matrix, MatrixRef, layer_shape, layer_values
from sparsebench.weights.names import listed, nearest
from sparsebench.weights.tflite_graph import Graph, Node, Tensor, graphs
from sparsebench.weights.tflite_sparse import positions

# How NumPy reads TFLite's floating types; bfloat16 is the upper half of a float32.
FLOATS = {"FLOAT32": "<f4", "FLOAT16": "<f2", "FLOAT64": "<f8", "BFLOAT16": "<u2"}
# By operator: the order of axes that makes ours of the file's, and how converters end the name of such a weight.
_OPERATORS: dict[str, tuple[tuple[int, ...], tuple[str, ...]]] = {
    "CONV_2D": ((0, 3, 1, 2), ("Conv2D", "Kernel")),
    "DEPTHWISE_CONV_2D": ((3, 0, 1, 2), ("depthwise", "DepthwiseConv2dNative", "Kernel")),
    "FULLY_CONNECTED": ((0, 1), ("MatMul", "Kernel")),
}
_UNPACKED = re.compile(r"_dequantize\d*$")


@dataclass(frozen=True, eq=False, slots=True)
class Use:
    """One operator and the constant that it multiplies by.

    `name` is readable and of this constant alone; `shape` is (out, in) or (out, in / groups, kh, kw).
    """

    graph: Graph
    node: Node
    tensor: Tensor
    name: str
    shape: tuple[int, ...]

    def answers_to(self, selector: str) -> bool:
        """Whether a selector, a name or a glob, means this weight."""
        return any(selector == name or fnmatchcase(name, selector) for name in (self.tensor.name, self.name) if name)


def uses(source: Source) -> list[Use]:
    """List the operators of all graphs that multiply by a constant of a floating type.

    Raises
    ------
    InputError
        If the file is no .tflite model, or damaged.
    """
    found = []
    for graph in graphs(source):
        for node in graph.nodes:
            tensor = weight_of(graph, node)
            if tensor is not None and tensor.kind in FLOATS:
                order, _ = _OPERATORS[node.operator]
                shape = tuple(tensor.shape[axis] for axis in order)
                found.append((graph, node, tensor, shape))
    names = _readable([(node, tensor) for _, node, tensor, _ in found])
    return [Use(graph, node, tensor, names[id(tensor)], shape) for graph, node, tensor, shape in found]


def weight_of(graph: Graph, node: Node) -> Tensor | None:
    """Return the constant of the right number of axes that an operator multiplies by, of whatever type."""
    if node.operator not in _OPERATORS or len(node.inputs) < 2 or node.inputs[1] < 0:
        return None
    tensor = graph.constant(node.inputs[1])
    axes = len(_OPERATORS[node.operator][0])
    if tensor is None or len(tensor.shape) != axes or not prod(tensor.shape):
        return None
    return tensor


def expand(source: Source) -> list[MatrixRef]:
    """List the selected weights in the order of their use, those of grouped convolutions only where they are named.

    Raises
    ------
    InputError
        If the file is no .tflite model, or nothing in it has that name (with the nearest names).
    """
    refs = {}
    for use in _select(source):
        rows, cols = layer_shape(use.shape, f"weights '{source.address}'")
        density = None
        if use.tensor.sparsity is not None:
            density = len(stored_values(use.tensor, f"weights '{source.address}'")) / (rows * cols)
        refs[id(use.tensor)] = MatrixRef(address_of(source, use), use.name, rows, cols, density)
    return list(refs.values())


def address_of(source: Source, use: Use) -> str:
    """Return the address that means this weight alone."""
    return source.select(use.name).address


def read(source: Source, seed: int) -> Matrix:
    """Read one weight, dense or as its sparse tensor stores it; the seed plays no part.

    Raises
    ------
    InputError
        As `expand`, and if several are selected, or a sparse tensor is not sound.
    """
    where = f"weights '{source.address}'"
    selected = {id(use.tensor): use for use in _select(source)}
    if len(selected) > 1:
        raise InputError(f"{where} are several: name one after '!': {listed([u.name for u in selected.values()])}")
    (use,) = selected.values()
    order, _ = _OPERATORS[use.node.operator]
    values, stored = dense(use.tensor, where)
    matrix = layer_values(values.transpose(order), where)
    if stored is None:
        return Matrix(matrix)
    return Matrix(matrix, np.ascontiguousarray(stored.transpose(order)).reshape(matrix.shape))


def dense(tensor: Tensor, where: str) -> tuple[NDArray[np.floating], NDArray[np.bool_] | None]:
    """Return a constant's values in the file's order of axes, and of a sparse one which positions are stored.

    Raises
    ------
    InputError
        If there are not as many values as there should be, or the sparse levels are not sound. `where` names it.
    """
    size = prod(tensor.shape)
    require_memory(size * (8 + 8 + 4 + 1), where)
    values = stored_values(tensor, where)
    if tensor.sparsity is None:
        if len(values) != size:
            raise InputError(f"{where}: {len(values)} values; the shape {list(tensor.shape)} needs {size}")
        return values.reshape(tensor.shape), None
    places = positions(tensor.shape, tensor.sparsity, where)
    if len(places) != len(values):
        raise InputError(f"{where}: {len(values)} values; the indices describe {len(places)}")
    full, stored = np.zeros(size, values.dtype), np.zeros(size, np.bool_)
    full[places] = values
    stored[places] = True
    return full.reshape(tensor.shape), stored.reshape(tensor.shape)


def stored_values(tensor: Tensor, where: str) -> NDArray[np.floating]:
    """Return the values in a constant's buffer, one after another."""
    assert tensor.data is not None
    kind = np.dtype(FLOATS[tensor.kind])
    if len(tensor.data) % kind.itemsize:
        raise InputError(f"{where}: {len(tensor.data)} bytes are no whole number of {tensor.kind} values")
    values = np.frombuffer(tensor.data.tobytes(), kind)
    return (values.astype(np.uint32) << np.uint32(16)).view(np.float32) if tensor.kind == "BFLOAT16" else values


def _select(source: Source) -> list[Use]:
    everything, selector = uses(source), source.selector
    where = f"weights '{source.address}'"
    if selector is None:
        plain = [use for use in everything if use.node.operator != "DEPTHWISE_CONV_2D" and not _grouped(use)]
        if not plain:
            raise InputError(f"{where}: no CONV_2D or FULLY_CONNECTED with float weights in the model")
        return plain
    exact = [use for use in everything if selector in (use.name, use.tensor.name)]
    matching = exact or [use for use in everything if use.answers_to(selector)]
    if not matching:
        names = [use.name for use in everything] + [use.tensor.name for use in everything]
        raise InputError(f"{where}: no weight '{selector}'; {nearest(selector, list(dict.fromkeys(names)))}")
    return matching


def _grouped(use: Use) -> bool:
    x = use.graph.tensors[use.node.inputs[0]].shape
    return use.node.operator == "CONV_2D" and len(x) == 4 and x[3] != use.shape[1]


def _readable(found: list[tuple[Node, Tensor]]) -> dict[int, str]:
    """Name each constant, by id; converters join the names of all operators that were fused, with semicolons."""
    paths: dict[int, list[str]] = {}
    tensors: dict[int, Tensor] = {}
    for node, tensor in found:
        if id(tensor) in tensors:
            continue
        tensors[id(tensor)] = tensor
        parts = [_UNPACKED.sub("", part).split("/") for part in tensor.name.split(";")]
        endings = _OPERATORS[node.operator][1]
        path = next((part for part in parts if part[-1].rstrip(digits) in endings and len(part) > 1), None)
        paths[id(tensor)] = path[:-1] if path else parts[0]
    # The last part stays, even where there is one path only.
    shared = zip(*(path[:-1] for path in paths.values()), strict=False)
    common = sum(1 for _ in takewhile(lambda part: len(set(part)) == 1, shared))
    names: dict[int, str] = {}
    taken = Counter(tensor.name for tensor in tensors.values())
    for key, path in paths.items():
        name = "/".join(path[common:]) or "tensor"
        taken.subtract([tensors[key].name])
        numbered = (f"{name}#{number}" for number in count(2))
        names[key] = name if not taken[name] else next(other for other in numbered if not taken[other])
        taken.update([tensors[key].name, names[key]])
    return names
