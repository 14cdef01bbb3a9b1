"""Finds, reads and validates network files."""

from __future__ import annotations

from pathlib import Path

from sparsebench import toml_tables
from sparsebench.errors import InputError
from sparsebench.nets.base import Layer
from sparsebench.nets.network import Sequential
from sparsebench.nets.schema import LAYER_TABLES, Net
from sparsebench.suite.schema import PATTERN_TABLES

_INNER = toml_tables.Inner(keys={}, branches=LAYER_TABLES | PATTERN_TABLES)


def folder() -> Path:
    """Where the shipped networks are."""
    return toml_tables.folder() / "nets"


def shipped() -> list[tuple[str, str]]:
    """Names and titles of the shipped networks."""
    paths = {path.stem: path for path in folder().glob("*.toml")}
    return [(name, toml_tables.read(paths[name], Net, _INNER)[1].title) for name in sorted(paths)]


def load(name_or_path: str | Path) -> Sequential:
    """Read a shipped network by its name, or any by the path of its file; it has no weights yet.

    Raises
    ------
    InputError
        If there is no such network, it is not TOML, or anything in it is wrong: all wrong keys at once, a line each,
        with file, key and what is allowed; then the first layer that does not go with the others.
    """
    path = toml_tables.find(str(name_or_path), folder(), "network")
    _, net = toml_tables.read(path, Net, _INNER)
    layers: list[Layer] = []
    try:
        for place, table in enumerate(net.layers):
            try:
                layers.append(table.build())
            except InputError as error:
                raise InputError(f"layers[{place}]: {error}") from None
        return Sequential(layers, tuple(net.input), path.stem)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
