"""scikit-learn's digits: 1,797 handwritten ones of 8 x 8, which train a network in seconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sparsebench.datasets.base import PARTS, Dataset
from sparsebench.errors import InputError, UnavailableError

_LARGEST = 16
# In five samples: three are trained on, one judges recipes, one is the test.
_CYCLE = ("train", "validation", "train", "train", "test")


def load(folder: Path | None) -> Dataset:
    """Return the images as 64 features each.

    Raises
    ------
    InputError
        If there is a folder: they come with scikit-learn.
    UnavailableError
        If scikit-learn is not installed.
    """
    if folder is not None:
        raise InputError(f"data set 'digits' comes with scikit-learn: it is not read from a folder, '{folder}'")
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise UnavailableError("scikit-learn's digits need it: pip install 'sparsebench[train]'") from None
    found = load_digits()
    x = np.asarray(found.data, np.float32) / np.float32(_LARGEST)
    cycle = np.array([PARTS.index(part) for part in _CYCLE], np.uint8)
    official = np.resize(cycle, len(x))
    return Dataset("digits", tuple(map(str, range(10))), x, np.asarray(found.target, np.int64), official)
