"""Small .tflite files, written by hand: any tensor, any sparse levels, sound or not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import tflite
from tflite.utils import BUILTIN_OPCODE2NAME

_CODES = {name: code for code, name in BUILTIN_OPCODE2NAME.items()}
_KINDS = {"float32": 0, "float16": 1, "int32": 2, "int8": 9}
_VECTORS = {"int32": ("Int32Vector", 1), "uint16": ("Uint16Vector", 2), "uint8": ("Uint8Vector", 3)}


@dataclass
class Level:
    """Dense of `size`, or compressed where there are segments."""

    size: int = 0
    segments: Sequence[int] | None = None
    indices: Sequence[int] = ()
    dtype: str = "uint8"


@dataclass
class T:
    """A tensor; `data` an array (of a sparse one its values) or None where it is computed."""

    name: str
    shape: Sequence[int]
    data: np.ndarray | None = None
    kind: str = "float32"
    order: Sequence[int] = ()
    blocks: Sequence[int] = ()
    levels: Sequence[Level] = ()
    signature: Sequence[int] = ()

    def __post_init__(self) -> None:
        if self.data is not None:
            self.kind = self.data.dtype.name


@dataclass
class Op:
    """An operator; `options` are the fields of its options in the schema's order of names."""

    name: str
    inputs: Sequence[int]
    outputs: Sequence[int]
    options: dict[str, int] = field(default_factory=dict)


_OPTIONS = {"CONV_2D": ("Conv2DOptions", 1), "DEPTHWISE_CONV_2D": ("DepthwiseConv2DOptions", 2),
            "FULLY_CONNECTED": ("FullyConnectedOptions", 8)}  # fmt: skip


def save(path: Path, tensors: Sequence[T], ops: Sequence[Op], inputs: Sequence[int] = (0,)) -> str:
    b = flatbuffers.Builder(1024)

    def call(name: str, *arguments: Any) -> Any:
        return getattr(tflite, name)(b, *arguments)

    def offsets(start: str, items: Sequence[int]) -> int:
        call(start, len(items))
        for item in reversed(items):
            b.PrependUOffsetTRelative(item)
        return b.EndVector()

    def ints(values: Sequence[int]) -> int:
        return b.CreateNumpyVector(np.asarray(values, np.int32))

    def vector(values: Sequence[int], dtype: str) -> int:
        name, _ = _VECTORS[dtype]
        held = b.CreateNumpyVector(np.asarray(values, dtype))
        call(f"{name}Start")
        call(f"{name}AddValues", held)
        return call(f"{name}End")

    def level(given: Level) -> int:
        if given.segments is None:
            call("DimensionMetadataStart")
            call("DimensionMetadataAddFormat", 0)
            call("DimensionMetadataAddDenseSize", given.size)
            return call("DimensionMetadataEnd")
        segments, indices = vector(given.segments, given.dtype), vector(given.indices, given.dtype)
        kind = _VECTORS[given.dtype][1]
        call("DimensionMetadataStart")
        call("DimensionMetadataAddFormat", 1)
        call("DimensionMetadataAddArraySegmentsType", kind)
        call("DimensionMetadataAddArraySegments", segments)
        call("DimensionMetadataAddArrayIndicesType", kind)
        call("DimensionMetadataAddArrayIndices", indices)
        return call("DimensionMetadataEnd")

    def sparsity(tensor: T) -> int | None:
        if not tensor.levels:
            return None
        levels = offsets("SparsityParametersStartDimMetadataVector", [level(given) for given in tensor.levels])
        order, blocks = ints(tensor.order), ints(tensor.blocks)
        call("SparsityParametersStart")
        call("SparsityParametersAddTraversalOrder", order)
        call("SparsityParametersAddBlockMap", blocks)
        call("SparsityParametersAddDimMetadata", levels)
        return call("SparsityParametersEnd")

    buffers = [np.empty(0, np.uint8)]

    def tensor(given: T) -> int:
        stored, name, shape = sparsity(given), b.CreateString(given.name), ints(given.shape)
        signature = ints(given.signature) if given.signature else None
        number = 0
        if given.data is not None:
            number = len(buffers)
            buffers.append(np.frombuffer(given.data.tobytes(), np.uint8))
        call("TensorStart")
        call("TensorAddShape", shape)
        call("TensorAddType", _KINDS[given.kind])
        call("TensorAddBuffer", number)
        call("TensorAddName", name)
        if stored is not None:
            call("TensorAddSparsity", stored)
        if signature is not None:
            call("TensorAddShapeSignature", signature)
        return call("TensorEnd")

    names = list(dict.fromkeys(op.name for op in ops))

    def operator(given: Op) -> int:
        table = None
        if given.name in _OPTIONS:
            kind, number = _OPTIONS[given.name]
            call(f"{kind}Start")
            for key, value in given.options.items():
                call(f"{kind}Add{key}", value)
            table = call(f"{kind}End")
        into, out = ints(given.inputs), ints(given.outputs)
        call("OperatorStart")
        call("OperatorAddOpcodeIndex", names.index(given.name))
        call("OperatorAddInputs", into)
        call("OperatorAddOutputs", out)
        if table is not None:
            call("OperatorAddBuiltinOptionsType", number)
            call("OperatorAddBuiltinOptions", table)
        return call("OperatorEnd")

    def code(name: str) -> int:
        custom = b.CreateString(name.removeprefix("CUSTOM ")) if name.startswith("CUSTOM ") else None
        number = _CODES[name.split(" ")[0]]
        call("OperatorCodeStart")
        call("OperatorCodeAddDeprecatedBuiltinCode", min(number, 127))
        call("OperatorCodeAddBuiltinCode", number)
        if custom is not None:
            call("OperatorCodeAddCustomCode", custom)
        return call("OperatorCodeEnd")

    held = offsets("SubGraphStartTensorsVector", [tensor(given) for given in tensors])
    nodes = offsets("SubGraphStartOperatorsVector", [operator(given) for given in ops])
    fed = ints(inputs)
    call("SubGraphStart")
    call("SubGraphAddTensors", held)
    call("SubGraphAddInputs", fed)
    call("SubGraphAddOperators", nodes)
    graphs = offsets("ModelStartSubgraphsVector", [call("SubGraphEnd")])
    codes = offsets("ModelStartOperatorCodesVector", [code(name) for name in names])

    def buffer(data: np.ndarray) -> int:
        content = b.CreateNumpyVector(data) if len(data) else None
        call("BufferStart")
        if content is not None:
            call("BufferAddData", content)
        return call("BufferEnd")

    stored = offsets("ModelStartBuffersVector", [buffer(data) for data in buffers])
    call("ModelStart")
    call("ModelAddVersion", 3)
    call("ModelAddOperatorCodes", codes)
    call("ModelAddSubgraphs", graphs)
    call("ModelAddBuffers", stored)
    b.Finish(call("ModelEnd"), b"TFL3")
    path.write_bytes(bytes(b.Output()))
    return str(path)


def compressed_rows(dense: np.ndarray, dtype: str = "uint8") -> tuple[np.ndarray, list[Level]]:
    """Return the values and levels of a tensor, dense in all axes but its last, which is compressed."""
    flat = dense.reshape(-1, dense.shape[-1])
    counts = np.count_nonzero(flat, axis=1)
    segments = [0, *np.cumsum(counts).tolist()]
    indices = np.nonzero(flat)[1].tolist()
    levels = [*(Level(size) for size in dense.shape[:-1]), Level(0, segments, indices, dtype)]
    return flat[flat != 0], levels
