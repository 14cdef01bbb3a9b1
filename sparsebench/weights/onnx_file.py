"""Weights of an ONNX model: the initializers that MatMul, Gemm and Conv multiply by.

Ours is Y = W X with W [out, in]. A MatMul computes X B, so its B [in, out] is transposed; Gemm's B likewise unless
transB is set; a Conv's [out, in, kh, kw] is flattened. An embedding table that only Gather reads is no such weight.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from fnmatch import fnmatchcase
from itertools import takewhile
from math import prod
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sparsebench.errors import InputError
from sparsebench.memory import require_memory
from sparsebench.weights.address import Source
from sparsebench.weights.matrix import Matrix, MatrixRef, layer_shape, layer_values
from sparsebench.weights.names import listed, nearest
from sparsebench.weights.onnx_graph import FLOATS, Use, attribute, constants, dense, read_model, uses

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto

# What PyTorch's exporters call a weight that they computed: 'onnx::MatMul_470', '470', 'val_12'.
_ANONYMOUS = re.compile(r"onnx::.+|(val_)?[0-9]+")


class Layer(NamedTuple):
    """A weight of the network: its first use, and a readable name."""

    use: Use
    name: str

    @property
    def initializer(self) -> str:
        """Name of the initializer, or of what the Constant node puts out."""
        return self.use.constant.name

    def answers_to(self, selector: str) -> bool:
        """Whether a selector, a name or a glob, means this weight."""
        names = (self.initializer, self.use.node.name, self.name)
        return any(selector == name or fnmatchcase(name, selector) for name in names if name)


def expand(source: Source) -> list[MatrixRef]:
    """List the selected weights in the order in which the network uses them, each under a name that means it alone.

    The selector is an exact initializer name (of any initializer that could be a layer), or a glob over the names of
    the initializers, the nodes that use them, and `MatrixRef.name`; without one all weights of the network are meant.
    An initializer without a readable name is called after its node.

    Raises
    ------
    InputError
        If the file is no ONNX model, or nothing in it has that name (with the nearest names).
    """
    graph = read_model(source).graph
    addresses = addresses_of(source, layers(graph))
    refs = []
    for layer in _select(source, graph):
        address = addresses.get(layer.initializer) or source.select(layer.initializer).address
        rows, cols = layer_shape(layer.use.dims, f"weights '{address}'")
        constant = layer.use.constant
        density = None if constant.indices is None else prod(constant.tensor.dims) / (rows * cols)
        refs.append(MatrixRef(address, layer.name, rows, cols, density))
    return refs


def addresses_of(source: Source, everything: Sequence[Layer]) -> dict[str, str]:
    """Return an address for each initializer: the readable name where it means this weight and no other."""
    taken = set(constants(read_model(source).graph))
    found = {}
    for layer in everything:
        answering = [other for other in everything if other.answers_to(layer.name)]
        readable = len(answering) == 1 and layer.name not in taken
        found[layer.initializer] = source.select(layer.name if readable else layer.initializer).address
    return found


def read(source: Source, seed: int) -> Matrix:
    """Read one initializer as [out, in], also from external data beside the model; the seed plays no part.

    Raises
    ------
    InputError
        As `expand`, and if several are selected, the type is not float32, float16 or float64, or external data is
        missing.
    """
    selected = _select(source, read_model(source).graph)
    where = f"weights '{source.address}'"
    if len(selected) > 1:
        names = listed([layer.initializer for layer in selected])
        raise InputError(f"{where} are {len(selected)} initializers: name one after '!': {names}")
    use = selected[0].use
    rows, cols = layer_shape(use.dims, where)
    if use.constant.kind not in FLOATS:
        raise InputError(f"{where} are of type {use.constant.kind}; readable: {', '.join(FLOATS)}")
    require_memory(rows * cols * (8 + 4 + 1), where)
    values, stored = dense(use.constant, source.path.parent, where)
    if stored is not None:
        stored = np.ascontiguousarray((stored.T if use.transposed else stored).reshape(rows, cols))
    return Matrix(layer_values((values.T if use.transposed else values).reshape(use.dims), where), stored)


def _select(source: Source, graph: GraphProto) -> list[Layer]:
    from onnx import NodeProto

    everything, selector = layers(graph), source.selector
    if selector is None:
        plain = [layer for layer in everything if _is_plain(layer.use)]
        if not plain:
            raise InputError(f"weights '{source.address}': no MatMul, Gemm or Conv with float weights in the model")
        return plain
    exact = [layer for layer in everything if layer.initializer == selector]
    if exact:
        return exact
    held = constants(graph)
    if selector in held:
        return [Layer(Use(NodeProto(), 0, held[selector], False), selector)]
    matching = [layer for layer in everything if layer.answers_to(selector)]
    if len(matching) > 1:
        matching = [layer for layer in matching if _is_plain(layer.use)] or matching
    if not matching:
        names = [layer.name for layer in everything]
        names += [layer.use.node.name for layer in everything if layer.use.node.name]
        names += list(constants(graph))
        raise InputError(
            f"weights '{source.address}': no initializer '{selector}'; {nearest(selector, list(dict.fromkeys(names)))}"
        )
    return matching


def _is_plain(use: Use) -> bool:
    # A grouped convolution is several small products, not one of the flattened kernel.
    return use.node.op_type != "Conv" or (len(use.constant.dims) == 4 and attribute(use.node, "group", 1) == 1)


def layers(graph: GraphProto) -> list[Layer]:
    """Find each floating constant that MatMul, Gemm or Conv multiply by; of several uses of one the first counts."""
    first: dict[str, Use] = {}
    for use in uses(graph):
        first.setdefault(use.constant.name, use)
    names = _readable_names({name: use.node for name, use in first.items()})
    return [Layer(use, names[name]) for name, use in first.items()]


def _readable_names(users: dict[str, NodeProto]) -> dict[str, str]:
    """Name each initializer; an anonymous one by its node's path, without the parts that all of them have in common."""
    paths = {
        tensor: node.name.strip("/").split("/")
        for tensor, node in users.items()
        if _ANONYMOUS.fullmatch(tensor) and node.name
    }
    trimmed = [path[:-1] if len(path) > 1 else path for path in paths.values()]
    # The last part stays, even where there is one path only.
    parts = zip(*(path[:-1] for path in trimmed), strict=False)
    common = sum(1 for _ in takewhile(lambda part: len(set(part)) == 1, parts))
    names = {tensor: "/".join(path[common:]) for tensor, path in zip(paths, trimmed, strict=True)}
    times = Counter(names.values())
    return {
        tensor: node.name if times[names.get(tensor, "")] > 1 else names.get(tensor, tensor)
        for tensor, node in users.items()
    }
