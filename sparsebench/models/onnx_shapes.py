"""Shapes of the values of an ONNX graph, from those of its inputs."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, NamedTuple

from sparsebench.errors import InputError
from sparsebench.models import onnx_fold
from sparsebench.models.layer import ModelInput
from sparsebench.models.wanted import Wanted, require_inputs
from sparsebench.weights.address import Source

if TYPE_CHECKING:
    from onnx import ModelProto, TensorProto, ValueInfoProto

Shape = tuple[int | None, ...]


class Shapes(NamedTuple):
    """What is known of the values.

    Attributes
    ----------
    inputs
        With the sizes that were asked for.
    values
        By name; a size is None where it is not known, and so is a value's rank where its name is absent.
    times
        By how much the batch that was asked for is larger than the one that the file fixes.
    """

    inputs: tuple[ModelInput, ...]
    values: dict[str, Shape]
    times: int


def infer(source: Source, model: ModelProto, wanted: Wanted) -> Shapes:
    """Set the inputs' sizes and let ONNX infer the others.

    A size that is known under one name in several inputs is asked for once.

    Raises
    ------
    InputError
        If an input is not there, or cannot have the shape that is asked for.
    """
    held = {tensor.name for tensor in model.graph.initializer}
    fed = [value for value in model.graph.input if value.name not in held]
    require_inputs(source, wanted, [value.name for value in fed])
    asked, times = _sizes(source, fed, wanted)
    skeleton = _skeleton(model)
    for value in skeleton.graph.input:
        if value.name in asked:
            _set(value, asked[value.name])
    graph = onnx_fold.infer(skeleton)
    values = {
        value.name: shape for value in (*graph.input, *graph.value_info, *graph.output) if (shape := _known(value))
    }
    return Shapes(tuple(ModelInput(value.name, asked[value.name]) for value in fed), values, times)


def _sizes(
    source: Source, fed: list[ValueInfoProto], wanted: Wanted
) -> tuple[dict[str, tuple[int | str, ...] | None], int]:
    """Return each input's sizes, and by how much the batch is larger than a fixed one."""
    symbols: dict[str, int] = {}
    found: dict[str, tuple[int | str, ...] | None] = {}
    times = set()
    for value in fed:
        shape = _declared(value)
        asked = wanted.shapes.get(value.name)
        if asked is None and wanted.batch is not None and shape:
            asked = (wanted.batch, *(size if isinstance(size, int) else -1 for size in shape[1:]))
        if asked is None:
            found[value.name] = shape
            continue
        if shape is not None and len(asked) != len(shape):
            raise _refused(source, ModelInput(value.name, shape), asked, f"it has {len(shape)} sizes")
        given: list[int | str] = []
        for axis, size in enumerate(asked):
            known = "?" if shape is None else shape[axis]
            if size == -1:
                given.append(known)
            elif isinstance(known, str):
                given.append(size)
                if symbols.setdefault(known, size) != size and known != "?":
                    raise _refused(
                        source, ModelInput(value.name, shape), asked, f"'{known}' is already {symbols[known]}"
                    )
            elif known == size:
                given.append(known)
            elif axis == 0 and size % known == 0:
                # The graph may hold the batch in constants, and is left as it is.
                times.add(size // known)
                given.append(known)
            else:
                raise _refused(
                    source, ModelInput(value.name, shape), asked, f"the file fixes size {axis + 1} at {known}"
                )
        found[value.name] = tuple(given)
    if len(times) > 1:
        raise InputError(f"model '{source.address}': its inputs would have different batches")
    symbols.pop("?", None)
    sized = {
        name: shape
        if shape is None
        else tuple(symbols.get(size, size) if isinstance(size, str) else size for size in shape)
        for name, shape in found.items()
    }
    return sized, times.pop() if times else 1


def _refused(source: Source, declared: ModelInput, asked: tuple[int, ...], why: str) -> InputError:
    return InputError(
        f"model '{source.address}': input {declared} cannot be {'x'.join('?' if s < 0 else str(s) for s in asked)}:"
        f" {why}"
    )


def _declared(value: ValueInfoProto) -> tuple[int | str, ...] | None:
    """Return an input's sizes as the file has them; None where it does not even say how many."""
    kind = value.type.tensor_type
    if not kind.HasField("shape"):
        return None
    return tuple(dim.dim_value if dim.dim_value > 0 else dim.dim_param or "?" for dim in kind.shape.dim)


def _known(value: ValueInfoProto) -> Shape | None:
    shape = _declared(value)
    return None if shape is None else tuple(size if isinstance(size, int) else None for size in shape)


def _set(value: ValueInfoProto, sizes: tuple[int | str, ...] | None) -> None:
    if sizes is None:
        return
    shape = value.type.tensor_type.shape
    del shape.dim[:]
    for size in sizes:
        dim = shape.dim.add()
        if isinstance(size, int):
            dim.dim_value = size
        elif size != "?":
            # Two unknown sizes are not the same because both are called '?'.
            dim.dim_param = size


def _skeleton(model: ModelProto) -> ModelProto:
    """Copy what inference needs: no weights, of which the shape is enough, and no shapes that hold for other inputs."""
    import onnx

    copy = onnx.ModelProto(ir_version=model.ir_version, opset_import=model.opset_import, functions=model.functions)
    copy.graph.name = model.graph.name
    copy.graph.input.extend(model.graph.input)
    copy.graph.output.extend(onnx.ValueInfoProto(name=value.name) for value in model.graph.output)
    copy.graph.initializer.extend(map(_outline, model.graph.initializer))
    copy.graph.sparse_initializer.extend(model.graph.sparse_initializer)
    for node in model.graph.node:
        held = [item.t for item in node.attribute if item.name == "value"] if node.op_type == "Constant" else []
        if any(prod(tensor.dims) > onnx_fold.SHORT for tensor in held):
            # An initializer of the same name says as much.
            copy.graph.initializer.append(_outline(held[0], node.output[0]))
        else:
            copy.graph.node.append(node)
    return copy


def _outline(tensor: TensorProto, name: str = "") -> TensorProto:
    """Return a tensor without its values where it is no short one."""
    import onnx

    if prod(tensor.dims) <= onnx_fold.SHORT and not name:
        return tensor
    return onnx.TensorProto(name=name or tensor.name, dims=tensor.dims, data_type=tensor.data_type)
