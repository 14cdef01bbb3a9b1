"""A network in float64 NumPy, layer by layer: plain, slow, and what compiled plans are checked against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from sparsebench.convolution import windows_of
from sparsebench.errors import InputError
from sparsebench.nets.base import Layer, Shape, shown
from sparsebench.nets.layers import (
    GELU,
    BatchNorm,
    Conv2d,
    Flatten,
    KWinners,
    KWinners2d,
    Linear,
    MaxPool2d,
    ReLU,
)
from sparsebench.nets.network import Sequential
from sparsebench.weights.matrix import require_real

Doubles = NDArray[np.float64]


@dataclass(frozen=True, eq=False, slots=True)
class Forward:
    """What a pass through a network gave.

    Attributes
    ----------
    output
        float64 [N, ...], of the last layer that was computed.
    reached
        By layer, the fraction of its input that is not zero, over the whole batch: the activation density that it sees.
    outputs
        By layer, its output; empty unless asked for.
    """

    output: Doubles
    reached: dict[str, float]
    outputs: dict[str, Doubles]


def forward(network: Sequential, x: NDArray[Any], until: str | None = None, *, keep: bool = False) -> Forward:
    """Compute a batch in float64 from the network's float32 weights.

    Parameters
    ----------
    x
        Real numbers [N, *input_shape], finite.
    until
        The last layer to compute, by name.
    keep
        Whether to return every layer's output.

    Raises
    ------
    InputError
        If x does not fit, there is no such layer, or the network has no weights yet.
    """
    if until is not None:
        network.layer(until)
    x = _batch(x, network.input_shape)
    reached: dict[str, float] = {}
    outputs: dict[str, Doubles] = {}
    for name in network.names:
        reached[name] = float(np.count_nonzero(x) / x.size)
        x = apply(network, name, x)
        if keep:
            outputs[name] = x
        if name == until:
            break
    return Forward(x, reached, outputs)


def apply(network: Sequential, name: str, x: NDArray[Any]) -> Doubles:
    """Compute one layer in float64 on its own input, real numbers [N, *input shape]; returns float64.

    To check a compiled layer by, from the input that it had: k-winners of inputs that differ by rounding may differ.

    Raises
    ------
    InputError
        If x does not fit, there is no such layer, or the network has no weights yet.
    """
    layer = network.layer(name)
    arrays = network.state.arrays
    parameters = {key: arrays[f"{name}.{key}"].astype(np.float64) for key in layer.parameters}
    return _apply(layer, parameters, _batch(x, network.input_shapes[name]))


def _batch(x: NDArray[Any], shape: Shape) -> Doubles:
    array = np.asarray(x)
    require_real(array.dtype, "input x")
    if array.ndim == 0 or array.shape[1:] != shape or len(array) == 0:
        raise InputError(f"input x is {shown(array.shape) or 'a scalar'}; it must be N x {shown(shape)}, N at least 1")
    if not np.isfinite(array).all():
        raise InputError("input x holds NaN or infinity; it must be finite")
    return array.astype(np.float64)


def _apply(layer: Layer, arrays: Mapping[str, Doubles], x: Doubles) -> Doubles:
    match layer:
        case Linear():
            return np.asarray(x @ arrays["weight"].T + arrays.get("bias", 0))
        case Conv2d():
            return _convolve(layer, arrays["weight"], x) + _per_channel(arrays.get("bias", np.zeros(1)), x)
        case MaxPool2d():
            return np.asarray(windows_of(x, layer.window, -np.inf).max(axis=(4, 5)))
        case ReLU():
            return np.maximum(x, 0)
        case GELU():
            return np.asarray(x * ndtr(x))
        case KWinners() | KWinners2d(local=False):
            k = layer.winners(x.shape[1:])
            return _winners(x.reshape(len(x), -1), k).reshape(x.shape)
        case KWinners2d():
            return _winners(x, layer.winners(x.shape[1:]))
        case Flatten():
            return x.reshape(len(x), -1)
        case BatchNorm(eps=eps):
            own = {key: _per_channel(array, x) for key, array in arrays.items()}
            return (x - own["running_mean"]) / np.sqrt(own["running_var"] + eps) * own["weight"] + own["bias"]
    raise TypeError(f"no reference for {layer}")


def _per_channel(array: Doubles, x: Doubles) -> Doubles:
    """Bring [C] to the axes of [N, C] or [N, C, H, W]."""
    return array.reshape(-1, *[1] * (x.ndim - 2))


def _convolve(layer: Conv2d, weight: Doubles, x: Doubles) -> Doubles:
    """Multiply every window by every filter: weight [out, in / groups, kh, kw], result [N, out, H', W']."""
    windows = np.split(windows_of(x, layer.window, 0.0), layer.groups, axis=1)
    filters = np.split(weight, layer.groups)
    parts = [np.tensordot(w, f, axes=((1, 4, 5), (1, 2, 3))) for w, f in zip(windows, filters, strict=True)]
    return np.moveaxis(np.concatenate(parts, axis=-1), -1, 1)


def _winners(x: Doubles, k: int) -> Doubles:
    """Keep the k largest along axis 1, of equal ones the lowest index first, and set the others to zero."""
    order = np.argsort(-x, axis=1, kind="stable")[:, :k]
    kept = np.zeros_like(x)
    np.put_along_axis(kept, order, np.take_along_axis(x, order, axis=1), axis=1)
    return kept
