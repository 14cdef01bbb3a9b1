"""How weights are stored: one file per format."""

from __future__ import annotations

from pathlib import Path

from sparsebench.errors import InputError
from sparsebench.formats.base import Format, read_entries
from sparsebench.formats.block import BlockSparse
from sparsebench.formats.complementary import Complementary
from sparsebench.formats.csr import Csr
from sparsebench.formats.dense import Dense

FORMATS: dict[str, type[Format]] = {kind.name: kind for kind in (Dense, Csr, BlockSparse, Complementary)}


def load(path: Path) -> Format:
    """Read a matrix of whichever format was saved at `path`, and validate it.

    Raises
    ------
    InputError
        If the file cannot be read, is torn, holds an unknown format, or holds a corrupted matrix.
    """
    entries = read_entries(path)
    name = str(entries["format"])
    if name not in FORMATS:
        raise InputError(f"{path}: format '{name}' is not known; known: {', '.join(FORMATS)}")
    return FORMATS[name].from_entries(entries, path)


__all__ = ["FORMATS", "BlockSparse", "Complementary", "Csr", "Dense", "Format", "load"]
