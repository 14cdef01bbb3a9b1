"""A .tflite model: layers are CONV_2D, DEPTHWISE_CONV_2D and FULLY_CONNECTED by constants.

A .tflite is converted for fixed sizes, which it states for every tensor; other batches only multiply what is used.
"""

from __future__ import annotations

from collections import Counter
from math import prod

from sparsebench.errors import InputError
from sparsebench.models.geometry import ConvGeometry, same_pads
from sparsebench.models.layer import Layer, Model, ModelInput
from sparsebench.models.names import each_use
from sparsebench.models.wanted import Wanted, require_inputs
from sparsebench.weights import tflite_file
from sparsebench.weights.address import Source
from sparsebench.weights.tflite_file import Use
from sparsebench.weights.tflite_graph import Graph, Node, graphs

_LAYERS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
# What multiplies by weights, or products of activations, in ways that are not ours.
_OTHERS = (
    "BATCH_MATMUL", "TRANSPOSE_CONV", "CONV_3D", "CONV_3D_TRANSPOSE", "SVDF", "RNN", "LSTM",
    "UNIDIRECTIONAL_SEQUENCE_RNN", "UNIDIRECTIONAL_SEQUENCE_LSTM", "BIDIRECTIONAL_SEQUENCE_RNN",
    "BIDIRECTIONAL_SEQUENCE_LSTM", "STABLEHLO_CONVOLUTION", "STABLEHLO_DOT_GENERAL",
)  # fmt: skip


def load(source: Source, wanted: Wanted) -> Model:
    """List the layers in the order in which the model computes them; see `sparsebench.models.load`."""
    held = graphs(source)
    uses = tflite_file.uses(source)
    inputs = [held[0].tensors[index] for index in held[0].inputs if index >= 0]
    times = _times(source, held[0], wanted)
    names = each_use([use.name for use in uses])
    nodes = [(graph, node) for graph in held for node in graph.nodes]
    return Model(
        address=source.address,
        path=source.path,
        format="tflite",
        layers=tuple(_layer(source, use, name, times, wanted) for use, name in zip(uses, names, strict=True)),
        operators=Counter(node.operator for _, node in nodes),
        skipped=Counter(reason for graph, node in nodes if (reason := _not_ours(graph, node))),
        inputs=tuple(
            ModelInput(
                tensor.name,
                tuple("?" if is_open else size for size, is_open in zip(tensor.shape, tensor.open, strict=True)),
            )
            for tensor in inputs
        ),
        parameters=sum(
            prod(tensor.shape)
            for graph in held
            for tensor in graph.tensors
            if tensor.data is not None and tensor.kind in tflite_file.FLOATS
        ),
    )


def _not_ours(graph: Graph, node: Node) -> str | None:
    """Say what an operator is that computes and is no layer of ours."""
    if node.operator in _OTHERS or node.operator.startswith("CUSTOM "):
        return node.operator
    if node.operator not in _LAYERS:
        return None
    tensor = tflite_file.weight_of(graph, node)
    if tensor is None:
        return f"{node.operator} by computed weights"
    return None if tensor.kind in tflite_file.FLOATS else f"{node.operator} by {tensor.kind} weights"


def _times(source: Source, graph: Graph, wanted: Wanted) -> int:
    """Return by how much the batch that is asked for is larger than the file's.

    Raises
    ------
    InputError
        If a size other than the batch is asked for, or a batch that is no multiple of the file's.
    """
    held = {graph.tensors[index].name: graph.tensors[index].shape for index in graph.inputs if index >= 0}
    require_inputs(source, wanted, list(held))
    found = set()
    for name, shape in held.items():
        asked = wanted.shapes.get(name, shape if wanted.batch is None or not shape else (wanted.batch, *shape[1:]))
        if asked[1:] != shape[1:] or len(asked) != len(shape) or (shape and asked[0] % max(shape[0], 1)):
            raise InputError(
                f"model '{source.address}': input '{name}' is {'x'.join(map(str, shape))}, and cannot be"
                f" {'x'.join(map(str, asked))}: a .tflite is converted for fixed sizes, only multiples of its batch"
                " are followed"
            )
        found.add(asked[0] // max(shape[0], 1) if shape else 1)
    if len(found) > 1:
        raise InputError(f"model '{source.address}': its inputs would have different batches")
    return found.pop() if found else 1


def _layer(source: Source, use: Use, name: str, times: int, wanted: Wanted) -> Layer:
    conv = use.node.operator != "FULLY_CONNECTED"
    x = use.graph.tensors[use.node.inputs[0]]
    size, is_open = (x.shape, x.open) if x.shape else ((1,), (True, True))
    tensor = use.tensor
    assert tensor.data is not None
    images = size[0] * times
    return Layer(
        name=name,
        operator=use.node.operator,
        op="conv2d" if conv else "matmul",
        address=tflite_file.address_of(source, use),
        shape=use.shape,
        conv=_geometry(use, size, is_open, f"model '{source.address}'") if conv else None,
        # A batch that the file leaves open is 1 until somebody resizes it; other open sizes are not known.
        columns=images if conv else None if any(is_open[1:]) else prod(size) * times // use.shape[1],
        dtype=tensor.kind.lower(),
        nbytes=len(tensor.data) + (tensor.sparsity.nbytes if tensor.sparsity else 0),
        sparse=tensor.sparsity is not None,
        data=wanted.data,
    )


def _geometry(use: Use, size: tuple[int, ...], is_open: tuple[bool, ...], where: str) -> ConvGeometry:
    slide, kernel = use.node.slide, (use.shape[2], use.shape[3])
    if slide is None or len(size) != 4:
        raise InputError(f"{where}: '{use.name}' has no stride, or its input is not 4-D")
    if min(*slide.stride, *slide.dilation) < 1 or size[3] < 1 or size[3] % use.shape[1]:
        raise InputError(
            f"{where}: '{use.name}' has stride {slide.stride}, dilation {slide.dilation}, and {use.shape[1]} channels"
            f" a group of {size[3]}"
        )
    groups = size[3] // use.shape[1]
    if any(is_open[1:3]):
        return ConvGeometry(None, None, slide.stride, slide.dilation, None if slide.same else (0, 0, 0, 0), groups)
    height, width = size[1], size[2]
    pads = same_pads((height, width), kernel, slide.stride, slide.dilation) if slide.same else (0, 0, 0, 0)
    return ConvGeometry(height, width, slide.stride, slide.dilation, pads, groups)
