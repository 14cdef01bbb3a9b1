"""A network as an ONNX model, BatchNorm folded, for engines and for users of pruned networks.

k-winners are a TopK, whose winners are scattered into zeros: no engine has a kernel for that, but what it computes is
what ours do. Of equal values the lowest index wins in both.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sparsebench.errors import InputError
from sparsebench.nets.base import Layer, Shape
from sparsebench.nets.layers import GELU, Conv2d, Flatten, KWinners, KWinners2d, Linear, MaxPool2d, ReLU
from sparsebench.nets.network import Sequential
from sparsebench.onnx_export import Graph, window_attributes

if TYPE_CHECKING:
    from onnx import ModelProto

# What a side of any length is called.
_ANY_BATCH = "N"

Arrays = Mapping[str, NDArray[np.float32]]


def network_model(network: Sequential, batch: int | None = None) -> ModelProto:
    """Return the network, folded, as a model from `x` [N, *input shape] to `y` [N, *output shape].

    Weights and biases are initializers named as in `Sequential.parameters`, ``conv1.weight``; nodes as the layers.

    Parameters
    ----------
    batch
        N; None leaves it to whoever runs the model.

    Raises
    ------
    InputError
        If the network has no weights yet, too many for one ONNX file, or the batch is below 1.
    """
    if batch is not None and batch < 1:
        raise InputError(f"batch is {batch}; it must be at least 1, or None for any")
    folded = network.fold()
    graph = Graph()
    for name, layer in folded.named_layers.items():
        _add(graph, name, layer, folded.parameters, folded.input_shapes[name])
    N: int | str = _ANY_BATCH if batch is None else batch
    about = {"network": network.name, "nonzeros": str(sum(folded.nonzeros().values()))}
    return graph.model(network.name, (N, *folded.input_shape), (N, *folded.output_shape), about)


def _add(graph: Graph, name: str, layer: Layer, arrays: Arrays, shape: Shape) -> None:
    """Append a layer; `shape` is that of its input, without the batch."""
    x = graph.current
    match layer:
        case Linear():
            graph.add("Gemm", name, [x, *_parameters(graph, name, layer, arrays)], transB=1)
        case Conv2d():
            window = window_attributes(layer.window)
            graph.add("Conv", name, [x, *_parameters(graph, name, layer, arrays)], group=layer.groups, **window)
        case MaxPool2d():
            graph.add("MaxPool", name, [x], **window_attributes(layer.window, dilated=False))
        case ReLU():
            graph.add("Relu", name, [x])
        case GELU():
            _add_gelu(graph, name, x)
        case KWinners2d(local=True):
            _add_winners(graph, name, x, layer.winners(shape))
        case KWinners() | KWinners2d():
            _add_global_winners(graph, name, x, layer.winners(shape), shape)
        case Flatten():
            graph.add("Flatten", name, [x], axis=1)
        case _:
            raise TypeError(f"no ONNX for {layer}")


def _parameters(graph: Graph, name: str, layer: Linear | Conv2d, arrays: Arrays) -> list[str]:
    return [graph.constant(f"{name}.{key}", arrays[f"{name}.{key}"]) for key in layer.parameters]


def _add_gelu(graph: Graph, name: str, x: str) -> None:
    """Add x (1 + erf(x / sqrt 2)) / 2 in the words of PyTorch's exporter, which engines fuse into one step."""
    values = {"root": math.sqrt(2), "one": 1, "half": 0.5}
    root, one, half = (graph.constant(f"{name}.{key}", np.array(v, np.float32)) for key, v in values.items())
    graph.add("Div", f"{name}/div", [x, root])
    graph.add("Erf", f"{name}/erf", [graph.current])
    graph.add("Add", f"{name}/add", [graph.current, one])
    graph.add("Mul", f"{name}/mul", [x, graph.current])
    graph.add("Mul", name, [graph.current, half])


def _add_winners(graph: Graph, name: str, x: str, k: int) -> None:
    """Keep the k largest along axis 1: TopK, and its values scattered into zeros of the shape of x."""
    from onnx import TensorProto, helper

    indices = f"{name}/top_places"
    graph.add("TopK", f"{name}/top", [x, graph.constant(f"{name}.k", np.array([k], np.int64))], [indices], axis=1)
    values = graph.current
    graph.add("Shape", f"{name}/shape", [x])
    zero = helper.make_tensor("zero", TensorProto.FLOAT, [1], [0.0])
    graph.add("ConstantOfShape", f"{name}/zeros", [graph.current], value=zero)
    graph.add("ScatterElements", name, [graph.current, indices, values], axis=1)


def _add_global_winners(graph: Graph, name: str, x: str, k: int, shape: Shape) -> None:
    if len(shape) == 1:
        _add_winners(graph, name, x, k)
        return
    graph.add("Flatten", f"{name}/flatten", [x], axis=1)
    _add_winners(graph, f"{name}/winners", graph.current, k)
    sides = graph.constant(f"{name}.shape", np.array([-1, *shape], np.int64))
    graph.add("Reshape", name, [graph.current, sides])
