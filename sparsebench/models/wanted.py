"""What is asked of a model's inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from sparsebench.errors import InputError
from sparsebench.weights.address import Source
from sparsebench.weights.names import listed


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
