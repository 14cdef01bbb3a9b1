"""The arrays of a network: drawn from a seed, pruned from trained weights, folded.

Functions take a network's layers by name. An array is called ``conv1.weight``: its layer, then its name there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsebench.errors import InputError
from sparsebench.memory import aligned_copy, require_memory
from sparsebench.nets.base import Layer, Shape, Weighted, shown
from sparsebench.nets.layers import BatchNorm
from sparsebench.operands import Weights
from sparsebench.patterns import Kept, Mask, kept
from sparsebench.weights.matrix import require_real
from sparsebench.weights.names import nearest

Layers = Mapping[str, Layer]
Floats = NDArray[np.float32]

# W and its mask, and what drawing or pruning the largest of them takes: orders of 8 bytes, magnitudes in float64.
_BYTES_A_WEIGHT = 4 + 1 + 16
# Size of drawn biases and of BatchNorm's departure from doing nothing.
_SMALL = 0.1


@dataclass(frozen=True, eq=False)
class State:
    """What a network computes with.

    Attributes
    ----------
    arrays
        By their names, float32, aligned and read-only; weights are exactly zero outside their masks.
    masks
        By layer, where it has a pattern: a mask [rows, cols] for each of its matrices.
    kept
        By layer, where its weights were pruned: what that kept of their magnitude.
    """

    arrays: Mapping[str, Floats]
    masks: Mapping[str, tuple[Mask, ...]] = field(default_factory=dict)
    kept: Mapping[str, Kept] = field(default_factory=dict)

    def weights(self, name: str, layer: Weighted) -> tuple[Weights, ...]:
        """Return the matrices of a layer as kernels take them, one for each group of channels."""
        matrices = self.arrays[f"{name}.weight"].reshape(layer.matrix)
        masks = self.masks.get(name) or [Mask(np.ones(layer.matrix[1:], np.bool_))] * len(matrices)
        return tuple(
            Weights(aligned_copy(matrix), mask, self.kept.get(name))
            for matrix, mask in zip(matrices, masks, strict=True)
        )


def draw(layers: Layers, seed: int) -> State:
    """Draw masks and weights from a seed of 0 or greater; a layer's depend on it and on the layer's place alone.

    Weights have the variance 2 / (non-zeros of a row) that keeps the scale of activations (He et al. 2015, arXiv
    1502.01852). Biases are small, and BatchNorm differs a little from channel to channel, so that folding it is work.
    """
    if seed < 0:
        raise InputError(f"seed is {seed}; it must be 0 or greater")
    _require_memory(layers)
    arrays: dict[str, Floats] = {}
    masks: dict[str, tuple[Mask, ...]] = {}
    for place, (name, layer) in enumerate(layers.items()):
        rng = np.random.default_rng([seed, place])
        if isinstance(layer, Weighted):
            weight = rng.standard_normal(layer.matrix, np.float32)
            fan_in: float = layer.matrix.cols
            if layer.pattern is not None:
                groups, rows, cols = layer.matrix
                masks[name] = tuple(layer.pattern.draw(rows, cols, layer.density, rng) for _ in range(groups))
                allowed = stacked(masks[name])
                weight[~allowed] = 0
                fan_in = max(1, np.count_nonzero(allowed) / (groups * rows))
            arrays[f"{name}.weight"] = weight.reshape(layer.weight_shape) * np.float32(math.sqrt(2 / fan_in))
            if layer.bias:
                arrays[f"{name}.bias"] = _small(layer.weight_shape[0], rng)
        elif isinstance(layer, BatchNorm):
            for key in layer.parameters:
                around_one = key in ("weight", "running_var")
                arrays[f"{name}.{key}"] = _small(layer.features, rng) + np.float32(around_one)
    return State(frozen(arrays), masks)


def _small(count: int, rng: np.random.Generator) -> Floats:
    """Return numbers that do not change the scale of activations, and yet show where they are left out."""
    return rng.uniform(-_SMALL, _SMALL, count).astype(np.float32)


def prune(layers: Layers, arrays: Mapping[str, NDArray[Any]]) -> State:
    """Bring trained dense weights to each layer's pattern; what has no pattern stays as it is.

    Raises
    ------
    InputError
        If an array is missing, unknown, of another shape, or holds anything but finite real numbers.
    """
    _require_memory(layers)
    dense = checked(layers, arrays)
    masks: dict[str, tuple[Mask, ...]] = {}
    shares: dict[str, Kept] = {}
    for name, layer in layers.items():
        if isinstance(layer, Weighted) and layer.pattern is not None:
            weight = dense[f"{name}.weight"].reshape(layer.matrix)
            masks[name] = tuple(layer.pattern.prune(matrix, layer.density) for matrix in weight)
            allowed = stacked(masks[name])
            shares[name] = kept(weight, Mask(allowed))
            dense[f"{name}.weight"] = np.where(allowed, weight, np.float32(0)).reshape(layer.weight_shape)
    return State(frozen(dense), masks, shares)


def revalued(layers: Layers, state: State, arrays: Mapping[str, NDArray[Any]]) -> State:
    """Return a state with other values in the same masks.

    Raises
    ------
    InputError
        As `prune`, and if a weight outside its mask is not zero.
    """
    dense = checked(layers, arrays)
    for name, masks in state.masks.items():
        layer = layers[name]
        assert isinstance(layer, Weighted)
        outside = dense[f"{name}.weight"].reshape(layer.matrix)[~stacked(masks)]
        if outside.any():
            raise InputError(
                f"array '{name}.weight' holds {np.count_nonzero(outside)} weights outside its mask that are not zero"
            )
    return State(frozen(dense), state.masks)


def parameter_shapes(layers: Layers) -> dict[str, Shape]:
    """Shapes of all arrays that the layers need, by their names."""
    return {f"{name}.{key}": shape for name, layer in layers.items() for key, shape in layer.parameters.items()}


def fold(layers: Layers, state: State) -> State:
    """Return a state in which every BatchNorm is part of the layer before it: computed in float64, then rounded."""
    arrays: dict[str, Floats] = {}
    before = ""
    for name, layer in layers.items():
        own = {key: state.arrays[f"{name}.{key}"] for key in layer.parameters}
        if isinstance(layer, BatchNorm):
            scale = own["weight"] / np.sqrt(own["running_var"].astype(np.float64) + layer.eps)
            weight = arrays[f"{before}.weight"]
            bias = arrays.get(f"{before}.bias", np.zeros(len(weight), np.float32))
            arrays[f"{before}.weight"] = (weight.T * scale).T.astype(np.float32)
            centred = bias.astype(np.float64) - own["running_mean"]
            arrays[f"{before}.bias"] = (centred * scale + own["bias"]).astype(np.float32)
        else:
            arrays |= {f"{name}.{key}": array for key, array in own.items()}
            before = name
    return State(frozen(arrays), state.masks, state.kept)


def frozen(arrays: Mapping[str, Floats]) -> dict[str, Floats]:
    """Return aligned copies that cannot be written to."""
    copies = {name: aligned_copy(array) for name, array in arrays.items()}
    for array in copies.values():
        array.flags.writeable = False
    return copies


def stacked(masks: tuple[Mask, ...]) -> NDArray[np.bool_]:
    """Positions that may be non-zero, bool [groups, rows, cols]."""
    return np.stack([mask.allowed for mask in masks])


def _require_memory(layers: Layers) -> None:
    weights = sum(layer.size for layer in layers.values() if isinstance(layer, Weighted))
    require_memory(weights * _BYTES_A_WEIGHT, f"a network of {weights:,} weights")


def checked(layers: Layers, arrays: Mapping[str, NDArray[Any]]) -> dict[str, Floats]:
    """Return the arrays as float32 in the layers' order; raises InputError unless they are those of the layers."""
    shapes = parameter_shapes(layers)
    for name in arrays:
        if name not in shapes:
            raise InputError(f"array '{name}' belongs to no layer; {nearest(name, list(shapes))}")
    found: dict[str, Floats] = {}
    for name, shape in shapes.items():
        if name not in arrays:
            raise InputError(f"array '{name}' [{shown(shape)}] is missing")
        array = np.asarray(arrays[name])
        where = f"array '{name}'"
        require_real(array.dtype, where)
        if array.shape != shape:
            raise InputError(f"{where} is {shown(array.shape) or 'a scalar'}; it must be {shown(shape)}")
        with np.errstate(over="ignore"):
            found[name] = array.astype(np.float32)
        if not np.isfinite(found[name]).all():
            raise InputError(f"{where} holds NaN or infinity; it must be finite float32")
        if name.endswith(".running_var") and (found[name] < 0).any():
            raise InputError(f"{where} holds {found[name].min():g}; a variance is not negative")
    return found
