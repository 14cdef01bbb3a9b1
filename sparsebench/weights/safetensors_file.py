"""Weights of a .safetensors file: its floating tensors, 2-D ones taken as [out, in], 4-D ones as [out, in, kh, kw].

The library checks the file; values are read here, since with NumPy alone it does not know bfloat16. The format, as the
project publishes it: eight bytes with the length of the header, the header in JSON, the tensors' bytes.
"""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from functools import lru_cache
from math import prod
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sparsebench.errors import InputError
from sparsebench.memory import require_memory
from sparsebench.weights import signature
from sparsebench.weights.address import Source
from sparsebench.weights.matrix import Matrix, MatrixRef, is_layer, layer_shape, layer_values
from sparsebench.weights.names import listed, nearest

# As the format calls its floating types, how NumPy reads them; bfloat16 is the upper half of a float32.
FLOATS = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}


class Tensor(NamedTuple):
    """One entry of the header."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    nbytes: int

    @property
    def size(self) -> int:
        """Numbers that it holds."""
        return prod(self.shape)

    @property
    def is_layer(self) -> bool:
        """Whether it could be the weights of a layer."""
        return self.dtype in FLOATS and is_layer(self.shape)


def tensors(source: Source) -> dict[str, Tensor]:
    """Read the header of a file, tensors in the order of their names.

    Raises
    ------
    InputError
        If the file is no .safetensors file, or cut short.
    """
    return _tensors(source.select(""))


def expand(source: Source) -> list[MatrixRef]:
    """List the selected tensors (an exact name, or a glob), or all that could be a layer.

    Raises
    ------
    InputError
        If the file is damaged, or has no such tensor.
    """
    refs = []
    for name, tensor in _select(source).items():
        rows, cols = layer_shape(tensor.shape, f"weights '{source.address}'")
        refs.append(MatrixRef(source.select(name).address, name, rows, cols))
    return refs


def read(source: Source, seed: int) -> Matrix:
    """Read one tensor as float32; the seed plays no part.

    Raises
    ------
    InputError
        As `expand`, and if several are selected, or it is no layer's or of no floating type.
    """
    where = f"weights '{source.address}'"
    selected = _select(source)
    if len(selected) > 1:
        raise InputError(f"{where} are several: name one after '!': {listed(list(selected))}")
    (tensor,) = selected.values()
    layer_shape(tensor.shape, where)
    if tensor.dtype not in FLOATS:
        raise InputError(f"{where} are of type {tensor.dtype}; readable: {', '.join(FLOATS)}")
    require_memory(tensor.size * (8 + 4 + 1), where)
    stored = np.fromfile(source.path, FLOATS[tensor.dtype], tensor.size, offset=tensor.start)
    return Matrix(layer_values(_floats(stored, tensor).reshape(tensor.shape), where))


def _floats(stored: NDArray[np.generic], tensor: Tensor) -> NDArray[np.generic]:
    if tensor.dtype != "BF16":
        return stored
    return (stored.astype(np.uint32) << np.uint32(16)).view(np.float32)


def _select(source: Source) -> dict[str, Tensor]:
    held = tensors(source)
    if source.selector is None:
        layers = {name: tensor for name, tensor in held.items() if tensor.is_layer}
        if not layers:
            what = listed([f"{name} ({tensor.dtype} {list(tensor.shape)})" for name, tensor in held.items()])
            raise InputError(
                f"weights '{source.address}': no 2-D or 4-D floating tensor; the file holds {what or 'nothing'}"
            )
        return layers
    if source.selector in held:
        return {source.selector: held[source.selector]}
    matching = {n: tensor for n, tensor in held.items() if tensor.is_layer and fnmatchcase(n, source.selector)}
    if not matching:
        raise InputError(
            f"weights '{source.address}': no tensor '{source.selector}'; {nearest(source.selector, list(held))}"
        )
    return matching


@lru_cache(maxsize=4)
def _tensors(source: Source) -> dict[str, Tensor]:
    from safetensors import SafetensorError, safe_open

    try:
        # Opened for its checks alone: lengths, offsets, no gap and no overlap.
        with safe_open(str(source.path), framework="numpy"):
            pass
        with source.path.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            header = json.loads(stream.read(length))
    except (SafetensorError, ValueError) as error:
        raise InputError(
            f"'{source.path}' is not a sound .safetensors file: {error}{signature.really(source.path)}"
        ) from None
    held = {}
    for name, entry in sorted(header.items()):
        if name != "__metadata__":
            start, stop = entry["data_offsets"]
            held[name] = Tensor(entry["dtype"], tuple(entry["shape"]), 8 + length + start, stop - start)
    return held
