"""Writes a pruned model, as ONNX with new initializers or, of other files, as arrays; and its weights packed.

Everything is written beside its place first, and then put there: an error leaves what was there as it was.
"""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

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
from sparsebench.weights.onnx_graph import constants, external, read_model, uses, views

# Beyond, protobuf cannot hold a model in one file.
_ONE_FILE = 2**31 - 2**24


def packed_folder(out: Path) -> Path:
    """Where the packed weights of a pruned model go: ``net.packed`` beside ``net.onnx``."""
    return out.with_suffix(".packed")


def _data_file(out: Path) -> Path:
    """Where a pruned ONNX model that has its weights beside it has them."""
    return out.with_name(f"{out.name}.data")


def _data_files(model: Model) -> set[Path]:
    """Return the files that an ONNX model has its weights in, beside itself."""
    if model.format != "onnx":
        return set()
    graph = read_model(locate(model.address, model.layers[0].data if model.layers else None)).graph
    places = {external(constant.tensor) for constant in constants(graph).values()}
    return {(model.path.parent / place).resolve() for place in places if place is not None}


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
    if _data_file(out).resolve() in _data_files(model):
        raise InputError(f"-o '{out}': '{_data_file(out)}' holds weights of the model itself; name another file")
    if not out.parent.is_dir():
        raise InputError(f"-o '{out}': there is no folder '{out.parent}'")
    if out.is_dir():
        raise InputError(f"-o '{out}' is a folder; it would be the pruned model")
    for path in (out, packed_folder(out), _data_file(out)):
        if path.exists() and not force:
            raise InputError(f"'{path}' exists; --force writes over it")
    if packed_folder(out).is_file():
        raise InputError(f"'{packed_folder(out)}' is a file; it would be the folder of the packed weights")


def must_stay(model: Model) -> dict[str, str]:
    """Say by address which tensors of an ONNX model must stay as they are, and why.

    That are those that something else reads too, and those that are stored sparse already.
    """
    if model.format != "onnx":
        return {}
    source = locate(model.address, model.layers[0].data if model.layers else None)
    graph = read_model(source).graph
    held, ours = views(graph), {id(use.node): use for use in uses(graph)}
    readers: dict[str, list[str]] = {}
    for node in graph.node:
        for name in node.input:
            # What only renames or turns a tensor is no reader of it.
            if name in held and id(node) not in ours and not any(output in held for output in node.output):
                readers.setdefault(held[name].constant.name, []).append(node.op_type)
    for output in graph.output:
        if output.name in held:
            readers.setdefault(held[output.name].constant.name, []).append("the model's output")
    everything = onnx_file.layers(graph)
    turned = {layer.initializer: layer.use.transposed for layer in everything}
    for use in ours.values():
        if use.transposed != turned[use.constant.name]:
            readers.setdefault(use.constant.name, []).append(f"a {use.node.op_type} the other way round")
    found = {}
    addresses = onnx_file.addresses_of(source, everything)
    for layer in everything:
        if layer.initializer in readers:
            found[addresses[layer.initializer]] = f"also read by {', '.join(dict.fromkeys(readers[layer.initializer]))}"
        elif layer.use.constant.indices is not None:
            found[addresses[layer.initializer]] = "stored as a sparse tensor"
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
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=".prune-") as folder:
            fresh = Path(folder)
            if model.format == "onnx":
                _write_onnx(model, found, fresh / out.name)
            else:
                _write_arrays(found, fresh / out.name)
            files = sorted(fresh.iterdir(), key=lambda path: path.name == out.name)
            (fresh / packed.name).mkdir()
            save_packed(found, wanted, fresh / packed.name)
            old = fresh / "old"
            if packed.exists():
                # Out of the way, and gone with the temporary folder.
                packed.rename(old)
            try:
                (fresh / packed.name).rename(packed)
                # The model last: where it is, all that belongs to it is.
                return [packed, *(path.replace(out.parent / path.name) for path in files)]
            except OSError:
                if old.exists():
                    shutil.rmtree(packed, ignore_errors=True)
                    old.rename(packed)
                raise
    except OSError as error:
        raise InputError(f"cannot write {error.filename or out}: {error.strerror}") from error


def _write_onnx(model: Model, found: Sequence[Pruned], path: Path) -> None:
    import onnx
    from onnx import numpy_helper

    source = locate(model.address, found[0].first.data)
    # A copy: the parsed model is shared. Its data, and what is written.
    require_memory(3 * source.stamp[1] + 4 * sum(entry.first.size for entry in found), f"pruning '{model.path}'")
    proto = onnx.ModelProto()
    proto.CopyFrom(read_model(source))
    beside = any(external(constant.tensor) for constant in constants(proto.graph).values())
    if beside:
        onnx.load_external_data_for_model(proto, str(model.path.parent))
    layers = {layer.initializer: layer for layer in onnx_file.layers(proto.graph)}
    named = {address: name for name, address in onnx_file.addresses_of(source, list(layers.values())).items()}
    for entry in found:
        if entry.mask is None:
            continue
        use = layers[named[entry.first.address]].use
        tensor = use.constant.tensor
        pruned = pruned_values(numpy_helper.to_array(tensor), entry.mask.allowed, use.transposed)
        # In place: the graph, and the names and types in it, stay as they are.
        tensor.CopyFrom(numpy_helper.from_array(pruned, tensor.name))
    if beside or proto.ByteSize() > _ONE_FILE:
        onnx.save_model(proto, str(path), save_as_external_data=True, location=_data_file(path).name)
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
