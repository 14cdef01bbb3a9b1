"""Linear and convolutional layers of PyTorch whose weights are zero outside a mask, and stay so.

The weight is multiplied by its mask on the way through, so that its gradient is exactly zero outside. Every optimiser
that leaves a zero with a zero gradient where it is then does so for good, momentum and weight decay included.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from sparsebench.errors import InputError


class SparseLinear(nn.Linear):
    """`torch.nn.Linear` with a mask, bool [out, in]; what is outside it is zero from the start.

    Attributes
    ----------
    mask
        float32 0 and 1, in the shape of the weight.
    """

    mask: Tensor

    def __init__(self, in_features: int, out_features: int, mask: Tensor, bias: bool = True) -> None:
        super().__init__(in_features, out_features, bias)
        _mask(self, mask)

    def forward(self, input: Tensor) -> Tensor:
        """Return input W' + b of [N, in]: [N, out]."""
        return F.linear(input, self.weight * self.mask, self.bias)


class SparseConv2d(nn.Conv2d):
    """`torch.nn.Conv2d` with a mask, bool [out, in / groups, kh, kw]; otherwise as `SparseLinear`."""

    mask: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: tuple[int, int],
        mask: Tensor,
        stride: tuple[int, int] = (1, 1),
        padding: tuple[int, int] = (0, 0),
        dilation: tuple[int, int] = (1, 1),
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias)
        _mask(self, mask)

    def forward(self, input: Tensor) -> Tensor:
        """Return the convolution of a map [N, C, H, W]."""
        return F.conv2d(
            input, self.weight * self.mask, self.bias, self.stride, self.padding, self.dilation, self.groups
        )


def _mask(module: SparseLinear | SparseConv2d, mask: Tensor) -> None:
    if mask.dtype != torch.bool or mask.shape != module.weight.shape:
        raise InputError(
            f"mask is {str(mask.dtype).removeprefix('torch.')} {list(mask.shape)}; it must be bool"
            f" {list(module.weight.shape)}"
        )
    # Not saved: the network that the module was made of has it, and its mask never changes.
    module.register_buffer("mask", mask.to(module.weight.dtype), persistent=False)
    with torch.no_grad():
        module.weight.mul_(module.mask)
