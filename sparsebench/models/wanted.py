"""What is asked of a model's inputs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from sparsebench.errors import InputError
from sparsebench.weights.address import Source
from sparsebench.weights.names import listed

_SIZES = re.compile(r"[1-9]\d*([x,][1-9]\d*)*", re.ASCII)


class Wanted(NamedTuple):
    """Shapes of inputs by name, or one size for the first axis of all others; and the folder of ``data:`` addresses."""

    shapes: Mapping[str, tuple[int, ...]]
    batch: int | None
    data: Path | None


def require_inputs(source: Source, wanted: Wanted, names: Sequence[str]) -> None:
    """Raise InputError if a shape is asked for that no input of the model has."""
    for name in wanted.shapes:
        if name not in names:
            raise InputError(f"model '{source.address}' has no input '{name}'; it has {listed(names) or 'none'}")


def parse_shapes(given: Iterable[str]) -> dict[str, tuple[int, ...]]:
    """Read ``NAME=1x3x224x224``, of each input one.

    Raises
    ------
    InputError
        If one does not have this form, a size is below 1, or a name is there twice.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    for text in given:
        # Names of inputs may hold anything, such as 'serving_default_x:0'.
        name, equals, sizes = text.rpartition("=")
        if not equals or not name or not _SIZES.fullmatch(sizes):
            raise InputError(f"--input-shape '{text}' does not have the form NAME=SIZES, such as x=1x3x224x224")
        if name in shapes:
            raise InputError(f"--input-shape gives '{name}' twice")
        shapes[name] = tuple(map(int, re.split("[x,]", sizes)))
    return shapes
