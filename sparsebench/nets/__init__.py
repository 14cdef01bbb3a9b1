"""Build your own sparse network: layers, each with its pattern, in a sequence.

>>> from sparsebench.nets import Linear, ReLU, Sequential
>>> from sparsebench.patterns import Complementary
>>> sparse = {"pattern": Complementary(lanes=16), "density": 0.05}
>>> net = Sequential([Linear(768, 3072, **sparse), ReLU(), Linear(3072, 768, **sparse)], (768,), "ffn")
>>> net = net.initialize(seed=0)  # or net.prune(trained arrays), or net.load("weights.npz")

`load` reads the same from TOML, `forward` computes it in float64, `Sequential.describe` counts what sparsity leaves.
The description goes one way: layers -> `Sequential` -> weights (`Sequential.weights`: the matrices of each layer, as
`sparsebench.kernel` takes them) -> whatever computes with them.
"""

from __future__ import annotations

from sparsebench.nets.base import Layer, Shape, Weighted
from sparsebench.nets.describe import LayerRow
from sparsebench.nets.layers import (
    GELU,
    LAYERS,
    BatchNorm,
    Conv2d,
    Flatten,
    KWinners,
    KWinners2d,
    Linear,
    MaxPool2d,
    ReLU,
)
from sparsebench.nets.load import load, shipped
from sparsebench.nets.network import Sequential
from sparsebench.nets.reference import Forward, apply, forward
from sparsebench.nets.schema import schema_text

__all__ = [
    "GELU",
    "LAYERS",
    "BatchNorm",
    "Conv2d",
    "Flatten",
    "Forward",
    "KWinners",
    "KWinners2d",
    "Layer",
    "LayerRow",
    "Linear",
    "MaxPool2d",
    "ReLU",
    "Sequential",
    "Shape",
    "Weighted",
    "apply",
    "forward",
    "load",
    "schema_text",
    "shipped",
]
