"""Reads the files of a run whatever has happened to them: what is lost is said, and the rest is read.

What a crash does is no loss: it can tear the last line of ``cases.jsonl`` only, and that case was not finished.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sparsebench.errors import InputError
from sparsebench.results import CaseResult

SCHEMA_VERSION = 1
# So many damaged lines are named; more are counted.
_NAMED = 3


@dataclass(frozen=True, slots=True)
class Cases:
    """What ``cases.jsonl`` holds.

    Attributes
    ----------
    size
        Bytes of the file.
    whole
        Bytes up to the end of the last line that ends in a newline; what follows was never finished.
    losses
        What is wrong with lines that cannot be read, as sentences.
    """

    results: list[CaseResult] = field(default_factory=list)
    size: int = 0
    whole: int = 0
    losses: tuple[str, ...] = ()


class NewerSchemaError(InputError):
    """The run is of a newer sparsebench, in which its columns may mean something else."""


def read_run(path: Path) -> dict[str, Any]:
    """Read ``run.json``.

    Raises
    ------
    InputError
        If there is none, it is damaged, or a newer sparsebench wrote it.
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
    if version > SCHEMA_VERSION:
        raise NewerSchemaError(
            f"{path}: schema_version {version} is newer than this sparsebench reads (up to {SCHEMA_VERSION});"
            " upgrade sparsebench"
        )
    record: dict[str, Any] = run
    return record


def read_cases(path: Path) -> Cases:
    """Read ``cases.jsonl``; a line that cannot be read costs its case and no other.

    Raises
    ------
    InputError
        If the file cannot be read.
    """
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise InputError(
            f"{path} is missing, and with it all results: restore it, or run again into another folder"
        ) from None
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    *lines, rest = raw.split(b"\n")
    results, damaged = [], []
    for number, line in enumerate(lines, start=1):
        try:
            results.append(CaseResult.from_json(_record(line)))
        except (ValueError, TypeError, RecursionError) as error:
            damaged.append(f"line {number}: {error}")
    return Cases(results, len(raw), len(raw) - len(rest), _sentences(path.name, damaged))


def _record(line: bytes) -> dict[str, Any]:
    try:
        record: Any = json.loads(line.decode())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not a JSON record ({error})") from error
    if not isinstance(record, dict):
        raise ValueError("not a JSON object")
    return record


def _sentences(name: str, damaged: list[str]) -> tuple[str, ...]:
    said = [f"{name}, {what}; the case on it is lost" for what in damaged[:_NAMED]]
    if len(damaged) > _NAMED:
        said.append(f"{name}: {len(damaged) - _NAMED} more lines are damaged; the cases on them are lost")
    return tuple(said)
