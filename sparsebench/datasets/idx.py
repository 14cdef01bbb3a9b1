"""Images in IDX files, the format of MNIST; Fashion-MNIST comes with Debian.

The format is described in LeCun, Cortes and Burges, "The MNIST database": big-endian, two zero bytes, a type, the
number of dimensions, a size of 32 bits each, the data.
"""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sparsebench.datasets.base import PARTS, Dataset, require_folder
from sparsebench.errors import InputError

NAME = "IDX images"
# Where Debian's package puts Fashion-MNIST.
DEBIAN = Path("/usr/share/datasets/fashion-mnist")
HOW = (
    "It needs the four files train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and"
    " t10k-labels-idx1-ubyte, .gz or not; for Fashion-MNIST: apt install dataset-fashion-mnist"
)
_UNSIGNED_BYTE = 8
# Of the training images, the last ones judge recipes.
_VALIDATION = 1 / 6


def load(folder: Path | None) -> Dataset:
    """Read a folder of four IDX files; without one, Debian's Fashion-MNIST.

    Raises
    ------
    InputError
        If a file is missing, is not IDX or torn, or images and labels do not go together.
    """
    if folder is None and DEBIAN.is_dir():
        folder = DEBIAN
    folder = require_folder(folder, NAME, HOW)
    train, train_labels = _pair(folder, "train")
    test, test_labels = _pair(folder, "t10k")
    if train.shape[1:] != test.shape[1:]:
        raise InputError(f"{NAME}: images in '{folder}' are {train.shape[1:]} to train on and {test.shape[1:]} to test")
    y = np.concatenate([train_labels, test_labels]).astype(np.int64)
    kept = len(train) - round(_VALIDATION * len(train))
    official = np.full(len(y), PARTS.index("test"), np.uint8)
    official[: len(train)] = PARTS.index("validation")
    official[:kept] = PARTS.index("train")
    x = np.concatenate([train, test])[:, None].astype(np.float32) / np.float32(255)
    return Dataset(f"images in {folder.name}", tuple(map(str, range(int(y.max()) + 1))), x, y, official, folder=folder)


def _pair(folder: Path, name: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    images, where = read(_find(folder, f"{name}-images-idx3-ubyte"), 3)
    labels, labels_at = read(_find(folder, f"{name}-labels-idx1-ubyte"), 1)
    if not len(images):
        raise InputError(f"{where} holds no images")
    if len(images) != len(labels):
        raise InputError(f"{where} holds {len(images)} images, {labels_at} {len(labels)} labels")
    return images, labels


def _find(folder: Path, name: str) -> Path:
    # Some copies have a dot before idx.
    for path in (folder / (one + end) for one in (name, name.replace("-idx", ".idx")) for end in ("", ".gz")):
        if path.is_file():
            return path
    raise InputError(f"{NAME}: '{folder}' has no {name}[.gz]. {HOW}")


def read(path: Path, dimensions: int) -> tuple[NDArray[np.uint8], Path]:
    """Return the array of an IDX file of bytes, gzipped or not, and its path for messages.

    Raises
    ------
    InputError
        If it cannot be read, has another magic number, or more or less data than its sizes say.
    """
    try:
        raw = path.read_bytes()
        data = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error
    magic = bytes([0, 0, _UNSIGNED_BYTE, dimensions])
    if data[:4] != magic:
        raise InputError(
            f"{path}: begins with {data[:4].hex(' ') or 'nothing'}; an IDX file of bytes with {dimensions} dimensions"
            f" begins with {magic.hex(' ')}"
        )
    head = 4 + 4 * dimensions
    if len(data) < head:
        raise InputError(f"{path}: ends within its head of {head} bytes")
    shape = tuple(int(size) for size in np.frombuffer(data, ">u4", dimensions, 4))
    if len(data) - head != math.prod(shape):
        raise InputError(
            f"{path}: has {len(data) - head:,} bytes of data; its sizes {' x '.join(map(str, shape))} make"
            f" {math.prod(shape):,}"
        )
    return np.frombuffer(data, np.uint8, offset=head).reshape(shape), path
