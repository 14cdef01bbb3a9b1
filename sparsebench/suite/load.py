"""Finds, reads and validates suite files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sparsebench import toml_tables
from sparsebench.suite import schema, thresholds
from sparsebench.suite.schema import Suite
from sparsebench.toml_tables import folder

_INNER = toml_tables.Inner(
    keys={
        "problems": schema.ProblemTable,
        "models": schema.ModelTable,
        "thresholds": thresholds.ThresholdTable,
        "published": schema.PublishedTable,
    },
    branches=schema.PATTERN_TABLES | {"WeightsTable": schema.WeightsTable},
)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A valid suite, the name it goes by, and its text for the record."""

    name: str
    text: str
    suite: Suite


def shipped() -> list[tuple[str, str]]:
    """Names and titles of the shipped suites."""
    return [(path.stem, load(path.stem).suite.title) for path in sorted(folder().glob("*.toml"))]


def find(name_or_path: str) -> Path:
    """Return the file of a shipped suite's name, or of a path.

    Raises
    ------
    InputError
        If there is neither; the nearest names are suggested.
    """
    return toml_tables.find(name_or_path, folder(), "suite")


def load(name_or_path: str) -> Loaded:
    """Read and validate a suite.

    Raises
    ------
    InputError
        If there is no such suite, it is not TOML, or anything in it is wrong: all errors at once, a line each, with
        file, key and what is allowed.
    """
    path = find(name_or_path)
    text, suite = toml_tables.read(path, Suite, _INNER)
    return Loaded(path.stem, text, suite)
