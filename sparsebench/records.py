"""Files of a run that a crash leaves readable: a record that is replaced as a whole, and lines that are appended.

A line is finished once it ends in a newline on disk. A crash can therefore tear the last line only, and that is no
loss: it was not finished. Whatever else has happened to a file is said, and the rest is read.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TextIO, TypeVar

from sparsebench.errors import InputError

# Ending of a file that is about to replace another.
FRESH = ".tmp"
# So many damaged lines are named; more are counted.
_NAMED = 3
Parsed = TypeVar("Parsed")


@dataclass(frozen=True, slots=True)
class Lines(Generic[Parsed]):
    """What a file of lines holds.

    Attributes
    ----------
    size
        Bytes of the file.
    whole
        Bytes up to the end of the last line that ends in a newline; what follows was never finished.
    losses
        What is wrong with lines that cannot be read, as sentences.
    """

    parsed: list[Parsed] = field(default_factory=list)
    size: int = 0
    whole: int = 0
    losses: tuple[str, ...] = ()

    @property
    def torn(self) -> bool:
        """Whether the last line was cut short."""
        return self.size > self.whole


class NewerSchemaError(InputError):
    """The record is of a newer sparsebench, in which its entries may mean something else."""


@contextmanager
def replacing(path: Path) -> Iterator[TextIO]:
    """Yield a stream whose contents replace the file at `path` all at once when the body ends well."""
    fresh = path.with_name(path.name + FRESH)
    try:
        with fresh.open("w", encoding="utf-8", newline="") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        fresh.replace(path)
    except BaseException:
        # On a full disk it would only make things worse.
        with suppress(OSError):
            fresh.unlink()
        raise


def append_lines(path: Path, records: Iterable[dict[str, Any]]) -> None:
    """Add records to a file, one a line, and return once they are safely on disk; of an OSError, none is there.

    Unless the file cannot even be cut: what is left then is a torn line.
    """
    lines = "".join(json.dumps(record, allow_nan=False) + "\n" for record in records)
    before = path.stat().st_size
    try:
        with path.open("ab") as stream:
            stream.write(lines.encode())
            stream.flush()
            os.fsync(stream.fileno())
    except OSError:
        with suppress(OSError):
            os.truncate(path, before)
        raise


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
        If there is no such file, it is damaged, or a newer sparsebench wrote it (`NewerSchemaError`).
    """
    try:
        run: Any = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"'{path.parent}' is not the folder of a run: it has no {path.name}") from None
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is damaged: {error}") from error
    version = run.get("schema_version") if isinstance(run, dict) else None
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise InputError(f"{path} is damaged, or not the record of a run: it has no whole number 'schema_version'")
    if version > newest:
        raise NewerSchemaError(
            f"{path}: schema_version {version} is newer than this sparsebench reads (up to {newest});"
            " upgrade sparsebench"
        )
    record: dict[str, Any] = run
    return record


def read_lines(path: Path, parse: Callable[[dict[str, Any]], Parsed], what: str) -> Lines[Parsed]:
    """Return what `append_lines` wrote, parsed; a line that cannot be read costs the `what` on it and no other.

    Raises
    ------
    InputError
        If the file cannot be read. `parse` raises ValueError or TypeError for a record that is damaged.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    *lines, rest = raw.split(b"\n")
    parsed, damaged = [], []
    for number, line in enumerate(lines, start=1):
        try:
            parsed.append(parse(_object(line)))
        except (ValueError, TypeError, RecursionError) as error:
            damaged.append(f"{path.name}, line {number}: {error}; the {what} on it is lost")
    if len(damaged) > _NAMED:
        more = len(damaged) - _NAMED
        damaged[_NAMED:] = [f"{path.name}: {more} more lines are damaged; the {what}s on them are lost"]
    return Lines(parsed, len(raw), len(raw) - len(rest), tuple(damaged))


def _object(line: bytes) -> dict[str, Any]:
    try:
        record: Any = json.loads(line.decode())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not a JSON record ({error})") from error
    if not isinstance(record, dict):
        raise ValueError("not a JSON object")
    return record
