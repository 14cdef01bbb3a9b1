"""Reads a TOML file into a pydantic table; what is wrong with it is said a line a key, all at once."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from sparsebench.errors import InputError

# Of every table of a file: unknown keys and values of another type are errors.
STRICT = ConfigDict(extra="forbid", frozen=True, strict=True)

Table = TypeVar("Table", bound=BaseModel)


def folder() -> Path:
    """Where the shipped files are: in the installed package, or at the top of a checkout."""
    package = Path(str(resources.files("sparsebench")))
    installed = package / "_suites"
    return installed if installed.is_dir() else package.parent / "suites"


def find(name_or_path: str, shipped: Path, kind: str) -> Path:
    """Return the file of a name in the folder `shipped`, or of a path; `kind` is what messages call it.

    Raises
    ------
    InputError
        If there is neither; the nearest names are suggested.
    """
    path = Path(name_or_path)
    if path.suffix == ".toml" or path.parent != Path():
        if path.is_file():
            return path
        raise InputError(f"{kind} file '{name_or_path}' does not exist")
    known = {file.stem: file for file in shipped.glob("*.toml")}
    if name_or_path in known:
        return known[name_or_path]
    raise InputError(f"{kind} '{name_or_path}' is not known{nearest(name_or_path, sorted(known))}")


def nearest(wrong: str, known: Sequence[str]) -> str:
    """Return the end of a message about an unknown name: what was perhaps meant, and what there is."""
    close = difflib.get_close_matches(wrong, known, n=1)
    meant = f"; did you mean '{close[0]}'?" if close else ""
    return f"{meant} (known: {', '.join(known)})"


@dataclass(frozen=True, slots=True)
class Inner:
    """The tables inside a file: those that a key holds, and those among which a union chooses.

    `branches` are by what pydantic's location calls them: the tag of a tagged union, else the class's name.
    """

    keys: Mapping[str, type[BaseModel]]
    branches: Mapping[str, type[BaseModel]]


def read(path: Path, table: type[Table], inner: Inner) -> tuple[str, Table]:
    """Return the text and the content of a file that holds `table` and, in it, the tables `inner`.

    Raises
    ------
    InputError
        If the file cannot be read, is not TOML, or anything in it is wrong: all errors at once, a line each, with
        file, key and what is allowed.
    """
    text, data = parse(path)
    return text, validate(data, str(path), table, inner)


def parse(path: Path) -> tuple[str, dict[str, Any]]:
    """Return the text of a file, and what it says as TOML.

    Raises
    ------
    InputError
        If it cannot be read or is not TOML.
    """
    try:
        text = path.read_text(encoding="utf-8")
        return text, tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path}: not valid TOML: {error}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from None


def validate(data: Any, origin: str, table: type[Table], inner: Inner) -> Table:
    """Return what was read from TOML as a `table`; `origin` is what messages begin with.

    Raises
    ------
    InputError
        If anything in it is wrong: all errors at once, a line each, with origin, key and what is allowed.
    """
    try:
        return table.model_validate(data)
    except ValidationError as error:
        raise InputError("\n".join(f"{origin}: {line}" for line in _lines(error, table, inner))) from None


# Pydantic's location names the branch of a union that it tried; a person wants the key.
_BRANCHES = frozenset(
    {"str", "int", "float", "constrained-int", "list[constrained-str]", "list[str]", "literal['all']"}
)
_UNTAGGED = frozenset({"union_tag_invalid", "union_tag_not_found"})
# Pydantic speaks of Python's types, a file's author of TOML's.
_TABLES = frozenset({"model_type", "model_attributes_type"})
# What the key that tells the tables of a union apart is the name of.
_TAGGED = {"name": "pattern", "kind": "layer"}


def _lines(error: ValidationError, table: type[BaseModel], inner: Inner) -> list[str]:
    """One line for each wrong key."""
    found: dict[str, list[Any]] = {}
    for problem in error.errors():
        found.setdefault(_key(problem, inner) or table.__name__.lower(), []).append(problem)
    # Each branch of a union reports: the one that came as far as a key inside is the one that was meant.
    meant = [key for key in found if not any(other.startswith((f"{key}.", f"{key}[")) for other in found)]
    return [f"{key}: {_message(found[key], table, inner)}" for key in meant]


def _key(problem: Any, inner: Inner) -> str:
    """Where a problem is, such as ``problems[0].patterns[1].lanes``."""
    location, kind = problem["loc"], problem["type"]
    # The last part of an unknown key is a key, even where it is spelt like a branch.
    last = len(location) - 1 if kind == "extra_forbidden" else None
    branches = _BRANCHES | inner.branches.keys()
    parts = [part for at, part in enumerate(location) if at == last or part not in branches]
    if kind in _UNTAGGED:
        parts.append(_discriminator(problem))
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts).removeprefix(".")


def _discriminator(problem: Any) -> str:
    return str(problem["ctx"]["discriminator"]).strip("'")


def _fields(location: Sequence[str | int], table: type[BaseModel], inner: Inner) -> list[str]:
    """Keys that the table at a location has."""
    known = {**inner.keys, **inner.branches}
    model = next((known[part] for part in reversed(location) if part in known), table)
    return list(model.model_fields)


def _message(problems: Sequence[Any], table: type[BaseModel], inner: Inner) -> str:
    """Say what is wrong with one key; several problems are the branches of a union, of which any would do."""
    problem = problems[0]
    location, kind = problem["loc"], problem["type"]
    if kind == "extra_forbidden":
        return f"unknown key{nearest(str(location[-1]), _fields(location[:-1], table, inner))}"
    if kind == "union_tag_invalid":
        context = problem["ctx"]
        return f"{_TAGGED[_discriminator(problem)]} '{context['tag']}' is not known; known: {context['expected_tags']}"
    if kind in ("missing", "union_tag_not_found"):
        return "this key is missing"
    messages = ("Input should be a table" if p["type"] in _TABLES else p["msg"] for p in problems)
    given = problem["input"]
    shown = f" (got {given!r})" if isinstance(given, str | int | float | bool) else ""
    return " or: ".join(message.removeprefix("Value error, ") for message in messages) + shown
