"""A network as a sequence of layers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from sparsebench.errors import InputError
from sparsebench.nets import state as states
from sparsebench.nets import store
from sparsebench.nets.base import Layer, Shape, Weighted, shown
from sparsebench.nets.describe import LayerRow, layer_row
from sparsebench.nets.layers import BatchNorm
from sparsebench.nets.state import State
from sparsebench.operands import Weights
from sparsebench.patterns import Kept
from sparsebench.weights.names import nearest

if TYPE_CHECKING:
    from sparsebench.nets.compile import CompiledNetwork, Mode

# A dot ends a layer's name in that of an array.
_NAME = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True)
class Sequential:
    """Layers, each fed with the output of the one before; frozen: what changes a network returns another.

    Of two networks with equal layers, input and name, weights or not, each equals the other.

    Parameters
    ----------
    layers
        At least one.
    input_shape
        Without the batch: (channels, height, width) or (features,).
    name
        For tables and messages.

    Attributes
    ----------
    names
        Of each layer: its own, or its kind and a number: ``conv1``, ``kwinners1``, ``conv2``.
    shapes
        Of each layer's output.

    Raises
    ------
    InputError
        If a layer does not take what the one before gives, a name comes twice, or a BatchNorm has nothing to fold into.
    """

    layers: Sequence[Layer]
    input_shape: Shape
    name: str = "net"
    names: tuple[str, ...] = field(init=False, repr=False, compare=False)
    shapes: tuple[Shape, ...] = field(init=False, repr=False, compare=False)
    _state: State | None = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        settle = object.__setattr__
        settle(self, "layers", tuple(self.layers))
        settle(self, "input_shape", tuple(self.input_shape))
        if not self.layers:
            raise InputError(f"network '{self.name}' has no layers")
        if not self.input_shape or min(self.input_shape) < 1:
            raise InputError(
                f"network '{self.name}': input is {shown(self.input_shape)}; every side must be at least 1"
            )
        settle(self, "names", self._named())
        settle(self, "shapes", self._flow())

    def _named(self) -> tuple[str, ...]:
        names: list[str] = []
        counts: dict[str, int] = {}
        for place, layer in enumerate(self.layers):
            name = layer.name
            if not name:
                counts[layer.stem] = counts.get(layer.stem, 0) + 1
                name = f"{layer.stem}{counts[layer.stem]}"
            elif not _NAME.fullmatch(name):
                raise self._error(place, f"name '{name}' must consist of letters, digits, - and _")
            if name in names:
                raise self._error(place, f"name '{name}' is that of layers[{names.index(name)}] already")
            names.append(name)
        return tuple(names)

    def _flow(self) -> tuple[Shape, ...]:
        shapes = [self.input_shape]
        for place, layer in enumerate(self.layers):
            if isinstance(layer, BatchNorm) and not (place and isinstance(self.layers[place - 1], Weighted)):
                raise self._error(place, "must follow a Linear or Conv2d, into which it is folded")
            try:
                shapes.append(layer.output_shape(shapes[-1]))
            except InputError as error:
                raise self._error(place, str(error)) from None
        return tuple(shapes[1:])

    def _error(self, place: int, text: str) -> InputError:
        return InputError(f"network '{self.name}', layers[{place}] {self.layers[place]}: {text}")

    @property
    def named_layers(self) -> dict[str, Layer]:
        """The layers by name, in order."""
        return dict(zip(self.names, self.layers, strict=True))

    @property
    def input_shapes(self) -> dict[str, Shape]:
        """Shape of the input of each layer, by name."""
        return dict(zip(self.names, (self.input_shape, *self.shapes), strict=False))

    @property
    def output_shape(self) -> Shape:
        """Shape of the last layer's output."""
        return self.shapes[-1]

    @property
    def density(self) -> float:
        """Fraction of all weights that the layers' patterns keep; 1 where there are no weights."""
        layers = [layer for layer in self.layers if isinstance(layer, Weighted)]
        weights = sum(layer.size for layer in layers)
        return sum(layer.size * layer.density for layer in layers) / weights if weights else 1.0

    def layer(self, name: str) -> Layer:
        """Return the layer of a name; raises InputError if there is none."""
        if name not in self.names:
            raise InputError(f"network '{self.name}' has no layer '{name}'; {nearest(name, self.names)}")
        return self.named_layers[name]

    def initialize(self, seed: int = 0) -> Self:
        """Return the network with masks and weights drawn from `seed`.

        Raises
        ------
        InputError
            If a pattern cannot be drawn, or the weights would not fit in memory.
        """
        return self._with(states.draw(self.named_layers, seed))

    def prune(self, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Return the network with trained weights, those of each layer brought to its pattern.

        Parameters
        ----------
        arrays
            Real numbers, by the names and of the shapes of `parameters`, and no others.

        Raises
        ------
        InputError
            If an array is missing, unknown, of another shape or not finite.
        """
        return self._with(states.prune(self.named_layers, arrays))

    def with_values(self, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Return the network with other values of all its arrays, in the masks that it has: what training made of it.

        Parameters
        ----------
        arrays
            As `prune` takes them.

        Raises
        ------
        InputError
            As `prune`; if a weight is not zero outside its mask, or the network has no weights yet.
        """
        return self._with(states.revalued(self.named_layers, self.state, arrays))

    def save(self, path: str | Path) -> None:
        """Write weights and masks to `path` as .npz; raises InputError if that fails or there are none."""
        store.save(self.named_layers, self.state, Path(path))

    def to_onnx(self, path: str | Path, batch: int | None = None) -> None:
        """Write the network, folded, as an ONNX model that computes the same: see `sparsebench.nets.onnx`.

        Without `batch` the model takes any. For an engine that shall not compute k-winners, write what
        `sparsebench.nets.engines.for_engine` returns.

        Raises
        ------
        InputError
            If the network has no weights yet or too many for one file, or the file cannot be written.
        """
        from sparsebench.nets.onnx import network_model
        from sparsebench.onnx_export import save

        save(network_model(self, batch), path)

    def load(self, path: str | Path) -> Self:
        """Return the network with what `save` wrote.

        Raises
        ------
        InputError
            If the file cannot be read, is torn, holds another network's weights, or corrupted ones.
        """
        return self._with(store.load(self.named_layers, Path(path)))

    def fold(self) -> Self:
        """Return the network without BatchNorm: each is folded into weights and bias of the layer before it."""
        layers: list[Layer] = []
        for layer in self.layers:
            if isinstance(layer, BatchNorm):
                before = layers[-1]
                assert isinstance(before, Weighted)
                layers[-1] = replace(before, bias=True)
            else:
                layers.append(layer)
        folded = replace(self, layers=layers)
        return folded if self._state is None else folded._with(states.fold(self.named_layers, self._state))

    def compile(
        self, batch: int, mode: Mode = "sparse-sparse", threads: int = 1, level: str | None = None
    ) -> CompiledNetwork:
        """Return the network, folded, as native code for a fixed batch.

        Parameters
        ----------
        batch
            Inputs of one call, at least 1.
        mode
            "dense": every weight is multiplied by, zeros included. "sparse-dense": each layer by the kernel of its
            pattern. "sparse-sparse": the same, and linear layers by their non-zero inputs alone where that is faster
            on what reaches them; which it is, is measured while compiling.
        threads
            A batch of at least as many inputs is shared among them; a smaller one they compute together.
        level
            Instruction set, see `sparsebench.isa`; without it the one in use.

        Raises
        ------
        InputError
            If the network has no weights yet, or an argument is out of range.
        UnavailableError
            If the level cannot run here.
        """
        from sparsebench.nets.compile import compile_network

        return compile_network(self.fold(), batch, mode, threads, level)

    @property
    def state(self) -> State:
        """Weights and masks; raises InputError if the network has none yet."""
        if self._state is None:
            raise InputError(
                f"network '{self.name}' has no weights yet; initialize(seed), prune(arrays) and load(path) each"
                " return it with weights"
            )
        return self._state

    @property
    def parameters(self) -> dict[str, NDArray[np.float32]]:
        """All arrays by name, float32 and read-only: ``conv1.weight`` [out, in / groups, kh, kw], ``conv1.bias``."""
        return dict(self.state.arrays)

    @property
    def kept(self) -> dict[str, Kept]:
        """By layer, what pruning kept of the magnitude of its weights; empty where they were drawn or loaded."""
        return dict(self.state.kept)

    def weights(self, name: str) -> tuple[Weights, ...]:
        """Return the matrices [out, in] of a layer as `Kernel.prepare` takes them: one for each group of channels.

        Raises
        ------
        InputError
            If there is no such layer, or it has no weights.
        """
        layer = self.layer(name)
        if not isinstance(layer, Weighted):
            raise InputError(f"network '{self.name}': layer '{name}' is {layer}, which has no weights")
        return self.state.weights(name, layer)

    def magnitudes(self) -> Self:
        """Return the network with the magnitudes of its weights and biases: on |x| it gives the sums of |w||x|."""
        arrays = {name: np.abs(array) for name, array in self.state.arrays.items()}
        return self._with(replace(self.state, arrays=arrays))

    def nonzeros(self) -> dict[str, int]:
        """By layer with weights, how many may be non-zero; biases do not count."""
        masks = self.state.masks
        return {
            name: sum(mask.nnz for mask in masks[name]) if name in masks else layer.size
            for name, layer in self.named_layers.items()
            if isinstance(layer, Weighted)
        }

    def describe(self) -> list[LayerRow]:
        """Return a row for each layer; raises InputError if the network has no weights yet."""
        state, nonzeros = self.state, self.nonzeros()
        return [
            layer_row(name, layer, self.input_shapes[name], nonzeros.get(name, 0), state)
            for name, layer in self.named_layers.items()
        ]

    def _with(self, state: State) -> Self:
        other = replace(self)
        object.__setattr__(other, "_state", state)
        return other
