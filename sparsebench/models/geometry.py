"""The geometry of a convolution as model files have it: sizes may be open, pads differ from side to side."""

from __future__ import annotations

from dataclasses import dataclass

from sparsebench.window import Pair


@dataclass(frozen=True, slots=True)
class ConvGeometry:
    """Where the filters of a convolution lie on their input; a 1-D convolution has one row.

    Attributes
    ----------
    height, width
        Of the input map; None where the file leaves it open.
    stride, dilation
        (vertical, horizontal).
    pads
        (top, left, bottom, right), which may all differ; None where they follow from a size that is not known.
    groups
        Parts of the channels that are apart; of a depthwise convolution as many as channels.
    """

    height: int | None
    width: int | None
    stride: Pair = (1, 1)
    dilation: Pair = (1, 1)
    pads: tuple[int, int, int, int] | None = (0, 0, 0, 0)
    groups: int = 1

    def output(self, kernel: Pair) -> Pair | None:
        """Return height and width of the output map; None where they are not known."""
        if self.height is None or self.width is None or self.pads is None:
            return None
        top, left, bottom, right = self.pads
        room = (
            self.height + top + bottom - self.dilation[0] * (kernel[0] - 1) - 1,
            self.width + left + right - self.dilation[1] * (kernel[1] - 1) - 1,
        )
        return (room[0] // self.stride[0] + 1, room[1] // self.stride[1] + 1) if min(room) >= 0 else None


def same_pads(
    size: Pair, kernel: Pair, stride: Pair, dilation: Pair, *, extra_first: bool = False
) -> tuple[int, int, int, int]:
    """Return the pads that TensorFlow and ONNX call SAME: ceil(size / stride) outputs.

    An odd pixel of padding goes to the end, or with `extra_first` to the beginning (ONNX' SAME_LOWER).
    """
    total = [
        max(
            (-(-size[side] // stride[side]) - 1) * stride[side] + dilation[side] * (kernel[side] - 1) + 1 - size[side],
            0,
        )
        for side in (0, 1)
    ]
    top, left = ((pixels + extra_first) // 2 for pixels in total)
    return top, left, total[0] - top, total[1] - left
