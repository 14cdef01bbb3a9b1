"""Weights in NumPy's own files: one array in an .npy, named arrays in an .npz."""

from __future__ import annotations

import tokenize
import zipfile
import zlib
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from sparsebench.errors import InputError
from sparsebench.memory import require_memory
from sparsebench.weights.address import Source
from sparsebench.weights.matrix import Matrix, MatrixRef, is_layer, is_real, layer_shape, layer_values, require_real
from sparsebench.weights.names import listed, nearest

# What NumPy and zipfile raise on files that are cut short, overwritten, or not theirs at all.
_DAMAGE = (ValueError, EOFError, OSError, zipfile.BadZipFile, zlib.error, tokenize.TokenError, RuntimeError)


class _Header(NamedTuple):
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def __str__(self) -> str:
        return f"{' x '.join(map(str, self.shape))} {self.dtype}"


def expand(source: Source) -> list[MatrixRef]:
    """List the one array that is selected, or all that could be a layer: 2-D or 4-D, of real numbers, not empty.

    Raises
    ------
    InputError
        If the file is damaged, or has no such array.
    """
    headers = _headers(source)
    stem = source.path.stem
    if source.path.suffix == ".npy":
        return [_ref(source, stem, headers[""])]
    if source.selector is not None:
        return [_ref(source, f"{stem}/{source.selector}", _selected(source, headers))]
    return [_ref(source.select(name), f"{stem}/{name}", headers[name]) for name in _layers(source, headers)]


def read(source: Source, seed: int) -> Matrix:
    """Read one array; the seed plays no part.

    Raises
    ------
    InputError
        If the file is damaged, or the array is not there, not named among several, or no layer's.
    """
    headers = _headers(source)
    if source.path.suffix == ".npz" and source.selector is None:
        names = _layers(source, headers)
        if len(names) > 1:
            raise InputError(f"weights '{source.address}' are several: name one after '!': {listed(names)}")
        source = source.select(names[0])
    header = headers[""] if source.path.suffix == ".npy" else _selected(source, headers)
    where = f"weights '{source.address}'"
    rows, cols = layer_shape(header.shape, where)
    require_real(header.dtype, where)
    require_memory(rows * cols * (header.dtype.itemsize + 4 + 1), where)
    return Matrix(layer_values(_load(source), where))


def _ref(source: Source, name: str, header: _Header) -> MatrixRef:
    where = f"weights '{source.address}'"
    rows, cols = layer_shape(header.shape, where)
    require_real(header.dtype, where)
    return MatrixRef(source.address, name, rows, cols)


def _layers(source: Source, headers: dict[str, _Header]) -> list[str]:
    names = [name for name, header in headers.items() if is_layer(header.shape) and is_real(header.dtype)]
    if not names:
        held = listed([f"{name} ({header})" for name, header in headers.items()]) or "nothing"
        raise InputError(f"weights '{source.address}': no 2-D or 4-D array of real numbers; the file holds {held}")
    return names


def _selected(source: Source, headers: dict[str, _Header]) -> _Header:
    name = source.selector or ""
    if name not in headers:
        raise InputError(f"weights '{source.address}': no array '{name}'; {nearest(name, list(headers))}")
    return headers[name]


def _headers(source: Source) -> dict[str, _Header]:
    """Headers by array name; an .npy's only array has the name ''."""
    try:
        if source.path.suffix == ".npy":
            with source.path.open("rb") as stream:
                return {"": _header(stream)}
        headers = {}
        with zipfile.ZipFile(source.path) as archive:
            for member in archive.namelist():
                if member.endswith(".npy"):
                    with archive.open(member) as stream:
                        headers[member.removesuffix(".npy")] = _header(stream)
        return headers
    except _DAMAGE as error:
        raise _damaged(source, error) from None


def _header(stream: IO[bytes]) -> _Header:
    version = npy.read_magic(stream)
    if version == (1, 0):
        shape, _, dtype = npy.read_array_header_1_0(stream)
    elif version == (2, 0):
        shape, _, dtype = npy.read_array_header_2_0(stream)
    else:  # (3, 0) exists for the field names of structured arrays only
        raise ValueError(f"format version {version[0]}.{version[1]} is not for plain numbers")
    return _Header(shape, dtype)


def _load(source: Source) -> NDArray[Any]:
    try:
        loaded = np.load(source.path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return loaded
        with loaded:
            array: NDArray[Any] = loaded[source.selector]
            return array
    except _DAMAGE as error:
        raise _damaged(source, error) from None


def _damaged(source: Source, error: Exception) -> InputError:
    return InputError(f"weights '{source.address}': not a sound {source.path.suffix} file: {error}")
