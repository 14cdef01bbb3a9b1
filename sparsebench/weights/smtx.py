"""Patterns in .smtx, the format of the Deep Learning Matrix Collection (Gale et al., 2020, arXiv 2006.10901).

Line 1 is ``rows, cols, nnz``; line 2 the row pointers (rows + 1); line 3 the column indices (nnz). There are no values.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sparsebench.errors import InputError
from sparsebench.memory import require_memory
from sparsebench.weights.address import Source
from sparsebench.weights.dealing import BYTES_PER_POSITION, deal_values
from sparsebench.weights.matrix import Matrix, MatrixRef, layer_shape

_HEADER = re.compile(r"\s*([0-9]{1,18})\s*,\s*([0-9]{1,18})\s*,\s*([0-9]{1,18})\s*")
_INTEGER = re.compile(r"-?[0-9]{1,18}")
# Possessive: a line of millions of numbers leaves no way back to try.
_INTEGERS = re.compile(r"(?:\s*+-?[0-9]{1,18}+(?!\S))*+\s*+")


def expand(source: Source) -> list[MatrixRef]:
    """Describe the matrix from the file's first line.

    Raises
    ------
    InputError
        If that line is not ``rows, cols, nnz``, or they do not agree.
    """
    with source.path.open(encoding="ascii", errors="replace") as lines:
        rows, cols, nnz = _header(source.path, lines.readline())
    return [MatrixRef(source.address, source.path.stem, rows, cols, nnz / (rows * cols))]


def read(source: Source, seed: int) -> Matrix:
    """Read the pattern, and deal values to it from the seed as `deal_values` says.

    Raises
    ------
    InputError
        With file and line: wrong counts, pointers that fall, indices out of range or twice in a row, text.
    """
    stored = _read_pattern(source.path)
    return Matrix(deal_values(stored, seed), stored)


def _read_pattern(path: Path) -> NDArray[np.bool_]:
    with path.open(encoding="ascii", errors="replace") as lines:
        rows, cols, nnz = _header(path, lines.readline())
        # Text, its numbers in int64, and row and column of each stored position.
        require_memory(rows * cols * BYTES_PER_POSITION + (rows + nnz) * 32, f"'{path}' ({rows} x {cols}, nnz {nnz})")
        pointers = _integers(path, 2, lines.readline(), rows + 1, "row pointers, one more than rows")
        indices = _integers(path, 3, lines.readline(), nnz, "column indices, one per non-zero")
        for number, line in enumerate(lines, 4):
            if line.strip():
                raise _bad(path, number, f"found '{_short(line)}' after the column indices; the file has three lines")
    counts = np.diff(pointers)
    if pointers[0] != 0 or pointers[-1] != nnz:
        raise _bad(path, 2, f"row pointers go from {pointers[0]} to {pointers[-1]}; they must go from 0 to nnz = {nnz}")
    if counts.min() < 0:
        row = int(np.argmax(counts < 0))
        raise _bad(path, 2, f"row pointers fall from {pointers[row]} to {pointers[row + 1]} in row {row}")
    outside = (indices < 0) | (indices >= cols)
    if outside.any():
        at = int(np.argmax(outside))
        raise _bad(path, 3, f"column index {indices[at]} (the {at + 1}. of the line) is not in 0 .. {cols - 1}")
    stored = np.zeros(rows * cols, np.bool_)
    flat = np.repeat(np.arange(rows), counts) * cols + indices
    stored[flat] = True
    if np.count_nonzero(stored) != nnz:
        unique, times = np.unique(flat, return_counts=True)
        row, col = divmod(int(unique[times > 1][0]), cols)
        raise _bad(path, 3, f"column {col} is there twice in row {row}")
    return stored.reshape(rows, cols)


def _header(path: Path, line: str) -> tuple[int, int, int]:
    match = _HEADER.fullmatch(line)
    if match is None:
        raise _bad(path, 1, f"'{_short(line)}' is not 'rows, cols, nnz', three whole numbers with commas")
    rows, cols, nnz = map(int, match.groups())
    layer_shape((rows, cols), f"{path}, line 1: the matrix")
    if nnz > rows * cols:
        raise _bad(path, 1, f"nnz is {nnz}, and {rows} x {cols} has {rows * cols} positions")
    return rows, cols, nnz


def _integers(path: Path, number: int, line: str, count: int, what: str) -> NDArray[np.int64]:
    if _INTEGERS.fullmatch(line) is None:
        text = next(word for word in line.split() if not _INTEGER.fullmatch(word))
        raise _bad(path, number, f"'{_short(text)}' is not a whole number; the line holds {what}")
    values = np.fromstring(line, dtype=np.int64, sep=" ") if line.strip() else np.empty(0, np.int64)
    if len(values) != count:
        raise _bad(path, number, f"{len(values)} numbers where {count} belong: {what}")
    return values


def _short(text: str) -> str:
    text = text.strip()
    return text if len(text) <= 40 else f"{text[:40]}..."


def _bad(path: Path, line: int, message: str) -> InputError:
    return InputError(f"{path}, line {line}: {message}")
