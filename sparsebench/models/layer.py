"""What is known of a model file: the layers that multiply by weights, and the rest by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sparsebench import weights as sources
from sparsebench.errors import InputError
from sparsebench.models.geometry import ConvGeometry
from sparsebench.window import Pair


@dataclass(frozen=True, slots=True)
class Layer:
    """One use of one weight tensor.

    Attributes
    ----------
    name
        Readable, and of this layer alone in its model.
    operator
        As the file calls it: Conv, Gemm, MatMul, CONV_2D, FULLY_CONNECTED; of a file without a graph "".
    op
        What it is to sparsebench.
    address
        From which `sparsebench.weights.read` reads the same tensor as W [M, K]; it can stand in suites and problems.
    shape
        (M, K), or (out, in / groups, kh, kw).
    conv
        The geometry of op "conv2d", else None.
    columns
        Of one inference: N of a product, images of a convolution; None where the file leaves it open.
    dtype
        Type of the values as they are stored, in NumPy's words or, where it has none, in the file's.
    nbytes
        Bytes of the weights as they are stored, of sparse ones with their indices.
    sparse
        Whether the file stores them in a sparse format.
    data
        The folder of a ``data:`` address.
    """

    name: str
    operator: str
    op: Literal["matmul", "conv2d"]
    address: str
    shape: tuple[int, ...]
    conv: ConvGeometry | None = None
    columns: int | None = None
    dtype: str = "float32"
    nbytes: int = 0
    sparse: bool = False
    data: Path | None = field(default=None, repr=False)

    @property
    def rows(self) -> int:
        """M, rows of W: outputs, or filters of all groups."""
        return self.shape[0]

    @property
    def cols(self) -> int:
        """K, columns of W: inputs, or taps of one filter."""
        return prod(self.shape[1:])

    @property
    def size(self) -> int:
        """Number of weights, zeros among them."""
        return prod(self.shape)

    @property
    def output(self) -> Pair | None:
        """Height and width of a convolution's output map; None of products, and where they are not known."""
        return None if self.conv is None else self.conv.output((self.shape[2], self.shape[3]))

    @property
    def uses(self) -> int | None:
        """How often one inference uses each weight: N, or images times pixels of the output; None where not known."""
        if self.columns is None or self.op == "matmul":
            return self.columns
        return None if self.output is None else self.columns * prod(self.output)

    @property
    def macs(self) -> int | None:
        """Multiply-adds of one inference, those with zeros counted; None where not known."""
        return None if self.uses is None else self.size * self.uses

    def weights(self) -> NDArray[np.float32]:
        """Read W, float32 [M, K], read-only; a convolution's taps in the order (in, kh, kw).

        Raises
        ------
        InputError
            If the file has changed, is damaged, or holds NaN or infinity.
        """
        return sources.read(self.address, data=self.data).values


@dataclass(frozen=True, slots=True)
class ModelInput:
    """An input of a model: a size is a number, or a name or "?" where the file leaves it open."""

    name: str
    shape: tuple[int | str, ...] | None

    @property
    def is_open(self) -> bool:
        """Whether a size is not known."""
        return self.shape is None or not all(isinstance(size, int) for size in self.shape)

    @property
    def example(self) -> str:
        """Sizes as ``--input-shape`` takes them, those that are not known as a number that may be right."""
        if self.shape is None:
            return "1x128"
        # Of a batch first, then of a picture or a sentence.
        guesses = [1 if axis == 0 else 224 if len(self.shape) > 2 else 128 for axis in range(len(self.shape))]
        return "x".join(str(s if isinstance(s, int) else g) for s, g in zip(self.shape, guesses, strict=True))

    def __str__(self) -> str:
        sizes = "any shape" if self.shape is None else ", ".join(map(str, self.shape))
        return f"{self.name} [{sizes}]"


def _names(shape: tuple[int | str, ...]) -> set[str]:
    return {size for size in shape if isinstance(size, str)}


@dataclass(frozen=True, slots=True)
class Model:
    """A model file.

    Attributes
    ----------
    address
        As it was given.
    path
        The file on this machine.
    format
        "onnx", "tflite" or "safetensors".
    layers
        In the order in which the model uses them.
    operators
        How many there are of each operator; empty for files without a graph.
    skipped
        How many operators multiply by something and are not among the layers, by name and reason; their multiply-adds
        are in no total.
    inputs
        With the sizes that were asked for.
    parameters
        Numbers in all floating tensors that the file holds, biases and tables among them.
    notes
        What a reader of the listing must know, one sentence each.
    times
        How many times as large as the batch that the file fixes the one is that was asked for: N of the layers is.
    """

    address: str
    path: Path
    format: Literal["onnx", "tflite", "safetensors"]
    layers: tuple[Layer, ...]
    operators: Mapping[str, int]
    skipped: Mapping[str, int]
    inputs: tuple[ModelInput, ...]
    parameters: int
    notes: tuple[str, ...] = ()
    times: int = 1

    @property
    def open_layers(self) -> tuple[Layer, ...]:
        """Layers of which it is not known how often an inference uses each weight."""
        return tuple(layer for layer in self.layers if layer.uses is None)

    @property
    def open_sizes(self) -> str | None:
        """What keeps N of some layers from being known and what would tell it, as a sentence; None where all are."""
        if not self.open_layers:
            return None
        what = f"N and multiply-adds of {len(self.open_layers)} of {len(self.layers)} layers are not known"
        if self.format == "safetensors":
            return f"{what}: a .safetensors file holds no graph"
        left = [given for given in self.inputs if given.is_open]
        if not left:
            return (
                f"{what}: the graph computes sizes that cannot be followed, first that of '{self.open_layers[0].name}'"
            )
        seen: set[int | str] = {"?"}
        asked = ""
        for given in left:
            # A size that has a name is asked for once.
            if given.shape is None or "?" in given.shape or not seen.issuperset(_names(given.shape)):
                asked += f" --input-shape {given.name}={given.example}"
            seen.update(_names(given.shape or ()))
        return f"{what}: the file leaves sizes of {', '.join(map(str, left))} open; give them, for example{asked}"

    def require_sizes(self) -> None:
        """Raise InputError if N of a layer is not known; it says which inputs need a size."""
        if self.open_sizes is not None:
            raise InputError(f"model '{self.address}': {self.open_sizes}")
