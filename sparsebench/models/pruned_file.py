"""Writes a pruned model, as ONNX with new initializers or, of other files, as arrays; and its weights packed.

Everything is written beside its place first, and then put there: an error leaves what was there as it was.
"""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from sparsebench.errors import InputError
from sparsebench.memory import require_memory
from sparsebench.models.layer import Model
from sparsebench.models.problems import Combination
from sparsebench.models.prune import Pruned, arrays, save_packed
from sparsebench.weights import onnx_file
from sparsebench.weights.address import locate

if TYPE_CHECKING:
    from onnx import ModelProto

# Operators that multiply by a weight tensor: what else reads it would be pruned with it.
_MULTIPLY = ("MatMul", "Gemm", "Conv")
_RENAME = ("Identity", "Transpose")
# Beyond, protobuf cannot hold a model in one file.
_ONE_FILE = 2**31 - 2**24


def packed_folder(out: Path) -> Path:
    """Where the packed weights of a pruned model go: ``net.packed`` beside ``net.onnx``."""
    return out.with_suffix(".packed")


def check_target(model: Model, out: Path, force: bool) -> None:
    """Refuse a place that cannot or must not be written to.

    Raises
    ------
    InputError
        If the ending is wrong, something is there and `force` is not given, or it is the model itself.
    """
    ending = ".onnx" if model.format == "onnx" else ".npz"
    if out.suffix != ending:
        raise InputError(f"-o '{out}': what a .{model.format} model is pruned to is written as {ending}")
    if out.exists() and out.resolve() == model.path.resolve():
        raise InputError(f"-o '{out}' is the model itself; name another file")
    if not out.parent.is_dir():
        raise InputError(f"-o '{out}': there is no folder '{out.parent}'")
    for path in (out, packed_folder(out)):
        if path.exists() and not force:
            raise InputError(f"'{path}' exists; --force writes over it")
    if packed_folder(out).is_file():
        raise InputError(f"'{packed_folder(out)}' is a file; it would be the folder of the packed weights")


def also_read(model: Model) -> dict[str, str]:
    """Return by address which tensors of an ONNX model are read by more than products: those must stay dense."""
    if model.format != "onnx":
        return {}
    proto = _load(model, data=False)
    graph = proto.graph
    readers: dict[str, set[str]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, set()).add(node.op_type)
    outputs = {output.name for output in graph.output}
    found = {}
    for layer in model.layers:
        tensor, _ = onnx_file.initializer(locate(layer.address, layer.data), proto)
        others = sorted(kind for kind in readers.get(tensor.name, ()) if kind not in (*_MULTIPLY, *_RENAME))
        others += ["the model's output"] if tensor.name in outputs else []
        if others:
            found[layer.address] = f"also read by {', '.join(others)}"
    return found


def write(model: Model, found: Sequence[Pruned], wanted: Combination, out: Path) -> list[Path]:
    """Write the pruned model to `out` and its packed weights into `packed_folder`; return what was written.

    Raises
    ------
    InputError
        If that fails; whatever was there before still is.
    """
    packed = packed_folder(out)
    try:
        with ExitStack() as stack:
            fresh = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=out.parent, prefix=".prune-")))
            if model.format == "onnx":
                _write_onnx(model, found, fresh / out.name)
            else:
                _write_arrays(found, fresh / out.name)
            (fresh / packed.name).mkdir()
            save_packed(found, wanted, fresh / packed.name)
            if packed.exists():
                # Out of the way, and gone with the temporary folder.
                packed.rename(fresh / "old")
            (fresh / packed.name).rename(packed)
            # The model last: where it is, all that belongs to it is.
            files = sorted((path for path in fresh.iterdir() if path.is_file()), key=lambda path: path.name == out.name)
            return [packed, *(path.replace(out.parent / path.name) for path in files)]
    except OSError as error:
        raise InputError(f"cannot write {error.filename or out}: {error.strerror}") from error


def _load(model: Model, *, data: bool) -> ModelProto:
    import onnx

    require_memory(3 * model.path.stat().st_size, f"ONNX model '{model.path}'")
    return onnx.load(str(model.path), load_external_data=data)


def _write_onnx(model: Model, found: Sequence[Pruned], path: Path) -> None:
    import onnx
    from onnx import external_data_helper, numpy_helper

    proto = _load(model, data=False)
    external = any(external_data_helper.uses_external_data(tensor) for tensor in proto.graph.initializer)
    if external:
        onnx.load_external_data_for_model(proto, str(model.path.parent))
    for entry in found:
        if entry.mask is None:
            continue
        tensor, transposed = onnx_file.initializer(locate(entry.first.address, entry.first.data), proto)
        values = numpy_helper.to_array(tensor)
        pruned = pruned_values(values, entry.mask.allowed, transposed)
        # In place: the graph, and the names and types in it, stay as they are.
        tensor.CopyFrom(numpy_helper.from_array(pruned, tensor.name))
    if external or proto.ByteSize() > _ONE_FILE:
        onnx.save_model(proto, str(path), save_as_external_data=True, location=f"{path.name}.data")
    else:
        onnx.save_model(proto, str(path))


def pruned_values(values: NDArray[Any], allowed: NDArray[np.bool_], transposed: bool) -> NDArray[Any]:
    """Return a tensor as it is stored, in its own type, zero where the mask [M, K] of our W does not allow a weight."""
    mask = allowed.T if transposed else allowed.reshape(values.shape)
    return np.ascontiguousarray(np.where(mask, values, np.zeros((), values.dtype)))


def _write_arrays(found: Sequence[Pruned], path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays(found):
            with archive.open(f"{name}.npy", "w", force_zip64=True) as stream:
                npy.write_array(stream, np.ascontiguousarray(array))
