"""What every layer of a network can say about itself, and what layers with weights have in common."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import MISSING, Field, fields
from typing import Any, ClassVar, NamedTuple

from sparsebench.errors import InputError
from sparsebench.patterns import Pattern

# Without the batch: (features,) or (channels, height, width).
Shape = tuple[int, ...]


class MatrixShape(NamedTuple):
    """`groups` matrices of rows x cols: one for each group of a convolution's channels."""

    groups: int
    rows: int
    cols: int


class Layer(ABC):
    """One step of a network: a frozen dataclass, without weights of its own.

    Attributes
    ----------
    kind
        What a TOML file calls it.
    name
        What the network calls it; where empty, its `stem` and a number, such as ``conv1``.
    """

    kind: ClassVar[str]
    name: str
    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @abstractmethod
    def output_shape(self, shape: Shape) -> Shape:
        """Return the shape of the output for an input of `shape`, both without the batch.

        Raises
        ------
        InputError
            If the layer does not take such an input.
        """

    @property
    def stem(self) -> str:
        """What layers of this kind are called, before their number."""
        return self.kind.removesuffix("2d")

    @property
    def parameters(self) -> dict[str, Shape]:
        """Shapes of the arrays that the layer needs, all float32, by the names that PyTorch gives them."""
        return {}

    def __str__(self) -> str:
        """Return the call that builds the layer, without what has its default."""
        parts = []
        for field in fields(self):
            value = getattr(self, field.name)
            if field.default is MISSING:
                parts.append(str(value))
            elif value != field.default:
                parts.append(f"{field.name}={value}")
        return f"{type(self).__name__}({', '.join(parts)})"


class Weighted(Layer):
    """A layer that multiplies by a weight matrix, dense or of a pattern.

    A row is an output feature or channel, a column an input feature or a tap (cin, kh, kw). Each group of a grouped
    convolution has a matrix of its own, and the pattern holds within each.
    """

    bias: bool
    pattern: Pattern | None
    density: float

    @property
    @abstractmethod
    def weight_shape(self) -> Shape:
        """Shape of the array ``weight``: [out, in] or [out, in / groups, kh, kw]."""

    @property
    @abstractmethod
    def matrix(self) -> MatrixShape:
        """The same weights as the matrices that kernels multiply by."""

    @abstractmethod
    def uses(self, shape: Shape) -> int:
        """How often each weight is multiplied for one input of `shape`: once, or once a pixel of the output."""

    @property
    def parameters(self) -> dict[str, Shape]:
        """``weight`` and, where there is one, ``bias``."""
        shapes = {"weight": self.weight_shape}
        return shapes | {"bias": self.weight_shape[:1]} if self.bias else shapes

    @property
    def size(self) -> int:
        """Number of weights, zeros among them."""
        return math.prod(self.weight_shape)

    def macs(self, shape: Shape, nnz: int | None = None) -> int:
        """Multiply-adds for one input of `shape` by `nnz` weights, without it by all; those with padding count."""
        return (self.size if nnz is None else nnz) * self.uses(shape)

    def _check_pattern(self) -> None:
        if self.pattern is None and self.density != 1:
            raise InputError(
                f"{self}: density is {self.density:g} but no pattern is given; dense weights have density 1"
            )
        if self.pattern is not None:
            try:
                self.pattern.check(self.density)
            except InputError as error:
                raise InputError(f"{self}: {error}") from None


def require_counts(layer: Layer, **counts: int) -> None:
    """Raise InputError unless every number is at least 1; the keywords are the names of the layer's fields."""
    for name, count in counts.items():
        if count < 1:
            raise InputError(f"{layer}: {name} is {count}; it must be at least 1")


def shown(shape: Shape) -> str:
    """Return a shape for a message: ``64 x 14 x 14``."""
    return " x ".join(map(str, shape))
