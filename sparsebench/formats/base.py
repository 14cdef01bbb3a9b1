"""What every storage format can do: check itself, count its bytes, and travel through a .npz file."""

from __future__ import annotations

import zipfile
import zlib
from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from sparsebench.errors import InputError
from sparsebench.memory import aligned_copy

VERSION = 1

Entries = dict[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Format(ABC):
    """One weight matrix W [M, K] as a kernel reads it; every array is C-ordered and starts on a cache line.

    A subclass lists its arrays with dtype and number of dimensions in `arrays` and its fields of two whole numbers in
    `pairs`; its other fields are whole numbers. `name` is what `save` writes and the package's `load` looks for.
    """

    shape: tuple[int, int]
    name: ClassVar[str]
    arrays: ClassVar[dict[str, tuple[type[np.generic], int]]]
    pairs: ClassVar[tuple[str, ...]] = ("shape",)

    @abstractmethod
    def unpack(self) -> NDArray[np.float32]:
        """Return W as float32 [M, K], 64-byte aligned, bit for bit as it was packed."""

    @abstractmethod
    def check(self) -> None:
        """Raise InputError if the content of the arrays, whose dtypes are right, makes no sense."""

    def validate(self) -> None:
        """Raise InputError, saying exactly what is corrupted, unless this is a matrix that kernels may read."""
        if len(self.shape) != 2 or min(self.shape) < 1:
            raise self.error(f"shape is {self.shape}; it must be two numbers, both at least 1")
        for key, (dtype, ndim) in self.arrays.items():
            array = getattr(self, key)
            if array.dtype != dtype or array.ndim != ndim:
                raise self.error(
                    f"{key} is {array.dtype} with {array.ndim} dimensions; it must be {np.dtype(dtype)} with {ndim}"
                )
        self.check()

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays: what a kernel reads of W, indices included."""
        return sum(getattr(self, key).nbytes for key in self.arrays)

    def save(self, path: Path) -> None:
        """Write to `path` as .npz, with the entries `format` and `version`.

        Raises
        ------
        InputError
            If the file cannot be written.
        """
        entries = {field.name: np.asarray(getattr(self, field.name)) for field in fields(self)}
        write_entries(path, self.name, entries)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote, and validate it.

        Raises
        ------
        InputError
            If the file cannot be read, is torn, holds another format, or holds a corrupted matrix.
        """
        return cls.from_entries(read_entries(path), path)

    @classmethod
    def from_entries(cls, entries: Entries, path: Path) -> Self:
        """Build from the entries of the file at `path` and validate; raises InputError."""
        if entries["format"].item() != cls.name:
            raise InputError(f"{path}: holds format '{entries['format']}', not '{cls.name}'")
        values: dict[str, Any] = {}
        for field in fields(cls):
            if field.name not in entries:
                raise InputError(f"{path}: lacks '{field.name}', which format '{cls.name}' needs")
            entry = entries[field.name]
            if field.name in cls.arrays:
                values[field.name] = aligned_copy(entry, entry.dtype)
            elif entry.dtype.kind != "i" or entry.ndim != (field.name in cls.pairs):
                kind = "a list of whole numbers" if field.name in cls.pairs else "a whole number"
                raise InputError(f"{path}: '{field.name}' is {entry.dtype} {list(entry.shape)}; it must be {kind}")
            else:
                values[field.name] = tuple(entry.tolist()) if entry.ndim else entry.item()
        try:
            matrix = cls(**values)
            matrix.validate()
        except InputError as error:
            raise InputError(f"{path}: {error}") from error
        return matrix

    def error(self, text: str) -> InputError:
        """Return the error that says `text` about this matrix."""
        return InputError(f"corrupted {self.name} matrix: {text}")

    def require_shape(self, key: str, shape: tuple[int, ...]) -> None:
        """Raise InputError unless the array called `key` has this shape."""
        actual = getattr(self, key).shape
        if actual != shape:
            raise self.error(f"{key} has shape {list(actual)}; it must be {list(shape)}")

    def require_finite(self, key: str) -> None:
        """Raise InputError if the array called `key` holds NaN or infinity."""
        array = getattr(self, key)
        finite = np.isfinite(array)
        if not finite.all():
            place = np.unravel_index(int(finite.argmin()), array.shape)
            raise self.error(f"{key}{[int(i) for i in place]} is {array[place]}; it must be finite")


def write_entries(path: Path, name: str, entries: Entries, *, compress: bool = False) -> None:
    """Write arrays to `path` as .npz, with `name` as entry `format`, and the entry `version`; raises InputError."""
    write = np.savez_compressed if compress else np.savez
    try:
        with path.open("wb") as file:
            write(file, allow_pickle=False, format=np.asarray(name), version=np.asarray(VERSION), **entries)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}") from error


def read_entries(path: Path) -> Entries:
    """Read the entries of a file that `write_entries` wrote, without judging them.

    Raises
    ------
    InputError
        If the file cannot be read, is not a complete .npz, or has no `format`, or another `version`.
    """
    try:
        with path.open("rb") as file:
            archive = np.load(file, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise InputError(f"{path}: is a single array, not a matrix saved as .npz")
            entries = {key: archive[key] for key in archive.files}
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{path}: is not a complete .npz file: {error}") from error
    for key in ("format", "version"):
        if key not in entries or entries[key].ndim:
            raise InputError(f"{path}: has no entry '{key}'; it was not written by sparsebench")
    if entries["version"].item() != VERSION:
        raise InputError(f"{path}: has version {entries['version']}; this sparsebench reads version {VERSION}")
    return entries


def require_matrix(dense: NDArray[Any], allowed: NDArray[Any] | None = None) -> None:
    """Raise InputError unless `dense` is float32 [M, K] and `allowed`, if given, bool of the same shape."""
    if dense.ndim != 2 or dense.dtype != np.float32 or 0 in dense.shape:
        raise InputError(f"weights are {dense.dtype} {list(dense.shape)}; they must be float32 [M, K], not empty")
    if allowed is not None and (allowed.shape != dense.shape or allowed.dtype != np.bool_):
        raise InputError(f"mask is {allowed.dtype} {list(allowed.shape)}; it must be bool {list(dense.shape)}")


def require_nothing_lost(dense: NDArray[np.float32], values: NDArray[np.float32]) -> None:
    """Raise InputError if `values`, packed from `dense`, has fewer non-zeros: some lay outside the mask."""
    lost = np.count_nonzero(dense) - np.count_nonzero(values)
    if lost:
        raise InputError(f"{lost} non-zero weights lie outside the mask; set them to zero before packing")
