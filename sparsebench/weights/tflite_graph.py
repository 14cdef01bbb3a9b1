"""What a .tflite file holds, as plain data: the flatbuffer is walked once, with every length and index checked.

The schema is TensorFlow Lite's (tensorflow/compiler/mlir/lite/schema/schema.fbs), its accessors the package tflite's.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sparsebench.errors import InputError
from sparsebench.weights import signature
from sparsebench.weights.address import Source

# What the accessors raise where an offset or a length leads out of the file, or a type is not one of the schema's.
_DAMAGE = (struct.error, IndexError, KeyError, ValueError, TypeError, OverflowError, AttributeError)
_MARK = b"TFL3"
# More than any tensor has, blocked ones counted twice.
_AXES = 32
# Renamings of a weight: what they put out is the same matrix.
_UNPACKING = ("DENSIFY", "DEQUANTIZE")


class Axis(NamedTuple):
    """One level of a sparse tensor, outermost first: dense of a size, or compressed like the rows of CSR."""

    size: int
    segments: NDArray[np.integer] | None = None
    indices: NDArray[np.integer] | None = None


@dataclass(frozen=True, eq=False, slots=True)
class Sparsity:
    """How a sparse tensor is stored: the order of its axes, the axes that are cut into blocks, and the levels."""

    order: tuple[int, ...]
    block_axes: tuple[int, ...]
    levels: tuple[Axis, ...]

    @property
    def nbytes(self) -> int:
        """Bytes of segments and indices."""
        return sum(part.nbytes for level in self.levels for part in level[1:] if isinstance(part, np.ndarray))


@dataclass(frozen=True, eq=False, slots=True)
class Tensor:
    """One tensor; `data` is its buffer where it is a constant, else None.

    `shape` is the one that the file was converted with, in which sizes that may change are mostly 1; `open` says which.
    """

    index: int
    name: str
    shape: tuple[int, ...]
    open: tuple[bool, ...]
    kind: str
    data: NDArray[np.uint8] | None
    sparsity: Sparsity | None


class Slide(NamedTuple):
    """How a convolution's window moves, (vertical, horizontal), and whether its padding is TensorFlow's SAME."""

    stride: tuple[int, int]
    dilation: tuple[int, int]
    same: bool


class Node(NamedTuple):
    """One operator; `slide` is a convolution's, None of others and where the file has none."""

    operator: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    slide: Slide | None


@dataclass(frozen=True, eq=False)
class Graph:
    """A subgraph."""

    tensors: tuple[Tensor, ...]
    nodes: tuple[Node, ...]
    inputs: tuple[int, ...]

    @cached_property
    def _maker(self) -> dict[int, Node]:
        return {output: node for node in self.nodes for output in node.outputs}

    def constant(self, index: int) -> Tensor | None:
        """Return the constant that a tensor is, or is unpacked from; None where it is computed."""
        seen = set()
        while self.tensors[index].data is None:
            node = self._maker.get(index)
            if node is None or node.operator not in _UNPACKING or not node.inputs or index in seen:
                return None
            seen.add(index)
            index = node.inputs[0]
        return self.tensors[index]


def graphs(source: Source) -> tuple[Graph, ...]:
    """Read the graphs of a file, the main one first.

    Raises
    ------
    InputError
        If it is no .tflite file, or damaged.
    """
    return _graphs(source.select(""))


@lru_cache(maxsize=2)
def _graphs(source: Source) -> tuple[Graph, ...]:
    with source.path.open("rb") as stream:
        if stream.read(8)[4:] != _MARK:
            raise InputError(f"'{source.path}' is not a .tflite model{signature.really(source.path)}")
    # Mapped, not read: of a large model most weights are never looked at.
    buffer = np.memmap(source.path, mode="r").data
    try:
        return _Reader(buffer).graphs()
    except _DAMAGE as error:
        raise InputError(
            f"'{source.path}' is not a sound .tflite model: it is damaged or cut short ({error})"
        ) from None


class _Reader:
    """Walks one flatbuffer."""

    def __init__(self, buffer: memoryview) -> None:
        from tflite.Model import Model
        from tflite.TensorType import TensorType

        self._buffer = buffer
        self._model = Model.GetRootAs(buffer, 0)
        self._kinds = {value: name for name, value in vars(TensorType).items() if not name.startswith("_")}
        self._operators = [self._operator(self._model.OperatorCodes(i)) for i in self._range("OperatorCodes")]

    def graphs(self) -> tuple[Graph, ...]:
        subgraphs = [self._model.Subgraphs(i) for i in self._range("Subgraphs")]
        if not subgraphs:
            raise ValueError("it holds no graph")
        return tuple(self._graph(subgraph) for subgraph in subgraphs)

    def _range(self, what: str, holder: Any = None) -> range:
        """Return the indices of a vector, of which every entry takes at least four bytes."""
        length = getattr(self._model if holder is None else holder, f"{what}Length")()
        if 4 * length > len(self._buffer):
            raise ValueError(f"{length} {what} in a file of {len(self._buffer)} bytes")
        return range(length)

    def _ints(self, holder: Any, what: str, most: int = _AXES) -> tuple[int, ...]:
        length = getattr(holder, f"{what}Length")()
        if length > most:
            raise ValueError(f"{what} of {length} numbers")
        return tuple(getattr(holder, f"{what}AsNumpy")().tolist()) if length else ()

    def _operator(self, code: Any) -> str:
        from tflite.utils import BUILTIN_OPCODE2NAME

        # Older files have the code in a field of one byte, newer ones in both.
        number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        if code.CustomCode():
            return f"CUSTOM {code.CustomCode().decode(errors='replace')}"
        return str(BUILTIN_OPCODE2NAME.get(number, f"operator {number}"))

    def _graph(self, subgraph: Any) -> Graph:
        tensors = tuple(self._tensor(i, subgraph.Tensors(i)) for i in self._range("Tensors", subgraph))
        nodes = tuple(self._node(subgraph.Operators(i), len(tensors)) for i in self._range("Operators", subgraph))
        return Graph(tensors, nodes, self._indices(subgraph, "Inputs", len(tensors)))

    def _indices(self, holder: Any, what: str, tensors: int) -> tuple[int, ...]:
        # Some operators have an input twice, but none as often as this.
        found = self._ints(holder, what, 16 * tensors)
        # An input that is left out is -1.
        if found and (min(found) < -1 or max(found) >= tensors):
            raise ValueError(f"{what.lower()} {found} among {tensors} tensors")
        return found

    def _node(self, operator: Any, tensors: int) -> Node:
        code = operator.OpcodeIndex()
        if not 0 <= code < len(self._operators):
            raise ValueError(f"operator code {code} of {len(self._operators)}")
        name = self._operators[code]
        inputs, outputs = (self._indices(operator, what, tensors) for what in ("Inputs", "Outputs"))
        return Node(name, inputs, outputs, self._slide(name, operator))

    def _slide(self, name: str, operator: Any) -> Slide | None:
        from tflite.Conv2DOptions import Conv2DOptions
        from tflite.DepthwiseConv2DOptions import DepthwiseConv2DOptions
        from tflite.Padding import Padding

        kinds = {"CONV_2D": Conv2DOptions, "DEPTHWISE_CONV_2D": DepthwiseConv2DOptions}
        table = operator.BuiltinOptions() if name in kinds else None
        if table is None:
            return None
        options = kinds[name]()
        options.Init(table.Bytes, table.Pos)
        return Slide(
            (options.StrideH(), options.StrideW()),
            (options.DilationHFactor(), options.DilationWFactor()),
            options.Padding() == Padding.SAME,
        )

    def _tensor(self, index: int, tensor: Any) -> Tensor:
        shape = self._ints(tensor, "Shape")
        if shape and min(shape) < 0:
            raise ValueError(f"tensor {index} of shape {list(shape)}")
        given = self._ints(tensor, "ShapeSignature")
        kind = tensor.Type()
        return Tensor(
            index,
            (tensor.Name() or b"").decode(errors="replace"),
            shape,
            tuple(size < 0 for size in given) if len(given) == len(shape) else (False,) * len(shape),
            self._kinds.get(kind, f"type {kind}"),
            self._data(tensor.Buffer()),
            self._sparsity(tensor.Sparsity()),
        )

    def _data(self, number: int) -> NDArray[np.uint8] | None:
        if not 0 <= number < self._model.BuffersLength():
            raise ValueError(f"buffer {number} of {self._model.BuffersLength()}")
        holder = self._model.Buffers(number)
        # Files above 2 GB have their buffers behind the flatbuffer.
        if holder.Offset() > 1:
            start, stop = holder.Offset(), holder.Offset() + holder.Size()
            if stop > len(self._buffer):
                raise ValueError(f"buffer {number} would end at byte {stop} of {len(self._buffer)}")
            return np.frombuffer(self._buffer[start:stop], np.uint8)
        return holder.DataAsNumpy() if holder.DataLength() else None

    def _sparsity(self, stored: Any) -> Sparsity | None:
        if stored is None:
            return None
        order, block_axes = self._ints(stored, "TraversalOrder"), self._ints(stored, "BlockMap")
        levels = tuple(self._level(stored.DimMetadata(i)) for i in self._range("DimMetadata", stored))
        return Sparsity(order, block_axes, levels)

    def _level(self, level: Any) -> Axis:
        from tflite.DimensionType import DimensionType

        if level.Format() == DimensionType.DENSE:
            return Axis(level.DenseSize())
        if level.Format() != DimensionType.SPARSE_CSR:
            raise ValueError(f"a sparse tensor has a level of format {level.Format()}")
        return Axis(
            0,
            _vector(level.ArraySegmentsType(), level.ArraySegments()),
            _vector(level.ArrayIndicesType(), level.ArrayIndices()),
        )


def _vector(kind: int, table: Any) -> NDArray[np.integer]:
    """Return one of the three types of index vectors; one that is left out is empty."""
    from tflite.Int32Vector import Int32Vector
    from tflite.SparseIndexVector import SparseIndexVector
    from tflite.Uint8Vector import Uint8Vector
    from tflite.Uint16Vector import Uint16Vector

    kinds = {
        SparseIndexVector.Int32Vector: Int32Vector,
        SparseIndexVector.Uint16Vector: Uint16Vector,
        SparseIndexVector.Uint8Vector: Uint8Vector,
    }
    if table is None:
        return np.empty(0, np.int32)
    vector = kinds[kind]()
    vector.Init(table.Bytes, table.Pos)
    found: NDArray[np.integer] = vector.ValuesAsNumpy() if vector.ValuesLength() else np.empty(0, np.int32)
    return found
