"""A .safetensors file as a model: it holds tensors without a graph, so every one that could be a layer is one."""

from __future__ import annotations

from collections import Counter

from sparsebench.errors import InputError
from sparsebench.models.geometry import ConvGeometry
from sparsebench.models.layer import Layer, Model
from sparsebench.models.wanted import Wanted
from sparsebench.weights import safetensors_file
from sparsebench.weights.address import Source

_NAMES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}


def load(source: Source, wanted: Wanted) -> Model:
    """List the tensors in the order of their names; see `sparsebench.models.load`."""
    if wanted.shapes or wanted.batch is not None:
        raise InputError(
            f"model '{source.address}': a .safetensors file holds no graph; input shapes and a batch mean nothing in it"
        )
    held = safetensors_file.tensors(source)
    layers = [_layer(source, name, tensor, wanted) for name, tensor in held.items() if tensor.is_layer]
    skipped = Counter(
        f"{tensor.dtype} tensor of {len(tensor.shape)} axes"
        for tensor in held.values()
        if not tensor.is_layer and len(tensor.shape) > 1
    )
    notes = [
        "The file holds no graph: N and multiply-adds are not known, and every 2-D tensor is taken as [out, in], "
        "every 4-D one as a convolution's [out, in, kh, kw]; an embedding table is listed like a layer."
    ]
    return Model(
        address=source.address,
        path=source.path,
        format="safetensors",
        layers=tuple(layers),
        operators={},
        skipped=skipped,
        inputs=(),
        parameters=sum(tensor.size for tensor in held.values() if tensor.dtype in safetensors_file.FLOATS),
        notes=tuple(notes),
    )


def _layer(source: Source, name: str, tensor: safetensors_file.Tensor, wanted: Wanted) -> Layer:
    conv = len(tensor.shape) == 4
    return Layer(
        name=name,
        operator="",
        op="conv2d" if conv else "matmul",
        address=source.select(name).address,
        shape=tensor.shape,
        # Stride, padding and groups are the graph's, which is not there.
        conv=ConvGeometry(None, None, pads=None) if conv else None,
        columns=None,
        dtype=_NAMES[tensor.dtype],
        nbytes=tensor.nbytes,
        data=wanted.data,
    )
