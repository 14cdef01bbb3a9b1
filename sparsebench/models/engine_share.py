"""Which nodes of an engine's profile are which layers, by operator and shapes: engines rename and fuse nodes.

Source of the renaming: a convolution that ONNX Runtime lays out in blocks of channels has the name of what it was
fused with, and sizes rounded up to the block (https://onnxruntime.ai/docs/performance/model-optimizations).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

# Channels in a block, of ONNX Runtime's layout, by vector width.
_BLOCKS = (1, 8, 16)
Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Share:
    """Where an engine's time goes.

    Attributes
    ----------
    layers
        By the index of a shape, the share of all its layers together.
    nodes
        By the same, how many nodes were found.
    others
        By operator, the share of all nodes that are none of these layers, largest first.
    """

    layers: dict[int, float]
    nodes: dict[int, int]
    others: dict[str, float]

    @property
    def measured(self) -> float:
        """Share of the layers together."""
        return sum(self.layers.values())


def share(nodes: Sequence[Record], shapes: Sequence[Record], measured: Collection[int]) -> Share:
    """Attribute the time of a profile to the shapes of a model's layers, to each no more nodes than it has layers.

    Parameters
    ----------
    nodes
        Of `sparsebench.bench.engine_worker.nodes_of`.
    shapes
        Each with ``layers``, ``op``, ``sizes`` of its weights, ``columns``, and of convolutions ``groups``, ``input``
        and ``output``.
    measured
        Indices of the shapes whose time is wanted; nodes of the others are among `Share.others`.
    """
    total = sum(node["seconds"] for node in nodes)
    layers: dict[int, float] = {}
    count: dict[int, int] = {}
    others: dict[str, float] = {}
    for node in nodes:
        part = node["seconds"] / total
        # Rounded to a block, shapes may look alike: the one that rounds least.
        fits = [
            (_excess(node, shape), index)
            for index, shape in enumerate(shapes)
            if count.get(index, 0) < len(shape["layers"]) and is_of(node, shape)
        ]
        index = min(fits)[1] if fits else -1
        count[index] = count.get(index, 0) + 1
        if index in measured:
            layers[index] = layers.get(index, 0.0) + part
        else:
            others[node["operator"]] = others.get(node["operator"], 0.0) + part
    found = {index: number for index, number in count.items() if index in measured}
    return Share(layers, found, dict(sorted(others.items(), key=lambda item: -item[1])))


def is_of(node: Record, shape: Record) -> bool:
    """Whether a node computes a layer of this shape."""
    if not node["inputs"] or not node["outputs"]:
        return False
    operator = node["operator"]
    if shape["op"] == "conv2d":
        return "Conv" in operator and "Transpose" not in operator and _is_convolution(node, shape)
    return ("MatMul" in operator or "Gemm" in operator) and _is_product(node, shape)


def _excess(node: Record, shape: Record) -> int:
    """Return by how many channels, of input and output together, a node is larger than a shape."""
    if shape["op"] != "conv2d":
        return 0
    weights = next((_image(other) for other in node["inputs"][1:] if len(other) > 2), None)
    found = (node["outputs"][0][1], 0) if weights is None else weights[:2]
    return int(sum(found) - sum(shape["sizes"][: len(found)]))


def _is_product(node: Record, shape: Record) -> bool:
    M, K = shape["sizes"]
    x, others, out = node["inputs"][0], node["inputs"][1:], node["outputs"][0]
    # Two operands of many axes: activations by activations.
    if any(len(other) > 2 for other in others):
        return False
    if any(len(other) == 2 and sorted(other) != sorted((M, K)) for other in others[:1]):
        return False
    return bool(out) and out[-1] == M and prod(out[:-1]) == shape["columns"] and K in x


def _is_convolution(node: Record, shape: Record) -> bool:
    filters, channels, *kernel = shape["sizes"]
    x, out = _image(node["inputs"][0]), _image(node["outputs"][0])
    if x is None or out is None or out[0] != shape["columns"]:
        return False
    if x[2:] != list(shape["input"]) or out[2:] != list(shape["output"]):
        return False
    if not _rounds_to(filters, out[1]):
        return False
    weights = next((_image(other) for other in node["inputs"][1:] if len(other) > 2), None)
    if weights is None:
        return _rounds_to(channels * shape["groups"], x[1])
    return _rounds_to(filters, weights[0]) and _rounds_to(channels, weights[1]) and list(weights[2:]) == kernel


def _rounds_to(size: int, rounded: int) -> bool:
    return any(-(-size // block) * block == rounded for block in _BLOCKS)


def _image(sizes: Sequence[int]) -> list[int] | None:
    """Return four sizes, of a 1-D convolution those of one row; None of anything else."""
    if len(sizes) == 3:
        return [*sizes[:2], 1, sizes[2]]
    return list(sizes) if len(sizes) == 4 else None
