"""Labelled data that networks are trained and judged on: one file per source, none downloaded.

A loader reads a folder that the user has, says what is wrong with it, and how to get it where it is missing.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from sparsebench.datasets import digits, idx, speech_commands, spoken_digits
from sparsebench.datasets.base import Dataset, Parts, part
from sparsebench.errors import InputError

VARIABLE = "SPARSEBENCH_DATA"
# Source, and the function that reads it from a folder.
LOADERS: dict[str, Callable[[Path | None], Dataset]] = {
    "digits": digits.load,
    "idx": idx.load,
    "speech-commands": speech_commands.load,
    "spoken-digits": spoken_digits.load,
}
_WITHOUT_FOLDER = ("digits",)


def load(source: str, folder: Path | None = None) -> Dataset:
    """Read a data set of `LOADERS` from a folder; without one from $SPARSEBENCH_DATA, if that is set.

    Raises
    ------
    InputError
        If the source is not known, or its files are missing or wrong.
    UnavailableError
        If a library that reads it is not installed.
    """
    if source not in LOADERS:
        raise InputError(f"data source '{source}' is not known; known: {', '.join(LOADERS)}")
    if folder is None and source not in _WITHOUT_FOLDER and os.environ.get(VARIABLE):
        folder = Path(os.environ[VARIABLE])
    return LOADERS[source](folder)


__all__ = ["LOADERS", "Dataset", "Parts", "load", "part"]
