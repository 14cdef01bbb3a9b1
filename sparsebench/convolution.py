"""The geometry of a convolution."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from sparsebench.errors import InputError
from sparsebench.window import Pair, Window


@dataclass(frozen=True, slots=True)
class Convolution:
    """A map [channels, height, width] and the window that slides over it; `groups` parts of the channels are apart."""

    channels: int
    height: int
    width: int
    window: Window
    groups: int = 1

    def __post_init__(self) -> None:
        for name in ("channels", "height", "width", "groups"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if self.channels % self.groups:
            raise InputError(f"groups is {self.groups}; it must divide the {self.channels} channels of the input")
        self.window.output(self.height, self.width)

    @property
    def output(self) -> Pair:
        """Height and width of the output."""
        return self.window.output(self.height, self.width)

    @property
    def pixels(self) -> int:
        """Pixels of the output."""
        return self.output[0] * self.output[1]

    @property
    def taps(self) -> int:
        """Inputs of one filter: channels of its group x kernel height x kernel width."""
        return self.channels // self.groups * self.window.kernel[0] * self.window.kernel[1]

    @property
    def pointwise(self) -> bool:
        """Whether it is a matrix product at every pixel: kernel 1 x 1, stride 1, no padding, one group."""
        window = self.window
        return window.kernel == window.stride == (1, 1) and window.padding == (0, 0) and self.groups == 1


def windows_of(x: NDArray[np.floating], window: Window, padding: float = 0.0) -> NDArray[np.floating]:
    """View x [N, C, H, W], padded, as its windows [N, C, H', W', kh, kw]."""
    (vertical, horizontal), (down, right), (dy, dx) = window.padding, window.stride, window.dilation
    sides = ((0, 0), (0, 0), (vertical, vertical), (horizontal, horizontal))
    padded = np.pad(x, sides, constant_values=padding) if vertical or horizontal else x
    return sliding_window_view(padded, window.span, axis=(2, 3))[:, :, ::down, ::right, ::dy, ::dx]


def im2col(x: NDArray[np.floating], window: Window) -> NDArray[np.floating]:
    """Copy the windows of x [N, C, H, W] into columns [N, C * kh * kw, H' * W'], taps in the order (c, kh, kw)."""
    windows = windows_of(x, window)
    N, C, height, width, kh, kw = windows.shape
    return np.ascontiguousarray(windows.transpose(0, 1, 4, 5, 2, 3)).reshape(N, C * kh * kw, height * width)
