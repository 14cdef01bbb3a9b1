"""Matrices in MatrixMarket files (.mtx, .mtx.gz), read by SciPy.

The format: Boisvert, Pozo, Remington, "The Matrix Market Exchange Formats", NISTIR 5935 (1996).
"""

from __future__ import annotations

import gzip
import zlib
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.io import mminfo, mmread

from sparsebench.errors import InputError
from sparsebench.memory import require_memory
from sparsebench.weights.address import Source
from sparsebench.weights.dealing import BYTES_PER_POSITION, deal_values
from sparsebench.weights.matrix import Matrix, MatrixRef, layer_shape, layer_values

# What the reader raises on text, numbers out of range, and archives that are cut short.
_DAMAGE = (ValueError, OverflowError, EOFError, OSError, zlib.error)


class _Header(NamedTuple):
    rows: int
    cols: int
    entries: int
    format: str
    field: str
    symmetry: str


def expand(source: Source) -> list[MatrixRef]:
    """Describe the matrix from its header; the density of one stored by halves takes reading the positions.

    Raises
    ------
    InputError
        If the header is malformed, or the matrix is complex or empty.
    """
    header = _header(source)
    density = None
    if header.format == "coordinate":
        nnz = header.entries if header.symmetry == "general" else _coordinates(source, header).nnz
        density = nnz / (header.rows * header.cols)
    name = source.path.name.removesuffix(".gz").removesuffix(".mtx")
    return [MatrixRef(source.address, name, header.rows, header.cols, density)]


def read(source: Source, seed: int) -> Matrix:
    """Read the matrix with both halves of a symmetric one; a pattern gets its values from the seed (`deal_values`).

    Raises
    ------
    InputError
        If the file is malformed, complex, empty, has an entry twice, or holds NaN or infinity.
    """
    header = _header(source)
    where = f"weights '{source.address}'"
    if header.format == "array":
        return Matrix(layer_values(np.asarray(_mmread(source, header)), where))
    coordinates = _coordinates(source, header)
    stored = np.zeros((header.rows, header.cols), np.bool_)
    stored[coordinates.row, coordinates.col] = True
    if np.count_nonzero(stored) != coordinates.nnz:
        flat = coordinates.row.astype(np.int64) * header.cols + coordinates.col
        unique, times = np.unique(flat, return_counts=True)
        row, col = divmod(int(unique[times > 1][0]), header.cols)
        raise InputError(f"{where}: the entry of row {row + 1}, column {col + 1} is there twice")
    if header.field == "pattern":
        return Matrix(deal_values(stored, seed), stored)
    dense = np.zeros(stored.shape, coordinates.data.dtype)
    dense[coordinates.row, coordinates.col] = coordinates.data
    return Matrix(layer_values(dense, where), stored)


class _Coordinates(NamedTuple):
    row: NDArray[np.integer]
    col: NDArray[np.integer]
    data: NDArray[Any]

    @property
    def nnz(self) -> int:
        return len(self.row)


def _header(source: Source) -> _Header:
    try:
        with _opened(source) as stream:
            header = _Header(*mminfo(stream))
    except _DAMAGE as error:
        raise _damaged(source, error) from None
    where = f"weights '{source.address}'"
    if header.field == "complex":
        raise InputError(f"{where} are complex numbers; weights must be real, integer or pattern")
    layer_shape((header.rows, header.cols), where)
    return header


def _coordinates(source: Source, header: _Header) -> _Coordinates:
    matrix = _mmread(source, header)
    return _Coordinates(matrix.row, matrix.col, matrix.data)


def _mmread(source: Source, header: _Header) -> Any:
    # Row, column and value of each entry, twice where the other half of a symmetric matrix is added.
    require_memory(header.rows * header.cols * BYTES_PER_POSITION + header.entries * 32, f"weights '{source.address}'")
    try:
        with _opened(source) as stream:
            return mmread(stream)
    except _DAMAGE as error:
        raise _damaged(source, error) from None


def _opened(source: Source) -> AbstractContextManager[Any]:
    # SciPy unpacks .gz too, but leaves the file open where it finds it malformed; it reads plain files faster by name.
    return gzip.open(source.path) if source.path.suffix == ".gz" else nullcontext(str(source.path))


def _damaged(source: Source, error: Exception) -> InputError:
    return InputError(f"weights '{source.address}': not a sound MatrixMarket file: {error}")
