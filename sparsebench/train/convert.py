"""Between networks of `sparsebench.nets` and modules of PyTorch; arrays have the same names in both."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sparsebench import nets
from sparsebench.errors import InputError
from sparsebench.nets import Layer, Sequential, Shape, Weighted
from sparsebench.nets.state import stacked
from sparsebench.train.modules import SparseConv2d, SparseLinear
from sparsebench.train.winners import KWinners, KWinners2d
from sparsebench.window import Window


def start(network: Sequential, seed: int) -> Sequential:
    """Return the network with masks and first weights drawn from a seed, biases 0, batch norms that do nothing yet.

    Weights have the variance that keeps the scale of activations for the non-zeros of a row; see
    `sparsebench.nets.Sequential.initialize`.
    """
    drawn = network.initialize(seed)
    arrays = drawn.parameters
    for name, layer in network.named_layers.items():
        for key in layer.parameters:
            if isinstance(layer, nets.BatchNorm):
                arrays[f"{name}.{key}"] = np.full(layer.features, float(key in ("weight", "running_var")), np.float32)
            elif key == "bias":
                arrays[f"{name}.{key}"] = np.zeros_like(arrays[f"{name}.{key}"])
    return drawn.with_values(arrays)


def to_torch(network: Sequential) -> nn.Sequential:
    """Return a module with the layers, names, weights and masks of a network, ready to train.

    Raises
    ------
    InputError
        If the network has no weights yet.
    """
    masks = network.state.masks
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    for name, layer in network.named_layers.items():
        mask = None
        if isinstance(layer, Weighted) and layer.pattern is not None:
            mask = torch.from_numpy(stacked(masks[name]).reshape(layer.weight_shape))
        parts[name] = _module(layer, network.input_shapes[name], mask)
    module = nn.Sequential(parts)
    values = {name: torch.tensor(array) for name, array in network.parameters.items()}
    # Counters of batches and duty cycles are PyTorch's alone.
    module.load_state_dict(module.state_dict() | values)
    return module


def from_torch(network: Sequential, module: nn.Module) -> Sequential:
    """Return the network with the weights that a module, made of it by `to_torch`, has now.

    Raises
    ------
    InputError
        If a weight outside its mask is not zero, one is not finite, or k-winners are still boosted, which networks are
        not.
    """
    for name, part in module.named_modules():
        if isinstance(part, KWinners) and part.boost_strength:
            raise InputError(
                f"k-winners '{name}' are boosted by {part.boost_strength:g}; networks rank by x itself: let the"
                " strength come down to 0 while training, or call set_boost(module, 0)"
            )
    values = module.state_dict()
    return network.with_values({name: values[name].detach().numpy() for name in network.parameters})


def _module(layer: Layer, shape: Shape, mask: Tensor | None) -> nn.Module:
    """Return the module of a layer whose input has this shape."""
    match layer:
        case nets.Linear(inputs, outputs, bias):
            return nn.Linear(inputs, outputs, bias) if mask is None else SparseLinear(inputs, outputs, mask, bias)
        case nets.Conv2d():
            return _convolution(layer, mask)
        case nets.BatchNorm(features, eps):
            kind = nn.BatchNorm1d if len(shape) == 1 else nn.BatchNorm2d
            return kind(features, eps)
        case nets.MaxPool2d():
            window: Window = layer.window
            return nn.MaxPool2d(window.kernel, window.stride, window.padding)
        case nets.KWinners(density):
            return KWinners(shape[0], density)
        case nets.KWinners2d(density, local):
            return (KWinners2d if local else KWinners)(shape[0], density)
        case nets.ReLU():
            return nn.ReLU()
        case nets.GELU():
            return nn.GELU()
        case nets.Flatten():
            return nn.Flatten()
    raise TypeError(f"no module for {layer}")


def _convolution(layer: nets.Conv2d, mask: Tensor | None) -> nn.Module:
    window = layer.window
    options: dict[str, Any] = {
        "stride": window.stride,
        "padding": window.padding,
        "dilation": window.dilation,
        "groups": layer.groups,
        "bias": layer.bias,
    }
    if mask is None:
        return nn.Conv2d(layer.in_channels, layer.out_channels, window.kernel, **options)
    return SparseConv2d(layer.in_channels, layer.out_channels, window.kernel, mask, **options)
