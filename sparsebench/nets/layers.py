"""The layers that networks are made of; their arguments are called, and mean, what PyTorch's do.

A map has the layout [N, C, H, W] and features [N, F], both float32; shapes here leave N out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from sparsebench.errors import InputError
from sparsebench.nets.base import Layer, MatrixShape, Shape, Weighted, require_counts, shown
from sparsebench.patterns import Pattern
from sparsebench.patterns.base import share_of
from sparsebench.window import Size, Window, pair, shortest


@dataclass(frozen=True)
class Linear(Weighted):
    """y = W x + b, W [out_features, in_features] of `pattern` at `density`; dense without a pattern."""

    in_features: int
    out_features: int
    bias: bool = True
    pattern: Pattern | None = None
    density: float = 1.0
    name: str = ""
    kind: ClassVar[str] = "linear"

    def __post_init__(self) -> None:
        require_counts(self, in_features=self.in_features, out_features=self.out_features)
        self._check_pattern()

    def output_shape(self, shape: Shape) -> Shape:
        """Take (in_features,), give (out_features,)."""
        if len(shape) != 1:
            raise InputError(f"input is {shown(shape)}, it takes {self.in_features} features; a Flatten may be missing")
        if shape[0] != self.in_features:
            raise InputError(f"input has {shape[0]} features, it takes {self.in_features}")
        return (self.out_features,)

    @property
    def weight_shape(self) -> Shape:
        """[out, in]."""
        return self.out_features, self.in_features

    @property
    def matrix(self) -> MatrixShape:
        """One matrix [out, in]."""
        return MatrixShape(1, self.out_features, self.in_features)

    def uses(self, shape: Shape) -> int:
        """Once."""
        return 1


@dataclass(frozen=True)
class Conv2d(Weighted):
    """Cross-correlation of a map with out_channels filters; a filter is a row of W, a tap (cin, kh, kw) a column.

    `kernel`, `stride`, `padding` and `dilation` are one number or (vertical, horizontal). Padding is with zeros.
    """

    in_channels: int
    out_channels: int
    kernel: Size
    stride: Size = 1
    padding: Size = 0
    dilation: Size = 1
    groups: int = 1
    bias: bool = True
    pattern: Pattern | None = None
    density: float = 1.0
    name: str = ""
    kind: ClassVar[str] = "conv2d"

    def __post_init__(self) -> None:
        require_counts(self, in_channels=self.in_channels, out_channels=self.out_channels, groups=self.groups)
        if self.in_channels % self.groups or self.out_channels % self.groups:
            raise InputError(f"{self}: groups is {self.groups}; it must divide both numbers of channels")
        _settle_window(self, "kernel", "stride", "padding", "dilation")
        self._check_pattern()

    @property
    def window(self) -> Window:
        """Where the taps lie."""
        return Window(pair(self.kernel), pair(self.stride), pair(self.padding), pair(self.dilation))

    def output_shape(self, shape: Shape) -> Shape:
        """Take (in_channels, height, width), give (out_channels, height', width')."""
        channels, height, width = _map(shape)
        if channels != self.in_channels:
            raise InputError(f"input has {channels} channels, it takes {self.in_channels}")
        return (self.out_channels, *self.window.output(height, width))

    @property
    def weight_shape(self) -> Shape:
        """[out, in / groups, kh, kw]."""
        return (self.out_channels, self.in_channels // self.groups, *pair(self.kernel))

    @property
    def matrix(self) -> MatrixShape:
        """For each group of channels a matrix [out / groups, in / groups * kh * kw]."""
        return MatrixShape(self.groups, self.out_channels // self.groups, math.prod(self.weight_shape[1:]))

    def uses(self, shape: Shape) -> int:
        """Once for every pixel of the output."""
        return math.prod(self.output_shape(shape)[1:])


@dataclass(frozen=True)
class MaxPool2d(Layer):
    """Largest value in each window of each channel; windows that would cross the edge are left out.

    `stride` is the kernel's size where it is not given. Padding never wins: it is at most half a window.
    """

    kernel: Size
    stride: Size | None = None
    padding: Size = 0
    name: str = ""
    kind: ClassVar[str] = "maxpool2d"

    def __post_init__(self) -> None:
        _settle_window(self, "kernel", "padding", *([] if self.stride is None else ["stride"]))
        if self.stride == self.kernel:
            object.__setattr__(self, "stride", None)
        window = self.window
        if any(2 * margin > side for margin, side in zip(window.padding, window.kernel, strict=True)):
            raise InputError(f"{self}: padding is {self.padding}; it must be at most half of the kernel")

    @property
    def window(self) -> Window:
        """Where the window lies."""
        return Window(pair(self.kernel), pair(self.kernel if self.stride is None else self.stride), pair(self.padding))

    def output_shape(self, shape: Shape) -> Shape:
        """Take (channels, height, width), give (channels, height', width')."""
        channels, height, width = _map(shape)
        return (channels, *self.window.output(height, width))


class _SameShape(Layer):
    """A layer whose output has the shape of its input, whatever it is."""

    def output_shape(self, shape: Shape) -> Shape:
        """Take any shape, give the same."""
        return shape


@dataclass(frozen=True)
class ReLU(_SameShape):
    """max(x, 0)."""

    name: str = ""
    kind: ClassVar[str] = "relu"


@dataclass(frozen=True)
class GELU(_SameShape):
    """x Phi(x), with the normal distribution function itself, as in BERT (Hendrycks and Gimpel, arXiv 1606.08415)."""

    name: str = ""
    kind: ClassVar[str] = "gelu"


@dataclass(frozen=True)
class KWinners(_SameShape):
    """Keep the k = round(size * density) largest values of each input, at least one, and set the others to zero.

    Exactly k win: of equal values the one of the lowest flat index (c, h, w) first. Winners may be negative. From
    Ahmad and Scheinkman, "How Can We Be So Dense?" (arXiv 1903.11257), as at inference: without boosting.
    """

    density: float
    name: str = ""
    kind: ClassVar[str] = "kwinners"

    def __post_init__(self) -> None:
        _check_share(self, self.density)

    def winners(self, shape: Shape) -> int:
        """Return k for an input of `shape`."""
        return share_of(self.density, math.prod(shape))


@dataclass(frozen=True)
class KWinners2d(Layer):
    """`KWinners` of a map: among the channels of each pixel, k = round(C * density), or over the whole map.

    Among equal channels the lowest wins first.
    """

    density: float
    local: bool = True
    name: str = ""
    kind: ClassVar[str] = "kwinners2d"

    def __post_init__(self) -> None:
        _check_share(self, self.density)

    def output_shape(self, shape: Shape) -> Shape:
        """Take (channels, height, width), give the same."""
        return _map(shape)

    def winners(self, shape: Shape) -> int:
        """Return k for an input of `shape`: of each pixel where winners are local, else of the map."""
        return share_of(self.density, shape[0] if self.local else math.prod(shape))


@dataclass(frozen=True)
class Flatten(Layer):
    """A map as features, in the order (c, h, w)."""

    name: str = ""
    kind: ClassVar[str] = "flatten"

    def output_shape(self, shape: Shape) -> Shape:
        """Take any shape, give (its product,)."""
        return (math.prod(shape),)


@dataclass(frozen=True)
class BatchNorm(Layer):
    """y = (x - running_mean) / sqrt(running_var + eps) * weight + bias, a channel or feature each.

    It follows a Linear or Conv2d, into which `Sequential.fold` folds it: at inference it is a scale and a shift.
    """

    features: int
    eps: float = 1e-5
    name: str = ""
    kind: ClassVar[str] = "batchnorm"

    def __post_init__(self) -> None:
        require_counts(self, features=self.features)
        if not 0 < self.eps < math.inf:
            raise InputError(f"{self}: eps is {self.eps}; it must be positive")

    def output_shape(self, shape: Shape) -> Shape:
        """Take `features` channels or features, give the same shape."""
        if shape[0] != self.features:
            kind = "features" if len(shape) == 1 else "channels"
            raise InputError(f"input has {shape[0]} {kind}, it takes {self.features}")
        return shape

    @property
    def parameters(self) -> dict[str, Shape]:
        """Four arrays [features]."""
        return dict.fromkeys(("weight", "bias", "running_mean", "running_var"), (self.features,))


def _map(shape: Shape) -> tuple[int, int, int]:
    if len(shape) != 3:
        raise InputError(f"input is {shown(shape)}, it takes channels x height x width")
    channels, height, width = shape
    return channels, height, width


def _settle_window(layer: Conv2d | MaxPool2d, *sizes: str) -> None:
    try:
        _ = layer.window
    except InputError as error:
        raise InputError(f"{layer}: {error}") from None
    for name in sizes:
        object.__setattr__(layer, name, shortest(getattr(layer, name)))


def _check_share(layer: Layer, density: float) -> None:
    if not 0 < density <= 1:
        raise InputError(f"{layer}: density is {density:g}; it must lie in (0, 1]")


LAYERS: dict[str, type[Layer]] = {
    layer.kind: layer for layer in (Linear, Conv2d, MaxPool2d, ReLU, GELU, KWinners, KWinners2d, Flatten, BatchNorm)
}
