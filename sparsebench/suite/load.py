"""Finds, reads and validates suite files."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from sparsebench.errors import InputError
from sparsebench.suite import schema
from sparsebench.suite.schema import Suite


@dataclass(frozen=True, slots=True)
class Loaded:
    """A valid suite, the name it goes by, and its text for the record."""

    name: str
    text: str
    suite: Suite


def folder() -> Path:
    """Where the shipped suites are: in the installed package, or at the top of a checkout."""
    package = Path(str(resources.files("sparsebench")))
    installed = package / "_suites"
    return installed if installed.is_dir() else package.parent / "suites"


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
    path = Path(name_or_path)
    if path.suffix == ".toml" or path.parent != Path():
        if path.is_file():
            return path
        raise InputError(f"suite file '{name_or_path}' does not exist")
    known = {file.stem: file for file in folder().glob("*.toml")}
    if name_or_path in known:
        return known[name_or_path]
    raise InputError(f"suite '{name_or_path}' is not known{nearest(name_or_path, sorted(known))}")


def nearest(wrong: str, known: Sequence[str]) -> str:
    """Return the end of a message about an unknown name: what was perhaps meant, and what there is."""
    close = difflib.get_close_matches(wrong, known, n=1)
    meant = f"; did you mean '{close[0]}'?" if close else ""
    return f"{meant} (known: {', '.join(known)})"


def load(name_or_path: str) -> Loaded:
    """Read and validate a suite.

    Raises
    ------
    InputError
        If there is no such suite, it is not TOML, or anything in it is wrong: all errors at once, a line each, with
        file, key and what is allowed.
    """
    path = find(name_or_path)
    try:
        text = path.read_text(encoding="utf-8")
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path}: not valid TOML: {error}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from None
    try:
        return Loaded(path.stem, text, Suite.model_validate(data))
    except ValidationError as error:
        raise InputError("\n".join(f"{path}: {line}" for line in _lines(error))) from None


# Pydantic's location names the branch of a union that it tried; a person wants the key.
_BRANCHES = frozenset(
    {"unstructured", "block", "complementary", "stored", "WeightsTable", "str", "int", "float"}
    | {"constrained-int", "list[constrained-str]", "list[str]", "literal['all']"}
)


_UNTAGGED = frozenset({"union_tag_invalid", "union_tag_not_found"})
# Pydantic speaks of Python's types, a suite's author of TOML's.
_TABLES = frozenset({"model_type", "model_attributes_type"})


def _key(problem: Any) -> str:
    """Where a problem is, such as ``problems[0].patterns[1].lanes``."""
    location, kind = problem["loc"], problem["type"]
    parts = [part for part in location if part not in _BRANCHES]
    if kind == "extra_forbidden" and location[-1] in _BRANCHES:
        parts.append(location[-1])
    if kind in _UNTAGGED:
        parts.append("name")
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts).removeprefix(".") or "suite"


def _fields(location: Sequence[str | int]) -> list[str]:
    """Keys that the table at a location has."""
    models: dict[str, type[BaseModel]] = {
        "problems": schema.ProblemTable,
        "thresholds": schema.ThresholdTable,
        "WeightsTable": schema.WeightsTable,
        "unstructured": schema.UnstructuredTable,
        "block": schema.BlockTable,
        "complementary": schema.ComplementaryTable,
        "stored": schema.StoredTable,
    }
    model = next((models[part] for part in reversed(location) if part in models), Suite)
    return list(model.model_fields)


def _lines(error: ValidationError) -> list[str]:
    """One line for each wrong key."""
    found: dict[str, list[Any]] = {}
    for problem in error.errors():
        found.setdefault(_key(problem), []).append(problem)
    # Each branch of a union reports: the one that came as far as a key inside is the one that was meant.
    meant = [key for key in found if not any(other.startswith((f"{key}.", f"{key}[")) for other in found)]
    return [f"{key}: {_message(found[key])}" for key in meant]


def _message(problems: Sequence[Any]) -> str:
    """Say what is wrong with one key; several problems are the branches of a union, of which any would do."""
    problem = problems[0]
    location, kind = problem["loc"], problem["type"]
    if kind == "extra_forbidden":
        return f"unknown key{nearest(str(location[-1]), _fields(location[:-1]))}"
    if kind == "union_tag_invalid":
        context = problem["ctx"]
        return f"pattern '{context['tag']}' is not known; known: {context['expected_tags']}"
    if kind in ("missing", "union_tag_not_found"):
        return "this key is missing"
    messages = ("Input should be a table" if p["type"] in _TABLES else p["msg"] for p in problems)
    given = problem["input"]
    shown = f" (got {given!r})" if isinstance(given, str | int | float | bool) else ""
    return " or: ".join(message.removeprefix("Value error, ") for message in messages) + shown
