"""What a network says about its layers: sizes, non-zeros, operations and bytes."""

from __future__ import annotations

from dataclasses import dataclass

from sparsebench.nets.base import Layer, Shape, Weighted
from sparsebench.nets.packing import packed_bytes
from sparsebench.nets.state import State


@dataclass(frozen=True, slots=True)
class LayerRow:
    """A row of `Sequential.describe`.

    Attributes
    ----------
    name, layer
        What the network calls it, and the call that builds it.
    shape
        Of the output, without the batch.
    weights, nnz, density
        Entries of W, those that may be non-zero, and their ratio; 0, 0 and None without weights. Biases do not count.
    dense_macs, macs
        Multiply-adds for one input, by all weights and by the non-zeros.
    nbytes
        What one multiplication reads of W, packed, and of the layer's other arrays.
    """

    name: str
    layer: str
    shape: Shape
    weights: int
    nnz: int
    density: float | None
    dense_macs: int
    macs: int
    nbytes: int


def layer_row(name: str, layer: Layer, input_shape: Shape, nnz: int, state: State) -> LayerRow:
    """Describe one layer, of which `nnz` weights may be non-zero."""
    arrays = {key: state.arrays[f"{name}.{key}"].nbytes for key in layer.parameters}
    output = layer.output_shape(input_shape)
    if not isinstance(layer, Weighted):
        return LayerRow(name, str(layer), output, 0, 0, None, 0, 0, sum(arrays.values()))
    arrays["weight"] = sum(packed_bytes(layer, matrix) for matrix in state.weights(name, layer))
    return LayerRow(
        name,
        str(layer),
        output,
        layer.size,
        nnz,
        nnz / layer.size,
        layer.macs(input_shape),
        layer.macs(input_shape, nnz),
        sum(arrays.values()),
    )
