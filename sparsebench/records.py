"""Files of a run that a crash leaves readable: a record that is replaced as a whole, and lines that are appended.

A line is finished once it ends in a newline on disk. A crash can therefore tear the last line only.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO, TypeVar

from sparsebench.errors import InputError

Parsed = TypeVar("Parsed")


@contextmanager
def replacing(path: Path) -> Iterator[TextIO]:
    """Yield a stream whose contents replace the file at `path` all at once when the body ends well."""
    fresh = path.with_name(path.name + ".tmp")
    with fresh.open("w", encoding="utf-8", newline="") as stream:
        yield stream
        stream.flush()
        os.fsync(stream.fileno())
    fresh.replace(path)


def append_lines(path: Path, records: Iterable[dict[str, Any]]) -> None:
    """Add records to a file, one a line, and return once they are safely on disk."""
    lines = "".join(json.dumps(record, allow_nan=False) + "\n" for record in records)
    with path.open("a", encoding="utf-8") as stream:
        stream.write(lines)
        stream.flush()
        os.fsync(stream.fileno())


def write_record(path: Path, record: dict[str, Any]) -> None:
    """Write what a run says of itself, all at once."""
    with replacing(path) as stream:
        json.dump(record, stream, indent=1)
        stream.write("\n")


def read_record(path: Path, newest: int) -> dict[str, Any]:
    """Return what a run says of itself; `newest` is the last ``schema_version`` that can be read.

    Raises
    ------
    InputError
        If there is no such file, it is damaged, or was written by a newer sparsebench.
    """
    try:
        run: Any = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"'{path.parent}' is not the folder of a run: it has no {path.name}") from None
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"{path} is damaged: {error}") from error
    if not isinstance(run, dict) or not isinstance(version := run.get("schema_version"), int):
        raise InputError(f"{path} is not the record of a run: it has no whole number 'schema_version'")
    if version > newest:
        raise InputError(
            f"{path}: schema_version {version} is newer than this sparsebench reads (up to {newest});"
            " upgrade sparsebench"
        )
    return run


def read_lines(path: Path, parse: Callable[[dict[str, Any]], Parsed]) -> tuple[list[Parsed], int | None]:
    """Return what `append_lines` wrote, parsed, and where a torn last line begins (None if there is none).

    Raises
    ------
    InputError
        If the file cannot be read, or a line but the last is damaged; `parse` raises ValueError or TypeError then.
    """
    results: list[Parsed] = []
    try:
        lines = path.read_bytes().splitlines(keepends=True)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    offset = 0
    for number, line in enumerate(lines, start=1):
        try:
            record = json.loads(line)
        except ValueError as error:
            if number == len(lines):
                return results, offset
            raise InputError(f"{path}, line {number}: not a JSON record ({error}); delete the line") from error
        if not line.endswith(b"\n"):
            # Complete by chance, but the next line would be glued to it.
            return results, offset
        if not isinstance(record, dict):
            raise InputError(f"{path}, line {number}: not a JSON object; delete the line")
        try:
            results.append(parse(record))
        except (ValueError, TypeError) as error:
            raise InputError(f"{path}, line {number}: {error}") from error
        offset += len(line)
    return results, None
