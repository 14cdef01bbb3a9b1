"""What ``sparsebench ab`` leaves on disk: ``pairs.jsonl`` has every sample, ``ab.json`` says of what.

A line is one case in one pair of processes; it is on disk before the next problem begins.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sparsebench.errors import InputError, StorageError
from sparsebench.records import Lines, append_lines, read_lines, read_record, write_record

SCHEMA_VERSION = 1
PAIRS = "pairs.jsonl"
RECORD = "ab.json"

Key = tuple[str, str, str, int, str]


@dataclass(frozen=True, slots=True)
class SideState:
    """What one side made of a case.

    Attributes
    ----------
    status
        One of `sparsebench.results.STATUSES`; or "absent" where the side has no such kernel or cannot make the problem.
    error
        What is wrong where it is not ok.
    detail
        What the plan chose: a tile, a block size.
    """

    status: str
    error: str = ""
    detail: str = ""

    @property
    def timed(self) -> bool:
        """Whether its answers were right, as far as they prove anything."""
        return self.status in ("ok", "mistrusted")


@dataclass(frozen=True, slots=True)
class PairRecord:
    """One case in one pair of processes.

    Attributes
    ----------
    repeat
        Which pair, from 0.
    inner
        Calls per sample, the same on both sides and in all pairs.
    order
        "A" (base) or "B" (head) for each sample.
    samples_s
        Seconds per call, in time order; empty where a side has no right answer.
    """

    suite: str
    problem: str
    kernel: str
    threads: int
    level: str
    repeat: int
    base: SideState
    head: SideState
    inner: int = 0
    order: str = ""
    samples_s: tuple[float, ...] = ()

    @property
    def key(self) -> Key:
        """Identity of the case: suite, problem, kernel, threads, level."""
        return (self.suite, self.problem, self.kernel, self.threads, self.level)

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> PairRecord:
        """Read what `dataclasses.asdict` made.

        Raises
        ------
        ValueError
            If a key is missing, or the samples are not positive numbers, one for each letter of the order.
        TypeError
            If a key is not known.
        """
        try:
            sides = {side: SideState(**record[side]) for side in ("base", "head")}
            pair = cls(**(record | sides | {"samples_s": tuple(record["samples_s"])}))
        except KeyError as error:
            raise ValueError(f"the record lacks {error}") from error
        if not all(isinstance(s, int | float) and math.isfinite(s) and s > 0 for s in pair.samples_s):
            raise ValueError("samples_s holds something other than positive numbers")
        if len(pair.samples_s) != len(pair.order):
            raise ValueError(f"{len(pair.samples_s)} samples are not in the order '{pair.order}'")
        return pair


class AbFolder:
    """A comparison on disk. Opening one changes nothing in it.

    Attributes
    ----------
    path
        The folder.
    record
        Contents of ``ab.json``.
    """

    def __init__(self, path: Path, record: dict[str, Any], pairs: Lines[PairRecord]) -> None:
        """Use `create` or `open`."""
        self.path = path
        self.record = record
        self.torn = pairs.torn
        self._losses = pairs.losses
        self._pairs = list(pairs.parsed)

    @classmethod
    def create(cls, path: Path, record: dict[str, Any]) -> AbFolder:
        """Make the folder, its parents where needed, and its two files.

        Raises
        ------
        InputError
            If the folder has something in it, or cannot be written to.
        """
        try:
            path.mkdir(parents=True, exist_ok=True)
            if any(path.iterdir()):
                raise InputError(f"folder '{path}' is not empty; name a new or an empty one for the comparison")
            folder = cls(path, {"schema_version": SCHEMA_VERSION, **record}, Lines())
            (path / PAIRS).touch()
            write_record(path / RECORD, folder.record)
        except OSError as error:
            raise InputError(
                f"cannot write a comparison to '{path}': {error.strerror}; name a writable folder"
            ) from error
        return folder

    @classmethod
    def open(cls, path: Path) -> AbFolder:
        """Read a finished, interrupted or running comparison.

        Raises
        ------
        InputError
            If the folder is none, was written by a newer sparsebench, or its record is damaged. Of the pairs, those
            that can be read are; `warnings` tells of the others.
        """
        record = read_record(path / RECORD, SCHEMA_VERSION)
        return cls(path, record, read_lines(path / PAIRS, PairRecord.from_json, "pair"))

    def append(self, pairs: Sequence[PairRecord]) -> None:
        """Add the cases of a problem, and return once they are safely on disk.

        Raises
        ------
        StorageError
            If the disk is full or gone; what was added before is still there.
        """
        with self._writing(PAIRS):
            append_lines(self.path / PAIRS, [asdict(pair) for pair in pairs])
        self._pairs += pairs

    def update(self, **entries: Any) -> None:
        """Set entries of ``ab.json``, atomically; raises as `append`."""
        self.record |= entries
        with self._writing(RECORD):
            write_record(self.path / RECORD, self.record)

    def warn(self, warning: str) -> None:
        """Add to the comparison's warnings, once."""
        warnings = self.record.get("warnings", [])
        if warning not in warnings:
            self.update(warnings=[*warnings, warning])

    @contextmanager
    def _writing(self, name: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StorageError(
                f"cannot write {error.filename or self.path / name}: {error.strerror}. All that was measured before is"
                f" kept: sparsebench ab --show {self.path}"
            ) from error

    def pairs(self) -> list[PairRecord]:
        """Return what was measured, in that order."""
        return list(self._pairs)

    def warnings(self) -> list[str]:
        """Return what a reader should know."""
        found = [str(warning) for warning in self.record.get("warnings", [])]
        if "finished" not in self.record:
            found.append(f"not complete: {len({pair.repeat for pair in self._pairs})} pairs of processes were begun")
        found += self._losses
        if self.torn:
            found.append(f"the last line of {PAIRS} is torn; it does not count")
        return found
