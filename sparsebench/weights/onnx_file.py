"""Weights of an ONNX model: the initializers that MatMul, Gemm and Conv multiply by.

Ours is Y = W X with W [out, in]. A MatMul computes X B, so its B [in, out] is transposed; Gemm's B likewise unless
transB is set; a Conv's [out, in, kh, kw] is flattened. An embedding table that only Gather reads is no such weight.
"""

from __future__ import annotations

import re
from collections import Counter
from fnmatch import fnmatchcase
from itertools import takewhile
from typing import TYPE_CHECKING, Any, NamedTuple

from sparsebench.errors import InputError
from sparsebench.memory import require_memory
from sparsebench.weights.address import Source
from sparsebench.weights.matrix import Matrix, MatrixRef, layer_shape, layer_values
from sparsebench.weights.names import listed, nearest

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto, TensorProto

_FLOATS = ("FLOAT", "FLOAT16", "DOUBLE")
# What PyTorch's exporters call a weight that they computed: 'onnx::MatMul_470', '470', 'val_12'.
_ANONYMOUS = re.compile(r"onnx::.+|(val_)?[0-9]+")


class _Layer(NamedTuple):
    tensor: TensorProto
    node: str
    name: str
    transposed: bool

    @property
    def shape(self) -> tuple[int, ...]:
        dims = tuple(self.tensor.dims)
        return dims[::-1] if self.transposed else dims

    def answers_to(self, selector: str) -> bool:
        names = (self.tensor.name, self.node, self.name)
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
    model = _load(source)
    everything = _layers(model.graph)
    taken = {tensor.name for tensor in model.graph.initializer}
    refs = []
    for layer in _select(source, model):
        # The readable name where it means this weight and no other: addresses stand in results and problem strings.
        answering = [other for other in everything if other.answers_to(layer.name)]
        readable = len(answering) == 1 and layer.name not in taken
        address = source.select(layer.name if readable else layer.tensor.name).address
        rows, cols = layer_shape(layer.shape, f"weights '{address}'")
        refs.append(MatrixRef(address, layer.name, rows, cols))
    return refs


def read(source: Source, seed: int) -> Matrix:
    """Read one initializer as [out, in], also from external data beside the model; the seed plays no part.

    Raises
    ------
    InputError
        As `expand`, and if several are selected, the type is not float32, float16 or float64, or external data is
        missing.
    """
    from onnx import TensorProto, checker, numpy_helper

    layers = _select(source, _load(source))
    where = f"weights '{source.address}'"
    if len(layers) > 1:
        names = listed([layer.tensor.name for layer in layers])
        raise InputError(f"{where} are {len(layers)} initializers: name one after '!': {names}")
    (layer,) = layers
    rows, cols = layer_shape(layer.shape, where)
    kind = TensorProto.DataType.Name(layer.tensor.data_type)
    if kind not in _FLOATS:
        raise InputError(f"{where} are of type {kind}; readable: {', '.join(_FLOATS)}")
    require_memory(rows * cols * (8 + 4 + 1), where)
    try:
        array = numpy_helper.to_array(layer.tensor, base_dir=str(source.path.parent))
    except (OSError, ValueError, checker.ValidationError) as error:
        external = [entry.value for entry in layer.tensor.external_data if entry.key == "location"]
        beside = f"its data belongs in '{external[0]}' beside the model: " if external else ""
        raise InputError(f"{where} cannot be read: {beside}{str(error).strip()}") from None
    return Matrix(layer_values(array.T if layer.transposed else array, where))


def _load(source: Source) -> ModelProto:
    # Imported late: reading protobuf definitions takes longer than all else that a short command does.
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped, unused-ignore]

    # The file, its parsed copy.
    require_memory(2 * source.stamp[1], f"ONNX model '{source.path}'")
    try:
        return onnx.load(str(source.path), load_external_data=False)
    except DecodeError as error:
        raise InputError(f"weights '{source.address}': '{source.path}' is not an ONNX model: {error}") from None


def _select(source: Source, model: ModelProto) -> list[_Layer]:
    layers = _layers(model.graph)
    selector = source.selector
    if selector is None:
        if not layers:
            raise InputError(f"weights '{source.address}': no MatMul, Gemm or Conv with float weights in the model")
        return layers
    exact = [layer for layer in layers if layer.tensor.name == selector]
    if exact:
        return exact
    unused = [_Layer(tensor, "", tensor.name, False) for tensor in model.graph.initializer if tensor.name == selector]
    if unused:
        return unused
    matching = [layer for layer in layers if layer.answers_to(selector)]
    if not matching:
        names = [layer.name for layer in layers] + [layer.node for layer in layers if layer.node]
        names += [tensor.name for tensor in model.graph.initializer]
        raise InputError(
            f"weights '{source.address}': no initializer '{selector}'; {nearest(selector, list(dict.fromkeys(names)))}"
        )
    return matching


def _layers(graph: GraphProto) -> list[_Layer]:
    """Find each float initializer that MatMul, Gemm or Conv multiply by; of several uses of one the first counts."""
    from onnx import TensorProto

    # Values that are an initializer, or only a renaming or a transposition of one: (tensor, transposed).
    known = {tensor.name: (tensor, False) for tensor in graph.initializer}
    found: dict[str, tuple[TensorProto, NodeProto, bool]] = {}
    for node in graph.node:
        inputs = [known.get(name) for name in node.input]
        if inputs and inputs[0] is not None and node.op_type in ("Identity", "Transpose"):
            tensor, transposed = inputs[0]
            if node.op_type == "Identity":
                known[node.output[0]] = (tensor, transposed)
            elif len(tensor.dims) == 2 and list(_attribute(node, "perm", [1, 0])) == [1, 0]:
                known[node.output[0]] = (tensor, not transposed)
        for position, value in enumerate(inputs[:2]):
            use = value and _use(node, position, len(value[0].dims))
            if value is None or use is None or TensorProto.DataType.Name(value[0].data_type) not in _FLOATS:
                continue
            tensor, transposed = value
            found.setdefault(tensor.name, (tensor, node, transposed != (use == "transposed")))
    names = _readable_names({tensor.name: node for tensor, node, _ in found.values()})
    return [_Layer(tensor, node.name, names[tensor.name], turned) for tensor, node, turned in found.values()]


def _use(node: NodeProto, position: int, ndim: int) -> str | None:
    """Say how a node multiplies by its input at `position`: "as it is", "transposed", or None where it does not."""
    if node.op_type == "Conv":
        # A grouped convolution is several small products, not one of the flattened kernel.
        return "as it is" if position == 1 and ndim == 4 and _attribute(node, "group", 1) == 1 else None
    if node.op_type not in ("MatMul", "Gemm") or ndim != 2:
        return None
    flipped = bool(_attribute(node, "transB" if position else "transA", 0))
    return "transposed" if flipped != (position == 1) else "as it is"


def _attribute(node: NodeProto, name: str, default: Any) -> Any:
    from onnx.helper import get_attribute_value

    return next((get_attribute_value(item) for item in node.attribute if item.name == name), default)


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
