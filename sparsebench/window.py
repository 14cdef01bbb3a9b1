"""The window that slides over a map, of a convolution and of pooling alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sparsebench.errors import InputError

Pair = tuple[int, int]
Size = int | Pair


def pair(size: Size | Sequence[int]) -> Pair:
    """Return (vertical, horizontal) of a size; one number is both."""
    if isinstance(size, int):
        return size, size
    vertical, horizontal = size
    return vertical, horizontal


def shortest(size: Size) -> Size:
    """Return a size with equal sides as one number: layers that mean the same are then equal."""
    return size[0] if not isinstance(size, int) and size[:1] * 2 == size else size


@dataclass(frozen=True, slots=True)
class Window:
    """Where the taps of a window lie; every attribute is (vertical, horizontal), `padding` is on both sides."""

    kernel: Pair
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)

    def __post_init__(self) -> None:
        for name, least in (("kernel", 1), ("stride", 1), ("padding", 0), ("dilation", 1)):
            value = getattr(self, name)
            if len(value) != 2 or min(value) < least:
                raise InputError(f"{name} is {value}; it must be one or two numbers, each at least {least}")

    @property
    def span(self) -> Pair:
        """Height and width from the first tap to the last."""
        return self.dilation[0] * (self.kernel[0] - 1) + 1, self.dilation[1] * (self.kernel[1] - 1) + 1

    def output(self, height: int, width: int) -> Pair:
        """Return the height and width of the output: places where the whole window lies on the padded map.

        Raises
        ------
        InputError
            If there is none.
        """
        padded = height + 2 * self.padding[0], width + 2 * self.padding[1]
        room = padded[0] - self.span[0], padded[1] - self.span[1]
        if min(room) < 0:
            raise InputError(
                f"input has {padded[0]} x {padded[1]} pixels with its padding,"
                f" the window needs {self.span[0]} x {self.span[1]}"
            )
        return room[0] // self.stride[0] + 1, room[1] // self.stride[1] + 1
