"""What an ONNX graph multiplies by: its constants, and the MatMul, Gemm and Conv nodes that use them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sparsebench.errors import InputError
from sparsebench.memory import require_memory
from sparsebench.weights import signature
from sparsebench.weights.address import Source

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto, TensorProto

FLOATS = ("FLOAT", "FLOAT16", "DOUBLE", "BFLOAT16")
MULTIPLYING = ("MatMul", "Gemm", "Conv")


@dataclass(frozen=True, eq=False, slots=True)
class Constant:
    """An initializer, or what a Constant node puts out.

    Attributes
    ----------
    dims
        Of the dense tensor.
    tensor
        Its values; those that are stored of a sparse one.
    indices
        Where a sparse tensor's values lie, [nnz] in the flat tensor or [nnz, axes]; None of dense ones.
    """

    name: str
    dims: tuple[int, ...]
    tensor: TensorProto
    indices: TensorProto | None = None

    @property
    def kind(self) -> str:
        """Type of the values, in ONNX's words."""
        return kind_of(self.tensor)


class View(NamedTuple):
    """A value that is a constant, or only a renaming or a transposition of one."""

    constant: Constant
    transposed: bool


class Use(NamedTuple):
    """One node and the constant that it multiplies by.

    `position` is which of the node's inputs it is; `transposed` says whether W [out, in] is its transpose.
    """

    node: NodeProto
    position: int
    constant: Constant
    transposed: bool

    @property
    def dims(self) -> tuple[int, ...]:
        """Return (out, in), or (out, in / groups, kh, kw); a 1-D convolution has kh = 1."""
        dims = self.constant.dims
        if self.node.op_type == "Conv" and len(dims) == 3:
            return dims[0], dims[1], 1, dims[2]
        return dims[::-1] if self.transposed else dims


def read_model(source: Source) -> ModelProto:
    """Parse a model, without its external data.

    Raises
    ------
    InputError
        If the file is no ONNX model.
    """
    return _read_model(source.path, source.stamp)


# The listing of a model reads each of its weights, and would parse the file as often.
@lru_cache(maxsize=1)
def _read_model(path: Path, stamp: tuple[int, int]) -> ModelProto:
    # Imported late: reading protobuf definitions takes longer than all else that a short command does.
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped, unused-ignore]

    # The file, its parsed copy.
    require_memory(2 * stamp[1], f"ONNX model '{path}'")
    try:
        model = onnx.load(str(path), load_external_data=False)
    except DecodeError as error:
        raise InputError(f"'{path}' is not an ONNX model, or cut short: {error}{signature.really(path)}") from None
    # Protobuf takes many a file for an empty message.
    if not model.HasField("graph"):
        raise InputError(f"'{path}' is not an ONNX model: it has no graph{signature.really(path)}")
    # Protobuf gives text that is not UTF-8 back as bytes.
    graph = model.graph
    named = [graph.name]
    named += [part for n in graph.node for part in (n.name, n.domain, n.op_type, *n.input, *n.output)]
    named += [value.name for value in (*graph.initializer, *graph.input, *graph.output)]
    named += [dim.dim_param for value in graph.input for dim in value.type.tensor_type.shape.dim]
    if not all(isinstance(part, str) for part in named):
        raise InputError(f"'{path}' is damaged: it holds names that are no text")
    versions = {entry.domain: entry.version for entry in model.opset_import}
    for node in graph.node:
        if _lacks_operands(node, versions):
            raise InputError(f"'{path}' is damaged: a node {node.op_type} lacks inputs or outputs that it must have")
    return model


def _lacks_operands(node: NodeProto, versions: Mapping[str, int]) -> bool:
    """Whether a node has fewer inputs or outputs than its operator, where that is one of ONNX's."""
    from onnx import defs

    try:
        schema = defs.get_schema(node.op_type, versions.get(node.domain, defs.onnx_opset_version()), node.domain)
    except defs.SchemaError:
        return False
    return len(node.input) < schema.min_input or len(node.output) < schema.min_output


def kind_of(tensor: TensorProto) -> str:
    """Return a tensor's type in ONNX's words."""
    from onnx import TensorProto

    try:
        return str(TensorProto.DataType.Name(tensor.data_type))
    except ValueError:
        return f"type {tensor.data_type}"


def attribute(node: NodeProto, name: str, default: Any) -> Any:
    """Return the value of a node's attribute; raises InputError if it has none."""
    from onnx.helper import get_attribute_value

    try:
        return next((get_attribute_value(item) for item in node.attribute if item.name == name), default)
    except ValueError as error:
        raise InputError(f"the ONNX model is damaged: attribute '{name}' of node '{node.name}': {error}") from None


def constants(graph: GraphProto) -> dict[str, Constant]:
    """Return the tensors that the file holds, by name: initializers, sparse ones too, and Constant nodes."""
    found = [Constant(tensor.name, tuple(tensor.dims), tensor) for tensor in graph.initializer]
    found += [_sparse(stored.values.name, stored) for stored in graph.sparse_initializer]
    for node in graph.node:
        if node.op_type != "Constant" or not node.output:
            continue
        for item in node.attribute:
            if item.name == "value":
                found.append(Constant(node.output[0], tuple(item.t.dims), item.t))
            elif item.name == "sparse_value":
                found.append(_sparse(node.output[0], item.sparse_tensor))
    return {constant.name: constant for constant in found}


def _sparse(name: str, stored: Any) -> Constant:
    return Constant(name, tuple(stored.dims), stored.values, stored.indices)


def views(graph: GraphProto) -> dict[str, View]:
    """Return the values that are constants, or renamings, casts to another float or transpositions of one."""
    known = {name: View(constant, False) for name, constant in constants(graph).items()}
    for node in graph.node:
        view = known.get(node.input[0]) if node.input else None
        if view is None or not node.output:
            continue
        if node.op_type == "Identity" or (node.op_type == "Cast" and view.constant.kind in FLOATS and _to_float(node)):
            known[node.output[0]] = view
        elif (
            node.op_type == "Transpose"
            and len(view.constant.dims) == 2
            and list(attribute(node, "perm", [1, 0])) == [1, 0]
        ):
            known[node.output[0]] = View(view.constant, not view.transposed)
    return known


def _to_float(node: NodeProto) -> bool:
    from onnx import TensorProto

    return attribute(node, "to", 0) in (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16)


def uses(graph: GraphProto) -> list[Use]:
    """Return every product by a floating constant, in the order of the nodes."""
    known = views(graph)
    found = []
    for node in graph.node:
        for position, name in enumerate(node.input[:2]):
            view = known.get(name)
            turned = None if view is None else _turned(node, position, len(view.constant.dims))
            if view is not None and turned is not None and view.constant.kind in FLOATS:
                found.append(Use(node, position, view.constant, view.transposed != turned))
    return found


def _turned(node: NodeProto, position: int, axes: int) -> bool | None:
    """Say whether a node multiplies by its input at `position` transposed; None where it does not multiply by it."""
    if node.op_type == "Conv":
        return False if position == 1 and axes in (3, 4) else None
    if node.op_type not in ("MatMul", "Gemm") or axes != 2:
        return None
    flipped = bool(attribute(node, "transB" if position else "transA", 0))
    return flipped != (position == 1)


def dense(constant: Constant, folder: Path, where: str) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
    """Return a constant's values, float, and of a sparse one which positions are stored.

    Raises
    ------
    InputError
        If external data is missing, or the indices of a sparse tensor are not sound. `where` names the constant.
    """
    values = _array(constant.tensor, folder, where)
    if constant.indices is None:
        return values.astype(np.float32) if constant.kind == "BFLOAT16" else values, None
    size = int(np.prod(constant.dims))
    indices = _array(constant.indices, folder, where).astype(np.int64)
    if indices.shape == (values.size, len(constant.dims)):
        outside = ((indices < 0) | (indices >= np.array(constant.dims))).any(axis=1)
        flat = indices @ np.array([int(np.prod(constant.dims[axis + 1 :])) for axis in range(len(constant.dims))])
    elif indices.shape == (values.size,):
        outside, flat = (indices < 0) | (indices >= size), indices
    else:
        raise InputError(f"{where}: indices of shape {list(indices.shape)} for {values.size} values")
    if outside.any():
        at = int(outside.argmax())
        raise InputError(f"{where}: index {at} is {indices[at].tolist()}, outside {list(constant.dims)}")
    if (np.diff(flat) <= 0).any():
        at = int((np.diff(flat) <= 0).argmax()) + 1
        raise InputError(f"{where}: index {at} is {indices[at].tolist()}, not after the one before; they must rise")
    full, stored = np.zeros(size, np.float32), np.zeros(size, np.bool_)
    full[flat] = values.ravel()
    stored[flat] = True
    return full.reshape(constant.dims), stored.reshape(constant.dims)


def _array(tensor: TensorProto, folder: Path, where: str) -> NDArray[Any]:
    from onnx import checker, numpy_helper

    try:
        return numpy_helper.to_array(tensor, base_dir=str(folder))
    except (OSError, ValueError, TypeError, KeyError, checker.ValidationError) as error:
        location = external(tensor)
        beside = f"its data belongs in '{location}' beside the model: " if location else ""
        raise InputError(f"{where} cannot be read: {beside}{str(error).strip()}") from None


def external(tensor: TensorProto) -> str | None:
    """Return the file that a tensor's values lie in, relative to the model; None where the model holds them."""
    return next((entry.value for entry in tensor.external_data if entry.key == "location"), None)
